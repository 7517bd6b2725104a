use std::process::ExitCode;

use anyhow::{Context as _, Result};

use super::host::{Host, HostSettings, listen};
use super::{kubeconfig, signals};
use crate::cli::RunFlags;
use crate::config::Config;
use crate::leader::Candidate;
use crate::plugin::PluginState;

/// `stoker run`.
pub(super) async fn run(flags: RunFlags) -> Result<ExitCode> {
    let Config {
        namespace,
        receiver,
        probes,
        metrics,
        plugin_directories,
        watches_plugin_maps,
        plugin_settings,
        auth,
        bounds,
        own_namespace,
        identity,
        kubeconfig,
    } = flags.try_into()?;
    let ended = signals::termination()?;
    let client = kubeconfig::client(kubeconfig.as_deref()).await?;
    let own_namespace = own_namespace.unwrap_or_else(|| client.default_namespace().to_owned());
    let settings = HostSettings {
        client,
        namespace,
        receiver: listen(receiver)
            .await
            .context("choose another port with --webhook-receiver-port")?,
        probes: listen(probes)
            .await
            .context("choose another address with --health-probe-bind-address")?,
        metrics: listen(metrics)
            .await
            .context("choose another address with --metrics-bind-address")?,
        plugin_directories,
        plugin_maps: watches_plugin_maps.then(|| own_namespace.clone()),
        plugin_settings,
        auth,
        bounds,
        candidate: identity.map(|identity| Candidate {
            namespace: own_namespace,
            identity,
        }),
    };
    let host = Host::start(settings).await?;
    for status in host.detector.status() {
        if status.state == PluginState::Serving {
            tracing::info!(plugin.file = %status.from, plugin.name = status.name, "plugin serves");
        }
    }
    let receiver = receiver.map(|address| address.to_string());
    tracing::info!(receiver, version = env!("CARGO_PKG_VERSION"), "stoker runs");
    host.run_until(ended).await?;
    tracing::info!("stoker ended");
    Ok(ExitCode::SUCCESS)
}
