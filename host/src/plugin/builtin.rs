//! Loads the built-in plugins.

use std::sync::Arc;

use stoker_builtin::{BUILTINS, Builtin};

use super::component;
use super::error::{LoadError, SandboxError};
use super::load::{Origin, Plugin};
use super::metrics::PluginMetrics;
use super::sandbox::Sandbox;

/// Loads the built-in plugins with the default limits. The settings are applied later, so that a fault in them does not
/// end the host.
pub(super) async fn load(
    sandbox: &Sandbox,
    metrics: &PluginMetrics,
) -> Result<Vec<Arc<Plugin>>, SandboxError> {
    let mut plugins = Vec::with_capacity(BUILTINS.len());
    for builtin in BUILTINS {
        let name = builtin.name;
        let plugin = load_one(sandbox, metrics, builtin).await;
        plugins.push(Arc::new(
            plugin.map_err(|source| SandboxError::Builtin { name, source })?,
        ));
    }
    Ok(plugins)
}

async fn load_one(
    sandbox: &Sandbox,
    metrics: &PluginMetrics,
    builtin: &Builtin,
) -> Result<Plugin, LoadError> {
    let origin = Origin::Builtin(builtin.name);
    let Some(component) = builtin.load(sandbox.engine()) else {
        // The engine has no pool, or the machine code is for another architecture.
        let bytes = builtin.component.to_vec();
        return Plugin::load(sandbox, metrics, origin, bytes, Arc::default()).await;
    };
    let linked = component::link_compiled(sandbox.engine(), &component)?;
    Plugin::from_linked(sandbox, metrics, origin, linked, Arc::default()).await
}
