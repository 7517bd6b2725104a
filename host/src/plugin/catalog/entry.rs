use std::sync::Arc;

use tokio::task::AbortHandle;

use super::super::error::{CallError, LoadError};
use super::super::load::{Origin, Plugin};
use super::super::settings::Tuning;
use super::super::status::PluginState;
use super::files::Digest;
use super::loading::Loader;

/// One file, or one built-in plugin. If its new version or its new settings cannot be used, the last usable version
/// keeps serving.
pub(super) struct Entry {
    origin: Origin,
    /// The version that serves, is refused or is being loaded. `None` if the file has to be loaded again.
    seen: Option<Version>,
    serving: Option<Serving>,
    refused: Option<String>,
    loading: Option<AbortHandle>,
}

/// The digest of a file and its settings. A built-in plugin has no digest.
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

    /// Whether the entry already has this version.
    pub(super) fn has(&self, version: &Version) -> bool {
        self.seen.as_ref() == Some(version)
    }

    /// The digests of the files that need not be inspected with these settings: those that serve, are being loaded, or
    /// were already seen with these settings.
    pub(super) fn known_digests(&self, tuning: &Arc<Tuning>) -> Vec<Digest> {
        let seen = self.seen.as_ref();
        let seen = seen.filter(|seen| self.loading.is_some() || seen.tuning == *tuning);
        let serving = self.serving.as_ref().and_then(|serving| serving.digest);
        let seen = seen.and_then(|seen| seen.digest);
        seen.into_iter().chain(serving).collect()
    }

    /// Whether the file with this digest serves. Then at most the settings differ, and nothing has to be compiled.
    pub(super) fn serves(&self, digest: Option<Digest>) -> bool {
        let serving = self.serving.as_ref();
        serving.is_some_and(|serving| serving.digest == digest)
    }

    /// Changes the settings of the serving plugin. Returns whether anything changed.
    pub(super) async fn retune(&mut self, loader: &Loader, version: Version) -> bool {
        let Some(serving) = self.serving.as_ref().filter(|_| !self.has(&version)) else {
            return false;
        };
        let (sandbox, metrics) = (&loader.sandbox, &loader.metrics);
        let tuning = Arc::clone(&version.tuning);
        let retuned = serving.plugin.with_tuning(sandbox, metrics, tuning).await;
        self.finish(loader, version, retuned)
    }

    /// Records that a version is being loaded. The task is aborted when another version replaces this one.
    pub(super) fn begin(&mut self, version: Version, task: AbortHandle) {
        self.stop_loading();
        self.loading = Some(task);
        self.seen = Some(version);
    }

    /// Records the result of loading a version. Returns whether anything changed.
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

    /// Causes the file to be loaded again at the next scan, even if it has not changed.
    pub(super) fn forget_version(&mut self) {
        self.stop_loading();
        self.seen = None;
    }

    /// Takes a file out of service that is beyond the number of files that are read. Returns whether anything changed.
    pub(super) fn exclude(&mut self, loader: &Loader, limit: usize) -> bool {
        self.forget_version();
        let served = self.serving.take().is_some();
        self.refuse(loader, &LoadError::TooMany { limit }) || served
    }

    /// Logs once the reason why the entry cannot be used. Returns whether the reason changed.
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

    /// The state of this entry, without regard to other entries.
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

/// Whether the same file may be usable later. A plugin is not at fault if the machine is busy.
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
