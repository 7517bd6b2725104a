//! `stoker run`: the receiver and the controller.

use std::process::ExitCode;

use anyhow::Result;

use super::host::Host;
use super::kubeconfig;
use crate::cli::RunFlags;
use crate::config::{HostConfig, set_path};
use crate::plugin::PluginState;

/// What a user without a cluster can do.
const WITHOUT_A_CLUSTER: &str = ", or try `stoker demo`, which needs no cluster";

/// Runs `stoker run`.
pub(super) async fn run(flags: RunFlags) -> Result<ExitCode> {
    flags.ignored.warn();
    let kubeconfig = set_path(flags.kubeconfig.clone());
    let config: HostConfig = flags.try_into()?;
    let ended = stoker_process::termination()?;
    let clients = kubeconfig::clients(kubeconfig.as_deref(), WITHOUT_A_CLUSTER).await?;
    let host = Host::start(clients, config).await?;
    for status in host.chain.status() {
        if status.state == PluginState::Serving {
            tracing::info!(plugin.file = %status.from, plugin.name = status.name, "plugin loaded");
        }
    }
    let receiver = host.receiver_address().map(|address| address.to_string());
    tracing::info!(
        receiver,
        version = env!("CARGO_PKG_VERSION"),
        "stoker started"
    );
    host.run_until(ended).await?;
    tracing::info!("stoker stopped");
    Ok(ExitCode::SUCCESS)
}
