//! One file of the catalog, or one built-in plugin: what serves, what is loaded, and when a load is tried again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::super::error::{CallError, LoadError};
use super::super::load::{Origin, Plugin};
use super::super::settings::{Settings, Tuning};
use super::super::status::PluginState;
use super::files::Digest;
use super::loading::Loader;

/// The time after which a version that failed for a reason that may pass is loaded again. It is less than the period of
/// the scans, so the next scan loads it.
const FIRST_RETRY: Duration = Duration::from_secs(15);
/// The maximum of this time, which doubles with each failure. Each retry may take as long as compiling takes.
const LAST_RETRY: Duration = Duration::from_mins(10);

/// One file, or one built-in plugin. If its new version or its new settings cannot be used, the last usable version
/// keeps serving.
pub(super) struct Entry {
    origin: Origin,
    /// The version that serves, is refused or is being loaded. `None` if the file has to be loaded again.
    seen: Option<Version>,
    serving: Option<Serving>,
    /// A usable version with another name than the serving one. It serves when everything is loaded
    /// and no other file has that name.
    renamed: Option<Serving>,
    refused: Option<String>,
    loading: Option<AbortHandle>,
    retry: Option<Retry>,
    /// Whether the file is gone, so that at most its plugin still serves.
    is_gone: bool,
}

/// The next try of a version that failed for a reason that may pass.
#[derive(Debug)]
struct Retry {
    version: Version,
    delay: Duration,
    at: Instant,
}

impl Retry {
    fn after(previous: Option<Self>, version: Version) -> Self {
        let delay = match previous {
            Some(previous) if previous.version == version => (previous.delay * 2).min(LAST_RETRY),
            _ => FIRST_RETRY,
        };
        Self {
            version,
            delay,
            at: Instant::now() + delay,
        }
    }
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
    /// Whether the log says that it is loaded.
    is_reported: bool,
    /// The settings with which it failed, so that they are not tried again.
    refused_tuning: Option<Arc<Tuning>>,
}

impl Serving {
    fn new(plugin: Plugin, digest: Option<Digest>) -> Self {
        Self {
            plugin: Arc::new(plugin),
            digest,
            is_reported: false,
            refused_tuning: None,
        }
    }

    fn name(&self) -> &str {
        &self.plugin.descriptor().name
    }
}

impl Entry {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            origin,
            seen: None,
            serving: None,
            renamed: None,
            refused: None,
            loading: None,
            retry: None,
            is_gone: false,
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
            is_reported: true,
            refused_tuning: None,
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

    /// Changes the settings of a plugin that serves although its file is another one now, or is gone. What is known of
    /// the file stays as it is. Returns whether anything changed.
    pub(super) async fn retune_previous(&mut self, loader: &Loader, tuning: &Arc<Tuning>) -> bool {
        let Some(serving) = &mut self.serving else {
            return false;
        };
        let digest = serving.digest;
        // Settings that the file of the serving plugin was already tried with are not tried again.
        let seen = self.seen.as_mut().filter(|seen| seen.digest == digest);
        if serving.plugin.tuning() == tuning
            || serving.refused_tuning.as_ref() == Some(tuning)
            || seen.as_ref().is_some_and(|seen| seen.tuning == *tuning)
        {
            return false;
        }
        let (sandbox, metrics) = (&loader.sandbox, &loader.metrics);
        let retuned = serving
            .plugin
            .with_tuning(sandbox, metrics, Arc::clone(tuning));
        match retuned.await {
            Ok(plugin) => {
                if let Some(seen) = seen {
                    seen.tuning = Arc::clone(tuning);
                }
                self.replace(loader, Serving::new(plugin, digest));
                true
            }
            Err(error) => {
                tracing::warn!(plugin.file = %self.origin, error = %stoker_report::chain(&error), "the previous version of a plugin cannot use its new settings, and keeps its previous ones");
                if !may_pass(&error) {
                    serving.refused_tuning = Some(Arc::clone(tuning));
                }
                false
            }
        }
    }

    /// Causes a version that failed for a reason that may pass to be loaded again, once it is time for that.
    pub(super) fn retry_if_due(&mut self) {
        let due = self.retry.as_ref().is_some_and(|retry| {
            self.loading.is_none() && self.has(&retry.version) && retry.at <= Instant::now()
        });
        if due {
            self.seen = None;
        }
    }

    /// Records that a version is being loaded. The task is aborted when another version replaces this one.
    pub(super) fn begin(&mut self, version: Version, task: AbortHandle) {
        self.stop_loading();
        self.renamed = None;
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
        self.renamed = None;
        let previous_retry = self.retry.take();
        let digest = version.digest;
        self.seen = Some(version.clone());
        match result {
            Ok(plugin) => {
                let new = Serving::new(plugin, digest);
                if self
                    .serving
                    .as_ref()
                    .is_some_and(|old| old.name() != new.name())
                {
                    self.renamed = Some(new);
                } else {
                    self.serve(loader, new);
                }
                true
            }
            Err(error) => {
                if may_pass(&error) {
                    self.retry = Some(Retry::after(previous_retry, version));
                }
                self.refuse(loader, &error)
            }
        }
    }

    /// The name of the version that waits until no other file has this name.
    pub(super) fn new_name(&self) -> Option<&str> {
        self.renamed.as_ref().map(Serving::name)
    }

    /// Puts the version with the new name into service.
    pub(super) fn rename(&mut self, loader: &Loader) {
        if let Some(new) = self.renamed.take() {
            self.serve(loader, new);
        }
    }

    /// Causes the file to be loaded again at the next scan, even if it has not changed.
    pub(super) fn forget_version(&mut self) {
        self.stop_loading();
        self.renamed = None;
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
        let mut why = stoker_report::chain(error).to_string();
        if matches!(error, LoadError::Describe(_)) {
            why.push_str("; `stoker plugin check` explains what to change");
        }
        if self.refused.as_ref() == Some(&why) {
            return false;
        }
        tracing::warn!(plugin.file = %self.origin, error = %why, previous_version_serves = self.serving.is_some(), "plugin file refused");
        loader.metrics.reloaded(false);
        self.refused = Some(why);
        true
    }

    fn serve(&mut self, loader: &Loader, new: Serving) {
        self.refused = None;
        self.replace(loader, new);
    }

    fn replace(&mut self, loader: &Loader, new: Serving) {
        if let Some(old) = &self.serving {
            old.plugin.retire();
        }
        new.plugin.begin_counting();
        loader.metrics.reloaded(true);
        self.serving = Some(new);
    }

    /// Logs once that the serving version is loaded.
    pub(super) fn report_loaded(&mut self) {
        let Some(serving) = self.serving.as_mut().filter(|new| !new.is_reported) else {
            return;
        };
        serving.is_reported = true;
        let descriptor = serving.plugin.descriptor();
        tracing::info!(plugin.file = %self.origin, plugin.name = %descriptor.name, plugin.version = %descriptor.version, "plugin loaded");
    }

    /// Records whether the file is gone. Returns whether it was there before. A version that does not serve yet is not
    /// needed any more.
    pub(super) fn set_gone(&mut self, is_gone: bool) -> bool {
        let has_left = is_gone && !self.is_gone;
        if has_left && (self.loading.is_some() || self.renamed.is_some()) {
            self.forget_version();
        }
        if has_left {
            // Why a later version does not serve does not matter any more: for example, the file was gone when it was read.
            self.refused = None;
        }
        self.is_gone = is_gone;
        has_left
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
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

    /// The name in the description of the serving version.
    pub(super) fn name(&self) -> Option<&str> {
        self.serving.as_ref().map(Serving::name)
    }

    /// Whether the settings enable it. They can disable it by its key and by its name.
    pub(super) fn is_enabled(&self, settings: &Settings) -> bool {
        let mut names = [Some(self.origin.key()), self.name()].into_iter().flatten();
        !names.any(|name| settings.disables(name))
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
            | LoadError::NoThread(_)
            | LoadError::CompileTimedOut { .. }
    )
}

#[cfg(test)]
mod tests;
