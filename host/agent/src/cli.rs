//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Brings the files of a git commit to an Ignition gateway.
///
/// Without a command, the agent runs beside a gateway in a pod: it follows a `GatewaySync`, with the settings of the
/// environment variables that the injection sets.
#[derive(Debug, Parser)]
#[command(name = "stoker-agent", version, propagate_version = true)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sync once, without a cluster: fetch the commit of a ref, and write its files.
    Once(Box<OnceFlags>),
    /// Follow a ref without a cluster, for a gateway on a machine of its own.
    Run(RunFlags),
}

/// The flags of `stoker-agent once`.
#[derive(Debug, Clone, Args)]
pub struct OnceFlags {
    /// The address of the repository.
    #[arg(long, value_name = "URL")]
    pub repo: String,
    /// The branch, the tag or the commit.
    #[arg(long = "ref", value_name = "REF")]
    pub git_ref: String,
    /// File with the profile, in YAML or JSON, as in `spec.sync.profiles` of a `GatewaySync`.
    #[arg(long, value_name = "FILE")]
    pub profile: PathBuf,
    /// The directory of the gateway, such as `/usr/local/bin/ignition/data`.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The name of the gateway, for templates.
    #[arg(long, default_value = "gateway", value_name = "NAME")]
    pub name: String,
    /// A label of the gateway, for templates. Can be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// Print what would change, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Delete files even if there are more of them than the profile allows.
    #[arg(long)]
    pub confirm_deletes: bool,
    /// The credentials for the repository.
    #[command(flatten)]
    pub credentials: CredentialFlags,
    /// The size of the largest file that is fetched, in MiB. The default is a fifth of the memory of a container, or
    /// 100 without such a limit.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub max_file_mib: Option<u16>,
    /// Directory in which fetched objects are kept for the next call. Without it, they are removed.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Format of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: OutputFormat,
}

/// The credentials for the repository.
#[derive(Debug, Clone, Args)]
pub struct CredentialFlags {
    /// File with a token, for http and https.
    #[arg(long, value_name = "FILE", conflicts_with = "ssh_key_file")]
    pub token_file: Option<PathBuf>,
    /// File with a private key, for ssh.
    #[arg(long, value_name = "FILE")]
    pub ssh_key_file: Option<PathBuf>,
    /// File with the trusted host keys, in the format of OpenSSH's `known_hosts`.
    #[arg(long, value_name = "FILE", requires = "ssh_key_file")]
    pub known_hosts_file: Option<PathBuf>,
}

/// The formats of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A table for people.
    Table,
    /// One JSON object.
    Json,
}

/// The flags of `stoker-agent run`.
#[derive(Debug, Clone, Args)]
pub struct RunFlags {
    /// File with the settings, in YAML.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_argument_means_the_sidecar() {
        assert!(Cli::try_parse_from(["/agent"]).unwrap().command.is_none());
    }

    #[test]
    fn credentials_of_two_kinds_are_refused() {
        let flags = "stoker-agent once --repo r --ref main --profile p --data d";
        let parse = |more: &str| {
            let all = format!("{flags} {more}");
            Cli::try_parse_from(all.split_whitespace()).map(drop)
        };
        parse("--token-file t --label a=b").unwrap();
        parse("--ssh-key-file k --known-hosts-file h").unwrap();
        for more in [
            "--token-file t --ssh-key-file k",
            "--known-hosts-file h",
            "--label a",
        ] {
            parse(more).unwrap_err();
        }
    }
}
