//! The catalog of plugins: the built-in ones, and those of the files that are supplied now.
//!
//! A scan marks missing files, applies settings and refuses unusable files. Compilation runs in tasks.

mod entry;
mod files;
mod leaving;
mod loading;
mod order;
mod placing;
mod reported;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use self::entry::{Entry, Version};
pub use self::files::read_component;
use self::files::{Digest, FileKey, Files, Listing};
use self::loading::{Candidate, Loaded, Loader, examine, load};
use self::reported::Reported;
use super::builtin;
use super::chain::Chain;
use super::error::{LoadError, SandboxError};
use super::inspect::Inspected;
use super::load::Plugin;
use super::metrics::PluginMetrics;
use super::settings::{CurrentSettings, Settings, SettingsSource, Tuning};
use super::supply::Supply;

/// The existing plugins, and the state of each file.
pub struct Catalog {
    chain: Arc<Chain>,
    loader: Arc<Loader>,
    settings: CurrentSettings,
    supplies: Vec<Supply>,
    /// The files that were supplied at the last scan.
    supplied: Arc<Files>,
    files: BTreeMap<FileKey, Entry>,
    /// In the order in which they are asked.
    builtins: Vec<Entry>,
    /// Tasks of files that are being compiled, or wait to be compiled.
    loads: JoinSet<Loaded>,
    /// Since when something is being loaded, or has to be examined, if it was so at the last look.
    unsettled_since: Option<Instant>,
    /// Whether files may have changed that were not examined since.
    has_unexamined: bool,
    /// Whether every supply was known at the last scan.
    all_supplies_known: bool,
    reported: Reported,
}

/// A place that has to be watched for changes.
#[derive(Debug, Clone, Copy)]
pub enum Watched<'p> {
    /// Every entry of this directory.
    Directory(&'p Path),
    /// This file.
    File(&'p Path),
}

/// A change without an event in a directory.
pub(super) enum Changed {
    /// The bundles changed. The files have to be scanned.
    Bundles,
    /// A file was compiled, and can be put in place.
    Loaded(Box<Result<Loaded, JoinError>>),
}

impl Catalog {
    /// Reads the settings, then loads the built-in plugins and the files.
    pub async fn open(
        chain: Arc<Chain>,
        metrics: PluginMetrics,
        supplies: Vec<Supply>,
        settings: SettingsSource,
    ) -> Result<Self, SandboxError> {
        let settings = CurrentSettings::open(settings)?;
        let builtins = builtin::load(chain.sandbox(), &metrics).await?;
        let loader = Loader {
            sandbox: Arc::clone(chain.sandbox()),
            metrics,
        };
        let mut catalog = Self {
            chain,
            loader: Arc::new(loader),
            settings,
            supplies,
            supplied: Arc::default(),
            files: BTreeMap::new(),
            builtins: builtins.into_iter().map(Entry::builtin).collect(),
            loads: JoinSet::new(),
            unsettled_since: None,
            has_unexamined: true,
            all_supplies_known: false,
            reported: Reported::default(),
        };
        catalog.rescan().await;
        Ok(catalog)
    }

    /// The chain that asks these plugins.
    #[must_use]
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// The directories and the file that have to be watched for changes.
    pub fn watched(&self) -> impl Iterator<Item = Watched<'_>> {
        let directories = self.supplies.iter().filter_map(|supply| match supply {
            Supply::Directory(path) => Some(Watched::Directory(path)),
            Supply::Bundles(_) => None,
        });
        directories.chain(self.settings.file().map(Watched::File))
    }

    /// Waits for a change that causes no event in a directory.
    pub(super) async fn changed(&mut self) -> Changed {
        tokio::select! {
            () = bundles_changed(&mut self.supplies) => Changed::Bundles,
            Some(loaded) = self.loads.join_next() => Changed::Loaded(Box::new(loaded)),
        }
    }

    /// Scans, and waits until all files that have to be compiled are compiled. A file that changed meanwhile is compiled
    /// once more.
    pub async fn rescan(&mut self) {
        for _ in 0..2 {
            self.scan().await;
            while let Some(loaded) = self.loads.join_next().await {
                self.take(loaded).await;
            }
            if !self.has_unexamined {
                return;
            }
        }
    }

    /// Reads every file again and compares its bytes: neither the kind of an event nor a modification time shows
    /// reliably that a mounted file changed.
    pub(super) async fn scan(&mut self) {
        self.refresh_settings().await;
        let settings = self.settings.get().clone();
        let (files, all_known) = Files::of(&mut self.supplies);
        self.all_supplies_known = all_known;
        self.supplied = Arc::new(files);
        let Some(listing) = list(&self.supplied, settings.files_per_directory()).await else {
            return;
        };
        self.has_unexamined = true;
        let gone = self.mark_gone(&listing);
        for (key, _) in &listing.files {
            let new = || Entry::new(key.origin());
            self.files.entry(key.clone()).or_insert_with(new);
        }
        for entry in self.files.values_mut().chain(&mut self.builtins) {
            entry.retry_if_due();
        }
        self.report_bundles();
        self.report_directories(listing.unreadable_directories);
        self.put_in_place(&settings);
        self.retune_builtins(&settings).await;
        for (key, is_within) in &listing.files {
            let changed = if *is_within {
                self.examine(key, &settings).await
            } else {
                let limit = settings.files_per_directory();
                let entry = self.files.get_mut(key);
                entry.is_some_and(|entry| entry.exclude(&self.loader, limit))
            };
            if changed {
                self.put_in_place(&settings);
            }
        }
        self.retune_previous().await;
        self.has_unexamined = false;
        self.settle();
        self.report_leaving(&gone);
        self.check_complete();
    }

    /// Takes the result of a task. An aborted task has no result, because another version replaced it.
    pub(super) async fn take(&mut self, loaded: Result<Loaded, JoinError>) {
        if let Ok(Loaded {
            key,
            version,
            plugin,
        }) = loaded
        {
            self.finish(&key, version, plugin).await;
        }
        self.settle();
        // What waited until everything is loaded may have waited since before the settings changed.
        self.retune_previous().await;
        self.check_complete();
    }

    async fn finish(
        &mut self,
        key: &FileKey,
        version: Version,
        plugin: Option<Result<Plugin, LoadError>>,
    ) {
        let settings = self.settings.get().clone();
        let Some(entry) = self.files.get_mut(key).filter(|entry| entry.has(&version)) else {
            return;
        };
        let Some(plugin) = plugin else {
            // The file changed, so a scan follows.
            entry.forget_version();
            self.has_unexamined = true;
            return;
        };
        let loader = Arc::clone(&self.loader);
        let digest = version.digest;
        if entry.finish(&loader, version, plugin) {
            self.put_in_place(&settings);
        }
        // The settings may have changed while the file was compiled.
        let entry = self.files.get_mut(key);
        let Some(entry) = entry.filter(|entry| entry.serves(digest)) else {
            return;
        };
        let tuning = Arc::clone(settings.tuning(entry.origin().key()));
        if entry.retune(&loader, Version { digest, tuning }).await {
            self.put_in_place(&settings);
        }
    }

    async fn retune_builtins(&mut self, settings: &Settings) {
        let loader = Arc::clone(&self.loader);
        for index in 0..self.builtins.len() {
            let entry = &mut self.builtins[index];
            let version = Version {
                digest: None,
                tuning: Arc::clone(settings.tuning(entry.origin().key())),
            };
            if entry.retune(&loader, version).await {
                self.put_in_place(settings);
            }
        }
    }

    /// Applies the settings to the plugins that serve in the place of what their files are now.
    async fn retune_previous(&mut self) {
        let settings = self.settings.get().clone();
        let mut changed = false;
        for entry in self.files.values_mut() {
            let tuning = settings.tuning(entry.origin().key());
            changed |= entry.retune_previous(&self.loader, tuning).await;
        }
        if changed {
            self.put_in_place(&settings);
        }
    }

    /// Reads and inspects one file. Returns whether anything changed immediately. A file that has to be compiled
    /// changes nothing yet.
    async fn examine(&mut self, key: &FileKey, settings: &Settings) -> bool {
        let Some(entry) = self.files.get_mut(key) else {
            return false;
        };
        let loader = Arc::clone(&self.loader);
        let tuning = Arc::clone(settings.tuning(entry.origin().key()));
        let known = entry.known_digests(&tuning);
        let examined = examine_apart(&self.supplied, key, &tuning, known).await;
        let (digest, inspected) = match examined {
            Ok(examined) => examined,
            Err(error) => {
                entry.forget_version();
                return entry.refuse(&loader, &error);
            }
        };
        let version = Version {
            digest: Some(digest),
            tuning,
        };
        match inspected {
            None if entry.serves(Some(digest)) => entry.retune(&loader, version).await,
            None => false,
            Some(Err(error)) => entry.finish(&loader, version, Err(error)),
            Some(Ok(inspected)) => {
                let candidate = Candidate {
                    key: key.clone(),
                    version: version.clone(),
                    inspected,
                };
                let task = load(loader, Arc::clone(&self.supplied), candidate);
                entry.begin(version, self.loads.spawn(task));
                false
            }
        }
    }

    async fn refresh_settings(&mut self) {
        let Some(refreshed) = self.settings.refresh().await else {
            return;
        };
        self.loader.metrics.set_settings_usable(refreshed.is_ok());
        match refreshed {
            Ok(()) => {
                tracing::info!("plugin settings read");
                self.reported.unknown.clear();
            }
            Err(error) => {
                tracing::error!(error = %stoker_report::chain(&error), "the plugin settings cannot be used, and the previous ones stay in force");
            }
        }
    }

    fn check_complete(&mut self) {
        if self.all_supplies_known && self.is_settled() {
            self.chain.set_complete();
            self.report_unknown_settings();
        }
    }
}

/// Waits until the bundles of any supply differ from those of the last scan. Never returns if no supply has bundles.
async fn bundles_changed(supplies: &mut [Supply]) {
    let bundles = supplies.iter_mut().filter_map(|supply| match supply {
        Supply::Bundles(bundles) => Some(Box::pin(bundles.changed())),
        Supply::Directory(_) => None,
    });
    let mut changes: FuturesUnordered<_> = bundles.collect();
    while let Some(changed) = changes.next().await {
        // A supply whose sender is gone never changes again.
        if changed.is_ok() {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Lists the files. `None` if the listing task ended early, so that the files are not known.
async fn list(files: &Arc<Files>, limit: usize) -> Option<Listing> {
    let files = Arc::clone(files);
    tokio::task::spawn_blocking(move || Listing::of(&files, limit))
        .await
        .ok()
}

/// Reads and inspects a file on a thread that may block.
async fn examine_apart(
    files: &Arc<Files>,
    key: &FileKey,
    tuning: &Tuning,
    known: Vec<Digest>,
) -> Result<(Digest, Option<Result<Inspected, LoadError>>), LoadError> {
    let (files, key, limit) = (
        Arc::clone(files),
        key.clone(),
        tuning.limits.component_bytes,
    );
    let examine = move || examine(&files, &key, limit, |digest| known.contains(&digest));
    let examined = tokio::task::spawn_blocking(examine).await;
    examined.unwrap_or_else(|error| Err(std::io::Error::from(error).into()))
}
