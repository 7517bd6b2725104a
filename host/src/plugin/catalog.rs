//! Which plugins there are: the built-in ones and the files in the plugin directories, as they are now.

mod directory;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use self::directory::{FileKey, Found};
use super::builtin;
use super::chain::Detector;
use super::descriptor::Descriptor;
use super::error::{LoadError, SandboxError};
use super::load::{Origin, Plugin};
use super::metrics::PluginMetrics;
use crate::report;

/// The plugins that there are, and what became of each file.
pub struct Catalog {
    detector: Arc<Detector>,
    metrics: PluginMetrics,
    builtins: Vec<Arc<Plugin>>,
    directories: Vec<PathBuf>,
    files: BTreeMap<FileKey, Entry>,
}

/// One file. A file that was replaced by one that cannot be used keeps the last version that could.
#[derive(Default)]
struct Entry {
    digest: Option<[u8; 32]>,
    good: Option<Arc<Plugin>>,
    refused: Option<String>,
}

/// A plugin or a file, and how it stands.
#[derive(Debug, Clone)]
pub struct PluginStatus {
    /// Where it comes from.
    pub origin: Origin,
    /// What it says of itself, where it could be asked.
    pub descriptor: Option<Descriptor>,
    /// How it stands.
    pub state: PluginState,
}

/// How a plugin stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginState {
    /// It is asked.
    Serving,
    /// The version before is asked, because the file that is there now cannot be used.
    ServingPrevious {
        /// Why the new one cannot be used.
        why: String,
    },
    /// It cannot be used.
    Refused {
        /// Why.
        why: String,
    },
    /// A file with its name is asked in its place.
    Replaced {
        /// The file.
        by: String,
    },
}

impl Catalog {
    /// Loads the built-in plugins, then the files.
    pub async fn open(
        detector: Arc<Detector>,
        metrics: PluginMetrics,
        directories: Vec<PathBuf>,
    ) -> Result<Self, SandboxError> {
        let builtins = builtin::load(detector.sandbox(), &metrics).await?;
        let mut catalog = Self {
            detector,
            metrics,
            builtins,
            directories,
            files: BTreeMap::new(),
        };
        catalog.rescan().await;
        Ok(catalog)
    }

    /// The plugin directories.
    #[must_use]
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Looks at every file again, by its bytes: neither the kind of an event nor a time of modification tells
    /// reliably that a mounted file changed. What changed is loaded, one file at a time, and put in place at once.
    pub async fn rescan(&mut self) {
        let limits = self.detector.sandbox().limits().clone();
        let directories = self.directories.clone();
        let found =
            tokio::task::spawn_blocking(move || directory::read(&directories, &limits)).await;
        let Ok(found) = found else { return };
        self.forget_missing(&found);
        for (key, content) in found {
            self.refresh(key, content).await;
        }
        self.put_in_place();
    }

    /// How everything stands: files first, as they are asked, then the built-in plugins.
    #[must_use]
    pub fn status(&self) -> Vec<PluginStatus> {
        let (_, duplicates) = self.assemble();
        let files = self.files.iter().map(|(key, entry)| PluginStatus {
            origin: key.origin(),
            descriptor: entry
                .good
                .as_ref()
                .map(|plugin| plugin.descriptor().clone()),
            state: state(entry, duplicates.get(key)),
        });
        let builtins = self.builtins.iter().map(|plugin| PluginStatus {
            origin: plugin.origin().clone(),
            descriptor: Some(plugin.descriptor().clone()),
            state: match self.replacement(plugin, &duplicates) {
                Some(by) => PluginState::Replaced {
                    by: by.origin().to_string(),
                },
                None => PluginState::Serving,
            },
        });
        files.chain(builtins).collect()
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

    async fn refresh(&mut self, key: FileKey, content: Found) {
        let entry = self.files.entry(key.clone()).or_default();
        let loaded = match content {
            Ok(bytes) => {
                let digest: [u8; 32] = Sha256::digest(&bytes).into();
                if entry.digest == Some(digest) {
                    return;
                }
                entry.digest = Some(digest);
                Plugin::load(self.detector.sandbox(), &self.metrics, key.origin(), bytes).await
            }
            Err(error) => {
                entry.digest = None;
                Err(error)
            }
        };
        let refused = loaded
            .as_ref()
            .err()
            .map(|error| report::chain(error).to_string());
        if let Ok(plugin) = loaded {
            let Descriptor { name, version, .. } = plugin.descriptor();
            tracing::info!(plugin.file = %key, plugin.name = %name, plugin.version = %version, "plugin loaded");
            entry.good = Some(Arc::new(plugin));
        } else if entry.refused == refused {
            return;
        } else if let Some(why) = &refused {
            let keeps = entry.good.is_some();
            tracing::warn!(plugin.file = %key, error = %why, previous_version_serves = keeps, "plugin refused");
        }
        self.metrics.reloaded(refused.is_none());
        self.metrics.set_usable(&key.origin(), refused.is_none());
        entry.refused = refused;
    }

    fn put_in_place(&mut self) {
        let (plugins, duplicates) = self.assemble();
        for (key, why) in &duplicates {
            let news = self
                .files
                .get(key)
                .is_some_and(|entry| entry.refused.as_ref() != Some(why));
            if news {
                tracing::warn!(plugin.file = %key, error = %why, "plugin refused");
                self.metrics.set_usable(&key.origin(), false);
            }
        }
        self.detector.replace(plugins);
    }

    /// The chain: files by directory and name, then the built-in plugins. A file with the name of a built-in one
    /// takes its place there, or a replaced `generic` would be asked before everybody else.
    fn assemble(&self) -> (Vec<Arc<Plugin>>, BTreeMap<FileKey, String>) {
        let mut chain: Vec<Arc<Plugin>> = Vec::new();
        let mut places = self.builtins.clone();
        let mut taken: BTreeMap<&str, String> = BTreeMap::new();
        let mut duplicates = BTreeMap::new();
        for (key, entry) in &self.files {
            let Some(plugin) = &entry.good else { continue };
            let name = plugin.descriptor().name.as_str();
            if let Some(by) = taken.get(name) {
                let error = LoadError::Duplicate {
                    name: name.to_owned(),
                    by: by.clone(),
                };
                duplicates.insert(key.clone(), error.to_string());
                continue;
            }
            taken.insert(name, key.to_string());
            match places
                .iter_mut()
                .find(|builtin| builtin.descriptor().name == name)
            {
                Some(place) => *place = Arc::clone(plugin),
                None => chain.push(Arc::clone(plugin)),
            }
        }
        chain.extend(places);
        (chain, duplicates)
    }

    fn replacement(
        &self,
        builtin: &Plugin,
        duplicates: &BTreeMap<FileKey, String>,
    ) -> Option<&Arc<Plugin>> {
        let files = self
            .files
            .iter()
            .filter(|(key, _)| !duplicates.contains_key(key));
        files
            .filter_map(|(_, entry)| entry.good.as_ref())
            .find(|plugin| plugin.descriptor().name == builtin.descriptor().name)
    }
}

fn state(entry: &Entry, duplicate: Option<&String>) -> PluginState {
    match (duplicate, &entry.refused, &entry.good) {
        (Some(why), ..) | (None, Some(why), None) => PluginState::Refused { why: why.clone() },
        (None, Some(why), Some(_)) => PluginState::ServingPrevious { why: why.clone() },
        (None, None, _) => PluginState::Serving,
    }
}
