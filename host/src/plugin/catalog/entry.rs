use std::sync::Arc;

use tokio::task::AbortHandle;

use super::super::error::{CallError, LoadError};
use super::super::load::{Origin, Plugin};
use super::super::settings::Tuning;
use super::super::status::PluginState;
use super::files::Digest;
use super::loading::Loader;

/// One file, or one built-in plugin. Where its new version, or its new settings, cannot be used, the last version that
/// could be used keeps serving.
pub(super) struct Entry {
    origin: Origin,
    /// What serves, is refused or is being loaded. `None` where the file has to be loaded again.
    seen: Option<Version>,
    serving: Option<Serving>,
    refused: Option<String>,
    loading: Option<AbortHandle>,
}

/// The bytes of a file, by their digest, with the settings that it has. A built-in plugin has no digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) digest: Option<Digest>,
    pub(super) tuning: Arc<Tuning>,
}

struct Serving {
    plugin: Arc<Plugin>,
    digest: Option<Digest>,
}

impl Entry {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            origin,
            seen: None,
            serving: None,
            refused: None,
            loading: None,
        }
    }

    pub(super) fn builtin(plugin: Arc<Plugin>) -> Self {
        let version = Version {
            digest: None,
            tuning: Arc::clone(plugin.tuning()),
        };
        let mut entry = Self::new(plugin.origin().clone());
        entry.seen = Some(version);
        entry.serving = Some(Serving {
            plugin,
            digest: None,
        });
        entry
    }

    /// Whether this version is what the entry has already.
    pub(super) fn has(&self, version: &Version) -> bool {
        self.seen.as_ref() == Some(version)
    }

    /// The bytes that need not be inspected with these settings: those that serve, are being loaded, or are what the
    /// entry has already.
    pub(super) fn known_digests(&self, tuning: &Arc<Tuning>) -> Vec<Digest> {
        let seen = self.seen.as_ref();
        let seen = seen.filter(|seen| self.loading.is_some() || seen.tuning == *tuning);
        let serving = self.serving.as_ref().and_then(|serving| serving.digest);
        let seen = seen.and_then(|seen| seen.digest);
        seen.into_iter().chain(serving).collect()
    }

    /// Whether only the settings differ from those of what serves, so that nothing has to be compiled.
    pub(super) fn serves(&self, digest: Option<Digest>) -> bool {
        let serving = self.serving.as_ref();
        serving.is_some_and(|serving| serving.digest == digest)
    }

    /// Gives what serves other settings. Returns whether anything changed.
    pub(super) async fn retune(&mut self, loader: &Loader, version: Version) -> bool {
        let Some(serving) = self.serving.as_ref().filter(|_| !self.has(&version)) else {
            return false;
        };
        let (sandbox, metrics) = (&loader.sandbox, &loader.metrics);
        let tuning = Arc::clone(&version.tuning);
        let retuned = serving.plugin.with_tuning(sandbox, metrics, tuning).await;
        self.finish(loader, version, retuned)
    }

    /// Notes that a version is being loaded, by a task that ends when another version replaces it.
    pub(super) fn begin(&mut self, version: Version, task: AbortHandle) {
        self.stop_loading();
        self.loading = Some(task);
        self.seen = Some(version);
    }

    /// Takes what became of a version. Returns whether anything changed.
    pub(super) fn finish(
        &mut self,
        loader: &Loader,
        version: Version,
        result: Result<Plugin, LoadError>,
    ) -> bool {
        self.stop_loading();
        let digest = version.digest;
        self.seen = Some(version);
        match result {
            Ok(plugin) => {
                self.serve(loader, plugin, digest);
                true
            }
            Err(error) => {
                if may_pass(&error) {
                    self.seen = None;
                }
                self.refuse(loader, &error)
            }
        }
    }

    /// Loads the file again at the next scan, whatever it holds then.
    pub(super) fn forget_version(&mut self) {
        self.stop_loading();
        self.seen = None;
    }

    /// Takes out of service what is beyond the number of files that are read. Returns whether anything changed.
    pub(super) fn exclude(&mut self, loader: &Loader, limit: usize) -> bool {
        self.forget_version();
        let served = self.serving.take().is_some();
        self.refuse(loader, &LoadError::TooMany { limit }) || served
    }

    /// Logs once why the entry cannot be used. Returns whether that changed.
    pub(super) fn refuse(&mut self, loader: &Loader, error: &LoadError) -> bool {
        let why = stoker_report::chain(error).to_string();
        if self.refused.as_ref() == Some(&why) {
            return false;
        }
        tracing::warn!(plugin.file = %self.origin, error = %why, previous_version_serves = self.serving.is_some(), "plugin file refused");
        loader.metrics.reloaded(false);
        self.refused = Some(why);
        true
    }

    fn serve(&mut self, loader: &Loader, plugin: Plugin, digest: Option<Digest>) {
        let descriptor = plugin.descriptor();
        tracing::info!(plugin.file = %plugin.origin(), plugin.name = %descriptor.name, plugin.version = %descriptor.version, "plugin loaded");
        if let Some(old) = &self.serving {
            old.plugin.retire();
        }
        plugin.begin_counting();
        loader.metrics.reloaded(true);
        self.refused = None;
        self.serving = Some(Serving {
            plugin: Arc::new(plugin),
            digest,
        });
    }

    fn stop_loading(&mut self) {
        if let Some(task) = self.loading.take() {
            task.abort();
        }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn plugin(&self) -> Option<&Arc<Plugin>> {
        self.serving.as_ref().map(|serving| &serving.plugin)
    }

    pub(super) fn sha256(&self) -> Option<String> {
        Some(hex::encode(self.serving.as_ref()?.digest?))
    }

    /// The state, without regard to other entries.
    pub(super) fn state(&self) -> PluginState {
        match (&self.refused, &self.serving) {
            (None, Some(_)) => PluginState::Serving,
            (None, None) => PluginState::Loading,
            (Some(why), Some(_)) => PluginState::ServingPrevious { why: why.clone() },
            (Some(why), None) => PluginState::Refused { why: why.clone() },
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.stop_loading();
    }
}

/// Whether the same file may be usable later: a busy machine is no fault of a plugin.
fn may_pass(error: &LoadError) -> bool {
    matches!(
        error,
        LoadError::Describe(
            CallError::Busy | CallError::TimedOut { .. } | CallError::NoAddressSpace(_)
        ) | LoadError::NoMemory { .. }
            | LoadError::NoAddressSpace(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_loaded_yet_does_not_serve() {
        let mut entry = Entry::new(Origin::File("acme.wasm".to_owned()));
        assert_eq!(entry.state(), PluginState::Loading);
        entry.refused = Some("it is empty".to_owned());
        assert!(matches!(entry.state(), PluginState::Refused { .. }));
    }
}
