//! Which plugins there are: the built-in ones and the files in the plugin directories, as they are now.

mod directory;
mod entry;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::directory::read_component;
use self::directory::{FileKey, Listing, Stock};
use self::entry::{Entry, Workshop};
use super::builtin;
use super::chain::Detector;
use super::error::{LoadError, SandboxError};
use super::metrics::PluginMetrics;
use super::settings::{CurrentSettings, Settings, SettingsSource};
use super::status::{PluginState, Standing};
use super::supply::{SuppliedFiles, Supply};
use crate::report;

/// Where drop-in plugins come from.
#[derive(Debug, Clone, Default)]
pub struct PluginSources {
    /// Directories of plugin files.
    pub directories: Vec<PathBuf>,
    /// Files that somebody else follows, where somebody does.
    pub supply: Option<Supply>,
}

/// The plugins that there are, and what became of each file.
pub struct Catalog {
    detector: Arc<Detector>,
    metrics: PluginMetrics,
    settings: CurrentSettings,
    stock: Arc<Stock>,
    supply: Option<Supply>,
    files: BTreeMap<FileKey, Entry>,
    /// In the order in which they are asked.
    builtins: Vec<Entry>,
    /// Files whose name another one has, as they were told last.
    duplicates: BTreeMap<FileKey, String>,
    /// Plugins that the settings name and nobody knows, as they were told.
    told: BTreeSet<String>,
}

impl Catalog {
    /// Reads the settings, loads the built-in plugins, then the files.
    pub async fn open(
        detector: Arc<Detector>,
        metrics: PluginMetrics,
        sources: PluginSources,
        settings: SettingsSource,
    ) -> Result<Self, SandboxError> {
        let settings = CurrentSettings::open(settings)?;
        let builtins = builtin::load(detector.sandbox(), &metrics).await?;
        let mut catalog = Self {
            detector,
            metrics,
            settings,
            stock: Arc::new(Stock {
                directories: sources.directories,
                supplied: SuppliedFiles::default(),
            }),
            supply: sources.supply,
            files: BTreeMap::new(),
            builtins: builtins.into_iter().map(Entry::builtin).collect(),
            duplicates: BTreeMap::new(),
            told: BTreeSet::new(),
        };
        catalog.rescan().await;
        Ok(catalog)
    }

    /// Who asks these plugins.
    #[must_use]
    pub fn detector(&self) -> &Arc<Detector> {
        &self.detector
    }

    /// The directories in which something may change.
    pub fn watched(&self) -> impl Iterator<Item = &Path> {
        let settings = self.settings.file().and_then(Path::parent);
        // A bare file name has an empty parent.
        let settings = settings.map(|parent| {
            if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            }
        });
        self.stock
            .directories
            .iter()
            .map(PathBuf::as_path)
            .chain(settings)
    }

    /// Waits until other files are supplied than those that were looked at.
    pub(super) async fn supplied_anew(&mut self) {
        let changed = match &mut self.supply {
            Some(supply) => supply.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            // Nobody supplies any.
            std::future::pending::<()>().await;
        }
    }

    /// Looks at every file again, by its bytes: neither the kind of an event nor a time of modification tells
    /// reliably that a mounted file changed. What changed is loaded, one file at a time, and put in place at once; what
    /// is gone or switched off does not wait for that.
    pub async fn rescan(&mut self) {
        self.refresh_settings();
        let settings = self.settings.get().clone();
        let is_complete = self.take_supply();
        let Some(listing) = self.list(settings.files_per_directory()).await else {
            return;
        };
        self.forget_missing(&listing);
        for (key, _) in &listing.files {
            let new = || Entry::new(key.origin());
            self.files.entry(key.clone()).or_insert_with(new);
        }
        self.put_in_place(&settings);
        let detector = Arc::clone(&self.detector);
        let metrics = self.metrics.clone();
        let workshop = Workshop {
            sandbox: detector.sandbox(),
            metrics: &metrics,
        };
        for index in 0..self.builtins.len() {
            let entry = &mut self.builtins[index];
            let tuning = settings.tuning(entry.origin().key());
            if entry.retune(&workshop, tuning).await {
                self.put_in_place(&settings);
            }
        }
        for (key, is_within) in &listing.files {
            if self.look(&workshop, key, *is_within, &settings).await {
                self.put_in_place(&settings);
            }
        }
        if is_complete {
            self.detector.set_complete();
            self.tell_unknown_settings();
        }
    }

    /// Takes what is supplied at the moment. False as long as that is not known.
    fn take_supply(&mut self) -> bool {
        let Some(supply) = &mut self.supply else {
            return true;
        };
        let Some(supplied) = supply.borrow_and_update().clone() else {
            return false;
        };
        if self.stock.supplied != supplied {
            self.stock = Arc::new(Stock {
                directories: self.stock.directories.clone(),
                supplied,
            });
        }
        true
    }

    async fn look(
        &mut self,
        workshop: &Workshop<'_>,
        key: &FileKey,
        is_within: bool,
        settings: &Settings,
    ) -> bool {
        let Some(entry) = self.files.get_mut(key) else {
            return false;
        };
        if is_within {
            let tuning = settings.tuning(entry.origin().key());
            entry.look(workshop, &self.stock, key, tuning).await
        } else {
            entry.exclude(workshop, settings.files_per_directory())
        }
    }

    /// None where the task that lists them ended early, so that nothing is known.
    async fn list(&self, limit: usize) -> Option<Listing> {
        let stock = Arc::clone(&self.stock);
        tokio::task::spawn_blocking(move || Listing::of(&stock, limit))
            .await
            .ok()
    }

    fn refresh_settings(&mut self) {
        let Some(refreshed) = self.settings.refresh() else {
            return;
        };
        self.metrics.set_settings_usable(refreshed.is_ok());
        match refreshed {
            Ok(()) => {
                tracing::info!("plugin settings read");
                self.told.clear();
            }
            Err(error) => {
                tracing::error!(error = %report::chain(&error), "the plugin settings cannot be used, and those before stay in force");
            }
        }
    }

    /// A plugin that is named may come later; more often its name is mistyped. Said once.
    fn tell_unknown_settings(&mut self) {
        let entries = self.files.values().chain(&self.builtins);
        let known: BTreeSet<_> = entries.map(|entry| entry.origin().key()).collect();
        let unknown = self
            .settings
            .get()
            .keys()
            .filter(|key| !known.contains(key));
        for key in unknown {
            if self.told.insert(key.to_owned()) {
                tracing::warn!(
                    plugin.key = key,
                    "the plugin settings name a plugin that is not there"
                );
            }
        }
    }

    fn forget_missing(&mut self, listing: &Listing) {
        let (gone, there): (BTreeMap<_, _>, _) = std::mem::take(&mut self.files)
            .into_iter()
            .partition(|(key, _)| !listing.may_have(key));
        self.files = there;
        for (key, entry) in gone {
            tracing::info!(plugin.file = %key, "plugin file is gone");
            // A file of the same name may lie in another directory.
            let is_left = self
                .files
                .values()
                .any(|other| other.origin() == entry.origin());
            if !is_left {
                self.metrics.forget(entry.origin());
            }
        }
    }

    /// The chain: files by directory and name, then the built-in plugins. A file with the name of a built-in one
    /// takes its place there, or a replaced `generic` would be asked before everybody else.
    fn put_in_place(&mut self, settings: &Settings) {
        let mut chain: Vec<Standing> = Vec::new();
        let mut places: Vec<_> = self.builtins.iter().map(Place::of).collect();
        let (mut aside, mut duplicates) = (Vec::new(), BTreeMap::new());
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        for (key, entry) in &self.files {
            let standing =
                |state| Standing::new(key.to_string(), entry.plugin(), entry.sha256(), state);
            let is_enabled = settings.tuning(key.origin().key()).enabled;
            let Some(plugin) = entry.plugin().filter(|_| is_enabled) else {
                let state = if is_enabled {
                    entry.state()
                } else {
                    PluginState::Disabled
                };
                aside.push(standing(state));
                continue;
            };
            let name = &plugin.descriptor().name;
            if let Some(by) = taken.get(name) {
                let why = duplicate(name, by);
                aside.push(standing(PluginState::Refused { why: why.clone() }));
                duplicates.insert(key.clone(), why);
                continue;
            }
            taken.insert(name.clone(), key.to_string());
            let standing = standing(entry.state());
            match places.iter_mut().find(|place| place.is_of(name)) {
                Some(place) => place.replacement = Some(standing),
                None => chain.push(standing),
            }
        }
        for place in places {
            place.put(settings, &mut chain, &mut aside);
        }
        self.tell_duplicates(duplicates);
        self.tell_usable(chain.iter().chain(&aside));
        self.detector.replace(chain, aside);
    }

    fn tell_usable<'a>(&self, standings: impl Iterator<Item = &'a Standing>) {
        let mut usable = BTreeMap::new();
        for standing in standings {
            // What is switched off, or replaced, is so on purpose, and what is loading is not known to be refused.
            let is_refused = match standing.status.state {
                PluginState::Refused { .. } | PluginState::ServingPrevious { .. } => true,
                PluginState::Loading
                | PluginState::Serving
                | PluginState::Benched
                | PluginState::Replaced { .. }
                | PluginState::Disabled => false,
            };
            *usable.entry(standing.status.from.as_str()).or_default() |= !is_refused;
        }
        let entries = self.files.values().chain(&self.builtins);
        for origin in entries.map(Entry::origin) {
            let is_usable = usable.get(origin.to_string().as_str()).copied();
            self.metrics
                .set_usable(origin, is_usable.unwrap_or_default());
        }
    }

    fn tell_duplicates(&mut self, duplicates: BTreeMap<FileKey, String>) {
        for (key, why) in &duplicates {
            if self.duplicates.get(key) != Some(why) {
                tracing::warn!(plugin.file = %key, error = %why, "plugin refused");
            }
        }
        self.duplicates = duplicates;
    }
}

fn duplicate(name: &str, by: &str) -> String {
    let (name, by) = (name.to_owned(), by.to_owned());
    LoadError::Duplicate { name, by }.to_string()
}

/// The place of a built-in plugin in the chain.
struct Place<'a> {
    entry: &'a Entry,
    replacement: Option<Standing>,
}

impl<'a> Place<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            entry,
            replacement: None,
        }
    }

    fn is_of(&self, name: &str) -> bool {
        self.entry
            .plugin()
            .is_some_and(|plugin| plugin.descriptor().name == name)
    }

    fn put(self, settings: &Settings, chain: &mut Vec<Standing>, aside: &mut Vec<Standing>) {
        let (origin, plugin) = (self.entry.origin(), self.entry.plugin());
        let standing = |state| Standing::new(origin.to_string(), plugin, None, state);
        if let Some(replacement) = self.replacement {
            let by = replacement.status.from.clone();
            chain.push(replacement);
            aside.push(standing(PluginState::Replaced { by }));
        } else if settings.tuning(origin.key()).enabled {
            chain.push(standing(self.entry.state()));
        } else {
            aside.push(standing(PluginState::Disabled));
        }
    }
}
