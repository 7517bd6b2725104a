use std::sync::Arc;

use super::error::SandboxError;
use super::load::{Origin, Plugin};
use super::metrics::PluginMetrics;
use super::sandbox::Sandbox;

/// The plugins that are part of the binary, in the order in which they are asked. `gitea` is before `github`, because
/// Gitea also sends the headers of GitHub. `generic` is last, because many senders have a top-level `ref` with another
/// meaning.
const COMPONENTS: [(&str, &[u8]); 11] = [
    (
        "gitea",
        include_bytes!(concat!(env!("OUT_DIR"), "/plugins/gitea.wasm")),
    ),
    (
        "github",
        include_bytes!(concat!(env!("OUT_DIR"), "/plugins/github.wasm")),
    ),
    (
        "gitlab",
        include_bytes!(concat!(env!("OUT_DIR"), "/plugins/gitlab.wasm")),
    ),
    (
        "bitbucket",
        include_bytes!(concat!(env!("OUT_DIR"), "/plugins/bitbucket.wasm")),
    ),
    (
        "azure-devops",
        include_bytes!(concat!(env!("OUT_DIR"), "/plugins/azure-devops.wasm")),
    ),
    (
        "codecommit",
        include_bytes!(concat!(env!("OUT_DIR"), "/plugins/codecommit.wasm")),
    ),
    (
        "registry",
        include_bytes!(concat!(env!("OUT_DIR"), "/plugins/registry.wasm")),
    ),
    (
        "cloudevents",
        include_bytes!(concat!(env!("OUT_DIR"), "/plugins/cloudevents.wasm")),
    ),
    (
        "argocd",
        include_bytes!(concat!(env!("OUT_DIR"), "/plugins/argocd.wasm")),
    ),
    (
        "kargo",
        include_bytes!(concat!(env!("OUT_DIR"), "/plugins/kargo.wasm")),
    ),
    (
        "generic",
        include_bytes!(concat!(env!("OUT_DIR"), "/plugins/generic.wasm")),
    ),
];

/// Loads the built-in plugins with the default limits. The settings are applied later, so that a fault in them does not
/// end the host.
pub(super) async fn load(
    sandbox: &Sandbox,
    metrics: &PluginMetrics,
) -> Result<Vec<Arc<Plugin>>, SandboxError> {
    let mut plugins = Vec::with_capacity(COMPONENTS.len());
    for (name, bytes) in COMPONENTS {
        let (origin, bytes) = (Origin::Builtin(name), bytes.to_vec());
        let plugin = Plugin::load(sandbox, metrics, origin, bytes, Arc::default()).await;
        plugins.push(Arc::new(
            plugin.map_err(|source| SandboxError::Builtin { name, source })?,
        ));
    }
    Ok(plugins)
}
