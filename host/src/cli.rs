//! The flags of the command line. [`crate::config`] checks the flags of `stoker run` and converts them.

mod environment;
mod go_flags;
mod objects;
mod pairs;
mod plugin;
mod plugin_directories;
mod send;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::environment::parse;
use self::environment::secret_file;
pub use self::go_flags::{IgnoredFlag, IgnoredFlags};
use self::go_flags::{is_not_false, switch};
pub use self::objects::{ObjectName, OutputFormat, StatusFlags, SyncFlags};
#[cfg(feature = "authoring")]
pub use self::plugin::{BuildFlags, Language, NewFlags, TestFlags};
pub use self::plugin::{CheckFlags, LimitFlags, ListFlags, PluginCommand, PluginRunFlags};
use self::plugin_directories::PluginDirectory;
pub use self::plugin_directories::plugin_directories;
pub use self::send::{Provider, SendFlags};
use crate::telemetry;

/// The place of the global options in the help: after those of the command.
const LAST: usize = 1000;

/// Syncs gateways to the git refs that webhooks announce.
///
/// Stoker receives webhooks, detects the git ref that they announce with WebAssembly plugins, and syncs `GatewaySync`
/// objects to it.
#[derive(Debug, Parser)]
// The last value of a repeated flag applies, so that the chart's `extraArgs` can override earlier flags.
#[command(
    name = "stoker",
    version,
    propagate_version = true,
    args_override_self = true
)]
pub struct Cli {
    /// Format of the log.
    #[arg(
        long,
        global = true,
        display_order = LAST,
        value_enum,
        default_value = "auto",
        env = "STOKER_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
    /// Filter of the log: a level, or target=level pairs separated by commas [default: info].
    #[arg(
        long,
        global = true,
        display_order = LAST,
        env = "STOKER_LOG",
        value_name = "FILTER"
    )]
    pub log: Option<String>,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Text.
    Human,
    /// One JSON object per line.
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

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Receive webhooks and sync the `GatewaySync` objects of a Kubernetes cluster.
    Run(Box<RunFlags>),
    /// Run a demonstration on this machine, with an API server, a git repository, a gateway, signed webhooks and a drop-in
    /// plugin.
    #[cfg(feature = "local-cluster")]
    Demo(DemoFlags),
    /// Serve an API server, a git repository and a gateway on this machine, for use with kubectl and `stoker run`.
    #[cfg(feature = "local-cluster")]
    Sandbox(SandboxFlags),
    /// Print the definition of the custom resource, for `kubectl apply -f -`.
    Crd,
    /// List, check and run plugins, and develop new ones.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Show objects, their gateways and their problems.
    Status(StatusFlags),
    /// Request a sync of an object, as a webhook does, and wait until its gateways have the commit.
    Sync(SyncFlags),
    /// Send a signed test webhook.
    Send(SendFlags),
}

/// The image of injected agents, unless the flags or the object name one.
pub const DEFAULT_AGENT_IMAGE: &str = "ghcr.io/knorrlabs/stoker-agent:latest";
/// The file with the certificate of the injection webhook.
pub const CERT_NAME: &str = "tls.crt";
/// The file with the key of that certificate.
pub const CERT_KEY: &str = "tls.key";

/// The flags of `stoker run`.
#[derive(Debug, Clone, Args)]
pub struct RunFlags {
    /// Port of the receiver, on all IPv4 and IPv6 addresses. 0 disables the receiver.
    #[arg(long, default_value_t = 9444, value_name = "PORT")]
    pub webhook_receiver_port: u16,
    /// The HMAC secret of the webhooks. It is read from the environment only, because command lines are visible to
    /// other users.
    #[arg(skip = std::env::var_os("WEBHOOK_HMAC_SECRET"))]
    pub webhook_hmac_secret: Option<OsString>,
    /// The previous HMAC secret, which is accepted too while the secret is rotated. From the environment only.
    #[arg(skip = std::env::var_os("WEBHOOK_HMAC_SECRET_PREVIOUS"))]
    pub webhook_hmac_secret_previous: Option<OsString>,
    /// File with the HMAC secret of the webhooks, instead of the environment variable `WEBHOOK_HMAC_SECRET`, which the
    /// flag replaces. Each line is a secret. The file FILE-previous has the previous secret, if it exists. Both are read
    /// again when they change.
    #[arg(
        long,
        env = "WEBHOOK_HMAC_SECRET_FILE",
        value_name = "FILE",
        value_parser = secret_file("WEBHOOK_HMAC_SECRET_FILE")
    )]
    pub webhook_hmac_secret_file: Option<PathBuf>,
    /// Secret in the own namespace with the HMAC secret of the webhooks. The key defaults to `webhook-secret`. The key
    /// with `-previous` appended has the previous secret, if it exists. A change holds within a second.
    #[arg(long, env = "WEBHOOK_SECRET_NAME", value_name = "NAME[/KEY]")]
    pub webhook_secret_name: Option<String>,
    /// The bearer token of senders that cannot sign. It is read from the environment only.
    #[arg(skip = std::env::var_os("WEBHOOK_BEARER_TOKEN"))]
    pub webhook_bearer_token: Option<OsString>,
    /// The previous bearer token, which is accepted too while the token is rotated. From the environment only.
    #[arg(skip = std::env::var_os("WEBHOOK_BEARER_TOKEN_PREVIOUS"))]
    pub webhook_bearer_token_previous: Option<OsString>,
    /// File with the bearer token of senders that cannot sign, instead of the environment variable
    /// `WEBHOOK_BEARER_TOKEN`, which the flag replaces. Each line is a token. The file FILE-previous has the previous
    /// token, if it exists. Both are read again when they change.
    #[arg(
        long,
        env = "WEBHOOK_BEARER_TOKEN_FILE",
        value_name = "FILE",
        value_parser = secret_file("WEBHOOK_BEARER_TOKEN_FILE")
    )]
    pub webhook_bearer_token_file: Option<PathBuf>,
    /// File with the receiver's TLS certificate and its chain, in PEM. It is read again when it changes.
    #[arg(long, env = "WEBHOOK_TLS_CERT", value_name = "FILE")]
    pub webhook_tls_cert: Option<PathBuf>,
    /// File with the key of the TLS certificate, in PEM. It is read again when it changes.
    #[arg(long, env = "WEBHOOK_TLS_KEY", value_name = "FILE")]
    pub webhook_tls_key: Option<PathBuf>,
    /// Port of the webhook that injects agents into pods, on all IPv4 and IPv6 addresses. It is served with
    /// `--webhook-cert-path` or `--webhook-cert-secret`. 0 disables it.
    #[arg(long, default_value_t = 9443, value_name = "PORT")]
    pub webhook_port: u16,
    /// Directory with the certificate of the injection webhook, which is read again when it changes.
    #[arg(long, value_name = "DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub webhook_cert_path: Option<PathBuf>,
    /// File with the certificate and its chain in that directory, in PEM.
    #[arg(
        long,
        default_value = CERT_NAME,
        value_name = "FILE",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    pub webhook_cert_name: PathBuf,
    /// File with the key of the certificate in that directory, in PEM.
    #[arg(
        long,
        default_value = CERT_KEY,
        value_name = "FILE",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    pub webhook_cert_key: PathBuf,
    /// Secret in the own namespace in which Stoker keeps a certificate of its own for the injection webhook, instead of
    /// a directory.
    #[arg(long, value_name = "NAME")]
    pub webhook_cert_secret: Option<String>,
    /// DNS names in the certificate that Stoker issues, separated by commas: those of the Service.
    #[arg(long, value_name = "NAMES")]
    pub webhook_cert_dns_names: Option<String>,
    /// `MutatingWebhookConfiguration` in which Stoker keeps the `caBundle` of the certificate that it issues.
    #[arg(long, value_name = "NAME")]
    pub webhook_configuration: Option<String>,
    /// Image of injected agents whose object names none.
    #[arg(
        long,
        env = "DEFAULT_AGENT_IMAGE",
        default_value = DEFAULT_AGENT_IMAGE,
        value_name = "IMAGE"
    )]
    pub default_agent_image: String,
    /// Networks of the proxies in front of the receiver, such as 10.0.0.0/8, separated by commas. Only requests of
    /// these proxies may name their source in `X-Forwarded-For`.
    #[arg(long, env = "WEBHOOK_TRUSTED_PROXIES", value_name = "NETWORKS")]
    pub trusted_proxies: Option<String>,
    /// Networks from which webhooks are accepted, separated by commas [default: all].
    #[arg(long, env = "WEBHOOK_ALLOWED_SOURCES", value_name = "NETWORKS")]
    pub webhook_allowed_sources: Option<String>,
    /// Hosts of the git servers that may be contacted, separated by commas: git.example.com, *.example.com or
    /// 10.0.0.7:8443 [default: all]. Link-local addresses and those of metadata services are refused, unless the list
    /// names the host or the address.
    #[arg(long, env = "GIT_ALLOWED_HOSTS", value_name = "HOSTS")]
    pub git_allowed_hosts: Option<String>,
    /// Largest number of webhooks per second for one object.
    #[arg(long, default_value_t = 1000, value_name = "NUMBER")]
    pub webhook_rate: u32,
    /// Largest body of a webhook in bytes, at most 64 MiB.
    #[arg(long, default_value_t = 25 << 20, value_name = "BYTES")]
    pub max_body: usize,
    /// Largest memory of all bodies together in bytes [default: 33554432, or --max-body if that is more].
    #[arg(long, value_name = "BYTES")]
    pub max_body_memory: Option<usize>,
    /// Directory with drop-in plugins (*.wasm), which is watched for changes. Can be repeated.
    #[arg(
        long,
        env = "STOKER_PLUGIN_DIR",
        value_delimiter = ':',
        value_parser = PluginDirectory,
        value_name = "DIR"
    )]
    pub plugin_dir: Vec<PathBuf>,
    /// Load plugins from the ConfigMaps with the label `stoker.io/plugin=true` in the own namespace too.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub plugin_watch_configmaps: bool,
    /// File with limits and settings of the plugins, in YAML. It is read again when it changes.
    #[arg(long, env = "STOKER_PLUGIN_SETTINGS", value_name = "FILE")]
    pub plugin_settings: Option<PathBuf>,
    /// Largest size of a plugin's file in bytes, at most 64 MiB. The plugin settings override it. Components made of
    /// JavaScript or Python have 12 to 20 million bytes.
    #[arg(long, default_value_t = 4 << 20, value_name = "BYTES")]
    pub plugin_max_size: u64,
    /// Address of /healthz, /readyz and /plugins. 0 disables them.
    #[arg(long, default_value = ":8081", value_name = "ADDRESS")]
    pub health_probe_bind_address: String,
    /// Address of /metrics. 0 disables it.
    #[arg(long, default_value = "0", value_name = "ADDRESS")]
    pub metrics_bind_address: String,
    /// Namespace whose objects are reconciled [default: all namespaces].
    #[arg(long, value_name = "NAMESPACE")]
    pub watch_namespace: Option<String>,
    /// Bind the service accounts of gateways' pods to the role `stoker-agent`, by a RoleBinding for each object. The
    /// value `false` leaves that to others.
    #[arg(
        long,
        env = "AUTO_BIND_AGENT_RBAC",
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        value_parser = is_not_false,
        action = clap::ArgAction::Set
    )]
    pub auto_bind_agent_rbac: bool,
    /// Kind of the role `stoker-agent`.
    #[arg(long, value_enum, default_value = "ClusterRole", value_name = "KIND")]
    pub agent_role_kind: AgentRoleKind,
    /// Reconcile only while this replica holds the lease `a86165bb.stoker.io`. Every replica receives webhooks. The
    /// flag is required if more than one replica runs.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        value_parser = switch,
        action = clap::ArgAction::Set
    )]
    pub leader_elect: bool,
    /// Name of this replica in the leader election, which must be unique [default: a random name].
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod_name: Option<String>,
    /// The own namespace, which has the lease and the ConfigMaps with plugins [default: the namespace of the
    /// kubeconfig or of the pod].
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub pod_namespace: Option<String>,
    /// Kubeconfig file [default: `KUBECONFIG`, the file in the home directory, or the service account of the pod].
    #[arg(long, value_name = "FILE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub kubeconfig: Option<PathBuf>,
    /// The flags of the Go operator that have no effect.
    #[command(flatten)]
    pub ignored: IgnoredFlags,
}

/// The kind of the role with the rights of the agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AgentRoleKind {
    /// A ClusterRole, for the objects of all namespaces.
    #[value(name = "ClusterRole")]
    ClusterRole,
    /// A Role in the namespace of each object.
    #[value(name = "Role")]
    Role,
}

/// The flags of `stoker demo`.
#[cfg(feature = "local-cluster")]
#[derive(Debug, Clone, Args)]
pub struct DemoFlags {
    /// Port of the receiver, on the loopback address.
    #[arg(long, default_value_t = 9444)]
    pub port: u16,
    /// Exit after the last step. The exit code is 0 if every step succeeded.
    #[arg(long)]
    pub once: bool,
}

/// The flags of `stoker sandbox`.
#[cfg(feature = "local-cluster")]
#[derive(Debug, Clone, Args)]
pub struct SandboxFlags {
    /// File to which the kubeconfig is written.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,
    /// Port of the API server. 0 chooses a free port.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
}

#[cfg(test)]
mod tests;
