//! The settings file: the limits and the settings of each plugin, in YAML.
//!
//! ```yaml
//! pluginsPerDirectory: 64
//! limits:
//!   wallTime: 50ms
//!   memory: 16Mi
//! plugins:
//!   generic:
//!     settings: {ref: /build/tag}
//!   acme:
//!     limits: {wallTime: 20ms}
//! ```
//!
//! The key of a plugin is the name of its file without `.wasm`, or the name of a built-in one. The name in a
//! component's description is not a key of limits and settings, because it is known only after `describe` ran, and
//! `describe` runs with them. `enabled: false` also applies to the plugins with this name in their description.

mod file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_saphyr::UserMessageFormatter;
use sha2::{Digest as _, Sha256};

use self::file::File;
use super::error::SettingsError;
use super::limits::Limits;

/// The default number of plugin files that are read from one directory.
const FILES_PER_DIRECTORY: usize = 64;
/// The maximum size of the settings file, in bytes. A ConfigMap cannot be larger.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The limits and the settings of one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// The limits of the plugin.
    pub limits: Limits,
    /// The settings that it can read.
    pub settings: BTreeMap<String, String>,
    /// Whether it is asked.
    pub enabled: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            settings: BTreeMap::new(),
            enabled: true,
        }
    }
}

/// The settings of all plugins, as operators write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    files_per_directory: usize,
    common: Arc<Tuning>,
    plugins: BTreeMap<String, Arc<Tuning>>,
}

impl Settings {
    /// The settings without a file: every plugin has the same limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            files_per_directory: FILES_PER_DIRECTORY,
            common: Arc::new(Tuning {
                limits,
                ..Tuning::default()
            }),
            plugins: BTreeMap::new(),
        }
    }

    /// Parses the text of a file. `limits` are the defaults.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, SettingsError> {
        // A snippet around a fault would write settings to the log.
        let options = serde_saphyr::options! { with_snippet: false };
        let file: Result<Option<File>, _> = serde_saphyr::from_str_with_options(text, options);
        let file = file.map_err(|error| SettingsError::Format {
            why: error.render_with_formatter(&UserMessageFormatter),
        })?;
        file.unwrap_or_default().settings(limits)
    }

    /// The number of plugin files that are read from one directory.
    #[must_use]
    pub fn files_per_directory(&self) -> usize {
        self.files_per_directory
    }

    /// The limits and the settings of the plugin with this key.
    #[must_use]
    pub fn tuning(&self, key: &str) -> &Arc<Tuning> {
        self.plugins.get(key).unwrap_or(&self.common)
    }

    /// Whether the file disables the plugin with this key or this name.
    #[must_use]
    pub fn disables(&self, name: &str) -> bool {
        self.plugins.get(name).is_some_and(|tuning| !tuning.enabled)
    }

    /// The plugins that the file names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.plugins.keys().map(String::as_str)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

/// The source of the settings.
#[derive(Debug, Clone, Default)]
pub struct SettingsSource {
    /// The settings file. Without it, every plugin has the default limits below and no settings.
    pub file: Option<PathBuf>,
    /// The default limits.
    pub limits: Limits,
}

/// The settings in force, and the digest of the file they come from.
#[derive(Debug)]
pub(super) struct CurrentSettings {
    source: SettingsSource,
    digest: Option<[u8; 32]>,
    refused: Option<String>,
    settings: Settings,
}

impl CurrentSettings {
    /// Reads the file, which must exist and be valid.
    pub(super) fn open(source: SettingsSource) -> Result<Self, SettingsError> {
        let mut current = Self {
            digest: None,
            refused: None,
            settings: Settings::new(source.limits.clone()),
            source,
        };
        if let Some(file) = current.file() {
            let content = read(file)?;
            current.take(&content)?;
        }
        Ok(current)
    }

    pub(super) fn file(&self) -> Option<&Path> {
        self.source.file.as_deref()
    }

    pub(super) fn get(&self) -> &Settings {
        &self.settings
    }

    /// Reads the file again. If it is gone or invalid, the settings stay the same. Returns `None` if nothing changed.
    pub(super) async fn refresh(&mut self) -> Option<Result<(), SettingsError>> {
        let file = self.source.file.clone()?;
        // While a file system does not answer, the settings stay the same.
        let reading = tokio::task::spawn_blocking(move || read(&file));
        let result = match reading.await.ok()? {
            Ok(content) if self.digest == Some(digest(&content)) => return None,
            Ok(content) => self.take(&content),
            Err(error) => {
                // When the file exists again, it is read in any case.
                self.digest = None;
                Err(error)
            }
        };
        let refused = result.as_ref().err();
        let refused = refused.map(|error| stoker_report::chain(error).to_string());
        let is_known = refused.is_some() && refused == self.refused;
        self.refused = refused;
        (!is_known).then_some(result)
    }

    fn take(&mut self, content: &[u8]) -> Result<(), SettingsError> {
        // An invalid file is not parsed again until it changes.
        self.digest = Some(digest(content));
        let text = std::str::from_utf8(content).map_err(|error| SettingsError::Format {
            why: error.to_string(),
        })?;
        self.settings = Settings::parse(text, &self.source.limits)?;
        Ok(())
    }
}

fn read(file: &Path) -> Result<Vec<u8>, SettingsError> {
    stoker_process::read_regular_file(file, MAX_FILE_BYTES).map_err(|source| {
        SettingsError::Unreadable {
            file: file.display().to_string(),
            source,
        }
    })
}

fn digest(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

#[cfg(test)]
mod tests;
