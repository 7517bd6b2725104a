//! Reads, inspects and compiles plugin files. Compilation runs in a separate task.

use std::sync::Arc;

use super::super::component;
use super::super::error::LoadError;
use super::super::inspect::{Inspected, inspect};
use super::super::load::Plugin;
use super::super::metrics::PluginMetrics;
use super::super::sandbox::Sandbox;
use super::entry::Version;
use super::files::{Digest, FileKey, Files};

/// The shared state for loading plugins.
pub(super) struct Loader {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) metrics: PluginMetrics,
}

/// A file whose bytes may be compiled.
pub(super) struct Candidate {
    pub(super) key: FileKey,
    pub(super) version: Version,
    pub(super) inspected: Inspected,
}

/// The result of loading a candidate. `None` if the file changed while it waited for its turn.
pub(in super::super) struct Loaded {
    pub(super) key: FileKey,
    pub(super) version: Version,
    pub(super) plugin: Option<Result<Plugin, LoadError>>,
}

/// Reads and inspects a file. The inspection is `None` if `is_known` accepts the digest.
pub(super) fn examine(
    files: &Files,
    key: &FileKey,
    limit: u64,
    is_known: impl Fn(Digest) -> bool,
) -> Result<(Digest, Option<Result<Inspected, LoadError>>), LoadError> {
    let content = files.read(key, limit)?;
    let inspected = (!is_known(content.digest)).then(|| inspect(&content.bytes));
    Ok((content.digest, inspected))
}

/// Compiles a candidate. The file is read late, so that waiting files use no memory.
pub(super) async fn load(loader: Arc<Loader>, files: Arc<Files>, candidate: Candidate) -> Loaded {
    let Candidate {
        key,
        version,
        inspected,
    } = candidate;
    let turn = component::turn(&loader.sandbox, &inspected.cost).await;
    let (limit, file) = (version.tuning.limits.component_bytes, key.clone());
    let read = tokio::task::spawn_blocking(move || files.read(&file, limit)).await;
    let bytes = match read {
        Ok(Ok(content)) if Some(content.digest) == version.digest => content.bytes,
        _ => {
            return Loaded {
                key,
                version,
                plugin: None,
            };
        }
    };
    let label = key.to_string();
    let linked = component::compile(&loader.sandbox, &label, inspected, bytes, turn).await;
    let plugin = match linked {
        Ok(linked) => {
            let (sandbox, metrics) = (&loader.sandbox, &loader.metrics);
            let tuning = Arc::clone(&version.tuning);
            Plugin::from_linked(sandbox, metrics, key.origin(), linked, tuning).await
        }
        Err(error) => Err(error),
    };
    Loaded {
        key,
        version,
        plugin: Some(plugin),
    }
}
