//! Which plugins there are: the built-in ones and the files in the plugin directories, as they are now.

mod directory;
mod entry;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::directory::{FileKey, Found};
use self::entry::Entry;
use super::builtin;
use super::chain::Detector;
use super::error::{LoadError, SandboxError};
use super::load::{Origin, Plugin};
use super::metrics::PluginMetrics;
use super::settings::{CurrentSettings, Settings, SettingsSource};
use super::status::{PluginState, Standing};
use crate::report;

/// The plugins that there are, and what became of each file.
pub struct Catalog {
    detector: Arc<Detector>,
    metrics: PluginMetrics,
    settings: CurrentSettings,
    directories: Vec<PathBuf>,
    files: BTreeMap<FileKey, Entry>,
    /// In the order in which they are asked.
    builtins: Vec<(Origin, Entry)>,
    /// Files whose name another one has, as they were told last.
    duplicates: BTreeMap<FileKey, String>,
}

impl Catalog {
    /// Reads the settings, loads the built-in plugins, then the files.
    pub async fn open(
        detector: Arc<Detector>,
        metrics: PluginMetrics,
        directories: Vec<PathBuf>,
        settings: SettingsSource,
    ) -> Result<Self, SandboxError> {
        let settings = CurrentSettings::open(settings)?;
        let builtins = builtin::load(detector.sandbox(), &metrics, settings.get()).await?;
        let builtins = builtins
            .into_iter()
            .map(|plugin| (plugin.origin().clone(), Entry::of(plugin)));
        let mut catalog = Self {
            detector,
            metrics,
            settings,
            directories,
            files: BTreeMap::new(),
            builtins: builtins.collect(),
            duplicates: BTreeMap::new(),
        };
        catalog.rescan().await;
        catalog.tell_unknown_settings();
        Ok(catalog)
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
        self.directories
            .iter()
            .map(PathBuf::as_path)
            .chain(settings)
    }

    /// Looks at every file again, by its bytes: neither the kind of an event nor a time of modification tells
    /// reliably that a mounted file changed. What changed is loaded, one file at a time, and put in place at once.
    pub async fn rescan(&mut self) {
        self.refresh_settings();
        let settings = self.settings.get().clone();
        let found = self.read(&settings).await;
        self.forget_missing(&found);
        let (sandbox, metrics) = (self.detector.sandbox(), &self.metrics);
        for (key, content) in found {
            let origin = key.origin();
            let tuning = settings.tuning(origin.key());
            let entry = self.files.entry(key).or_default();
            entry
                .refresh(sandbox, metrics, &origin, Some(content), tuning)
                .await;
        }
        for (origin, entry) in &mut self.builtins {
            let tuning = settings.tuning(origin.key());
            entry.refresh(sandbox, metrics, origin, None, tuning).await;
        }
        self.put_in_place(&settings);
    }

    async fn read(&self, settings: &Settings) -> Vec<(FileKey, Found)> {
        let (directories, settings) = (self.directories.clone(), settings.clone());
        tokio::task::spawn_blocking(move || directory::read(&directories, &settings))
            .await
            .unwrap_or_default()
    }

    fn refresh_settings(&mut self) {
        let Some(refreshed) = self.settings.refresh() else {
            return;
        };
        self.metrics.set_settings_usable(refreshed.is_ok());
        match refreshed {
            Ok(()) => {
                tracing::info!("plugin settings read");
                self.tell_unknown_settings();
            }
            Err(error) => {
                tracing::error!(error = %report::chain(&error), "the plugin settings cannot be used, and those before stay in force");
            }
        }
    }

    /// A plugin that is named may come later; more often its name is mistyped.
    fn tell_unknown_settings(&self) {
        let origins = self.files.keys().map(FileKey::origin);
        let origins = origins.chain(self.builtins.iter().map(|(origin, _)| origin.clone()));
        let origins: Vec<_> = origins.collect();
        for key in self.settings.get().keys() {
            if !origins.iter().any(|origin| origin.key() == key) {
                tracing::warn!(
                    plugin.key = key,
                    "the plugin settings name a plugin that is not there"
                );
            }
        }
    }

    fn forget_missing(&mut self, found: &[(FileKey, Found)]) {
        let metrics = &self.metrics;
        self.files.retain(|key, _| {
            let is_there = found.iter().any(|(other, _)| other == key);
            if !is_there {
                tracing::info!(plugin.file = %key, "plugin file is gone");
                metrics.forget(&key.origin());
            }
            is_there
        });
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
        self.detector.replace(chain, aside);
    }

    fn tell_duplicates(&mut self, duplicates: BTreeMap<FileKey, String>) {
        for (key, why) in &duplicates {
            if self.duplicates.get(key) != Some(why) {
                tracing::warn!(plugin.file = %key, error = %why, "plugin refused");
            }
            self.metrics.set_usable(&key.origin(), false);
        }
        for key in self.duplicates.keys() {
            let is_usable = self
                .files
                .get(key)
                .is_some_and(|entry| entry.state() == PluginState::Serving);
            if is_usable && !duplicates.contains_key(key) {
                self.metrics.set_usable(&key.origin(), true);
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
    origin: &'a Origin,
    entry: &'a Entry,
    plugin: Option<&'a Arc<Plugin>>,
    replacement: Option<Standing>,
}

impl<'a> Place<'a> {
    fn of((origin, entry): &'a (Origin, Entry)) -> Self {
        Self {
            origin,
            entry,
            plugin: entry.plugin(),
            replacement: None,
        }
    }

    fn is_of(&self, name: &str) -> bool {
        self.plugin
            .is_some_and(|plugin| plugin.descriptor().name == name)
    }

    fn put(self, settings: &Settings, chain: &mut Vec<Standing>, aside: &mut Vec<Standing>) {
        let standing = |state| Standing::new(self.origin.to_string(), self.plugin, None, state);
        if let Some(replacement) = self.replacement {
            let by = replacement.status.from.clone();
            chain.push(replacement);
            aside.push(standing(PluginState::Replaced { by }));
        } else if settings.tuning(self.origin.key()).enabled {
            chain.push(standing(self.entry.state()));
        } else {
            aside.push(standing(PluginState::Disabled));
        }
    }
}
