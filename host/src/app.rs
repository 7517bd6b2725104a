//! The commands, from their flags to their exit codes. This is the only module that combines the others.

mod host;
mod injection;
mod kubeconfig;
mod lead;
mod plugin_commands;
mod run;
mod send;
mod status;
mod sync;
mod tasks;
mod text;
mod unhandled;

#[cfg(feature = "local-cluster")]
mod demo;
#[cfg(feature = "local-cluster")]
mod local;
#[cfg(feature = "local-cluster")]
mod local_gateway;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Command};
use crate::telemetry;

#[cfg(feature = "local-cluster")]
pub use demo::EXAMPLE_PLUGIN;
pub use host::Host;
pub use kubeconfig::Clients;
pub use status::show as show_status;
pub use sync::{SyncResult, sync};

/// Runs a command.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    let filter = cli.log.as_deref().filter(|text| !text.is_empty());
    let filter = filter.or(quiet(&cli.command));
    let _log = telemetry::start(cli.log_format.into(), filter)?;
    match cli.command {
        Command::Run(flags) => run::run(*flags).await,
        #[cfg(feature = "local-cluster")]
        Command::Demo(flags) => demo::run(flags).await,
        #[cfg(feature = "local-cluster")]
        Command::Sandbox(flags) => local::run(flags).await,
        Command::Crd => text::print(&stoker_api::crd_yaml()?),
        Command::Plugin(command) => plugin_commands::run(command).await,
        Command::Status(flags) => status::run(flags).await,
        Command::Sync(flags) => sync::run(flags).await,
        Command::Send(flags) => send::run(flags).await,
    }
}

/// Returns the default filter for commands other than `stoker run`. They print their results, and log only errors. The
/// client library logs errors that the commands print.
fn quiet(command: &Command) -> Option<&'static str> {
    (!matches!(command, Command::Run(_))).then_some("error,kube_client=off")
}
