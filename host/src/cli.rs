//! The command line, as it is typed. What it means is [`crate::config`]'s to say.

mod plugin;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(feature = "authoring")]
pub use self::plugin::{BuildFlags, Language, NewFlags, TestFlags};
pub use self::plugin::{CheckFlags, LimitFlags, ListFlags, PluginCommand, PluginRunFlags};
use crate::telemetry;

/// The bridge from webhooks to GitOps.
///
/// Stoker takes webhooks, asks WebAssembly plugins which git ref they announce, and syncs `GatewaySync` objects from
/// it.
#[derive(Debug, Parser)]
// The last of several values of one flag holds, so that a chart's `extraArgs` can replace what comes before.
#[command(
    name = "stoker",
    version,
    propagate_version = true,
    args_override_self = true
)]
pub struct Cli {
    /// How the log looks.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        env = "STOKER_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
    /// Which lines are logged: a level, or target=level pairs [default: info].
    #[arg(long, global = true, env = "STOKER_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How the log looks.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl From<LogFormat> for telemetry::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Auto => Self::Auto,
            LogFormat::Human => Self::Human,
            LogFormat::Json => Self::Json,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Receive webhooks and sync from them, against a Kubernetes cluster.
    Run(Box<RunFlags>),
    /// Show the whole way on this machine: an API server, a git repository, signed webhooks, a plugin dropped in.
    #[cfg(feature = "sandbox")]
    Demo(DemoFlags),
    /// Serve an API server and a git repository on this machine, to try things with kubectl.
    #[cfg(feature = "sandbox")]
    Sandbox(SandboxFlags),
    /// Print the definition of the custom resource, for `kubectl apply -f -`.
    Crd,
    /// List, check and run plugins, and develop new ones.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Send a signed test webhook.
    Send(SendFlags),
}

/// The flags of `stoker run`.
#[derive(Debug, Clone, Args)]
pub struct RunFlags {
    /// Port on which webhooks are received, on all addresses; 0 switches the receiver off.
    #[arg(long, default_value_t = 9444, value_name = "PORT")]
    pub webhook_receiver_port: u16,
    /// The secret that signs webhooks. Only from the environment, since other users see command lines.
    #[arg(skip = std::env::var("WEBHOOK_HMAC_SECRET").ok())]
    pub webhook_hmac_secret: Option<String>,
    /// File with the secret that signs webhooks (instead of the environment variable `WEBHOOK_HMAC_SECRET`); it is
    /// read again when it changes.
    #[arg(long, env = "WEBHOOK_HMAC_SECRET_FILE", value_name = "FILE")]
    pub webhook_hmac_secret_file: Option<PathBuf>,
    /// The token of senders that cannot sign. Only from the environment.
    #[arg(skip = std::env::var("WEBHOOK_BEARER_TOKEN").ok())]
    pub webhook_bearer_token: Option<String>,
    /// File with the bearer token of senders that cannot sign (instead of the environment variable
    /// `WEBHOOK_BEARER_TOKEN`).
    #[arg(long, env = "WEBHOOK_BEARER_TOKEN_FILE", value_name = "FILE")]
    pub webhook_bearer_token_file: Option<PathBuf>,
    /// Bytes that the body of a webhook may have.
    #[arg(long, default_value_t = 1 << 20, value_name = "BYTES")]
    pub max_body: usize,
    /// Directory of drop-in plugins (*.wasm), watched for changes. May be given several times.
    #[arg(
        long,
        env = "STOKER_PLUGIN_DIR",
        value_delimiter = ':',
        value_name = "DIR"
    )]
    pub plugin_dir: Vec<PathBuf>,
    /// Take plugins from the ConfigMaps with the label `stoker.io/plugin=true` in the own namespace as well, without a
    /// mount.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub plugin_watch_configmaps: bool,
    /// File with limits and settings of the plugins, in YAML; it is read again when it changes.
    #[arg(long, env = "STOKER_PLUGIN_SETTINGS", value_name = "FILE")]
    pub plugin_settings: Option<PathBuf>,
    /// Bytes that a plugin's file may have, unless the settings say otherwise. Components made of JavaScript or Python
    /// have 12 to 20 million.
    #[arg(long, default_value_t = 4 << 20, value_name = "BYTES")]
    pub plugin_max_size: u64,
    /// Address of /healthz, /readyz and /plugins; 0 switches them off.
    #[arg(long, default_value = ":8081", value_name = "ADDRESS")]
    pub health_probe_bind_address: String,
    /// Address of /metrics; 0 switches it off.
    #[arg(long, default_value = "0", value_name = "ADDRESS")]
    pub metrics_bind_address: String,
    /// Follow the objects of this namespace alone [default: of all namespaces].
    #[arg(long, value_name = "NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// Reconcile only while this replica holds the lease `a86165bb.stoker.io`. Every replica receives webhooks. Needed
    /// where more than one runs.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub leader_elect: bool,
    /// The name of this replica in the election; no two may have the same [default: one that is made up].
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod_name: Option<String>,
    /// The own namespace: of the lease, and of plugin ConfigMaps [default: that of the kubeconfig, or the one that this runs in].
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub pod_namespace: Option<String>,
    /// The kubeconfig file [default: the one of `KUBECONFIG`, of the home directory, or the cluster that this runs
    /// in].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// The flags of `stoker demo`.
#[cfg(feature = "sandbox")]
#[derive(Debug, Clone, Args)]
pub struct DemoFlags {
    /// Port on which webhooks are received, on the loopback address.
    #[arg(long, default_value_t = 9444)]
    pub port: u16,
    /// End after the steps; the exit code is 0 only if every step went as expected.
    #[arg(long)]
    pub once: bool,
}

/// The flags of `stoker sandbox`.
#[cfg(feature = "sandbox")]
#[derive(Debug, Clone, Args)]
pub struct SandboxFlags {
    /// Where the kubeconfig file is written.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,
    /// Port of the API server; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
}

/// The flags of `stoker send`.
#[derive(Debug, Clone, Args)]
pub struct SendFlags {
    /// Where to send it: http(s)://HOST/webhook/NAMESPACE/NAME.
    pub url: String,
    /// The secret to sign with; without one, the webhook is not signed.
    #[arg(long, env = "WEBHOOK_HMAC_SECRET", hide_env_values = true)]
    pub secret: Option<String>,
    /// A file with the secret to sign with, as a receiver reads it: without one line break at its end.
    #[arg(
        long,
        env = "WEBHOOK_HMAC_SECRET_FILE",
        value_name = "FILE",
        conflicts_with = "secret"
    )]
    pub secret_file: Option<PathBuf>,
    /// A file with a token to send in `Authorization`, for receivers that take one.
    #[arg(long, env = "WEBHOOK_BEARER_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The ref to announce, in the generic format.
    #[arg(long, required_unless_present = "body")]
    pub r#ref: Option<String>,
    /// A file with the body to send as it is, or - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "ref")]
    pub body: Option<PathBuf>,
    /// A header to send, as NAME=VALUE or "NAME: VALUE". May be given several times.
    #[arg(long = "header", visible_alias = "headers", value_name = "NAME=VALUE")]
    pub headers: Vec<String>,
    /// The status that the answer should have; any other one ends with 1. Without it, each of 200 to 299 is as expected.
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..=599))]
    pub expect: Option<u16>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn run_flags(arguments: &[&str]) -> RunFlags {
        let arguments = ["stoker", "run"].iter().chain(arguments);
        match Cli::try_parse_from(arguments).expect("arguments").command {
            Command::Run(flags) => *flags,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_of_several_values_holds() {
        let flags = run_flags(&[
            "--health-probe-bind-address=:8081",
            "--leader-elect",
            "--max-body=1",
            "--health-probe-bind-address=[::]:8082",
            "--leader-elect=false",
            "--max-body=2",
        ]);
        assert_eq!(flags.health_probe_bind_address, "[::]:8082");
        assert!(!flags.leader_elect);
        assert_eq!(flags.max_body, 2);
    }

    #[test]
    fn global_flags_can_be_given_again() {
        let cli = Cli::try_parse_from(["stoker", "--log=info", "run", "--log=warn", "--log=debug"]);
        assert_eq!(cli.expect("arguments").log.as_deref(), Some("debug"));
    }

    #[test]
    fn directories_add_up() {
        let flags = run_flags(&["--plugin-dir=/a", "--plugin-dir=/b"]);
        assert_eq!(flags.plugin_dir, [PathBuf::from("/a"), PathBuf::from("/b")]);
    }
}
