//! The settings file: what operators say of plugins, in YAML.
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
//! A plugin is named by its file without `.wasm`, a built-in one by its name: what a component calls itself is known
//! only after it was asked, and it is asked with its settings.

mod file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use self::file::File;
use super::error::SettingsError;
use super::limits::Limits;

/// Plugin files that are read from one directory, unless the settings say otherwise.
const FILES_PER_DIRECTORY: usize = 64;
/// The largest settings file, in bytes; a ConfigMap holds no more.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What one plugin gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// What it may use.
    pub limits: Limits,
    /// What it is told when it asks for a setting.
    pub settings: BTreeMap<String, String>,
    /// Whether it is asked at all.
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

/// What operators say of all plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    files_per_directory: usize,
    common: Arc<Tuning>,
    plugins: BTreeMap<String, Arc<Tuning>>,
}

impl Settings {
    /// Without a file: everybody gets the same.
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

    /// Reads the text of a file; `limits` are those of which it says nothing.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, SettingsError> {
        // Lines around a fault would bring settings into the log.
        let options = serde_saphyr::options! { with_snippet: false };
        let file: Result<Option<File>, _> = serde_saphyr::from_str_with_options(text, options);
        let file = file.map_err(|error| SettingsError::Format {
            why: error.to_string(),
        })?;
        file.unwrap_or_default().mean(limits)
    }

    /// The plugin files that are read from one directory.
    #[must_use]
    pub fn files_per_directory(&self) -> usize {
        self.files_per_directory
    }

    /// What the plugin of this key gets.
    #[must_use]
    pub fn tuning(&self, key: &str) -> &Arc<Tuning> {
        self.plugins.get(key).unwrap_or(&self.common)
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

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct SettingsSource {
    /// The file; without one, every plugin gets the limits below and no settings.
    pub file: Option<PathBuf>,
    /// The limits of which the file says nothing.
    pub limits: Limits,
}

/// The settings as they are in force, and the bytes they come from.
#[derive(Debug)]
pub(super) struct CurrentSettings {
    source: SettingsSource,
    digest: Option<[u8; 32]>,
    refused: Option<String>,
    settings: Settings,
}

impl CurrentSettings {
    /// Reads the file, which must be there and must be right.
    pub(super) fn open(source: SettingsSource) -> Result<Self, SettingsError> {
        let mut current = Self {
            digest: None,
            refused: None,
            settings: Settings::new(source.limits.clone()),
            source,
        };
        if let Some(content) = current.changed()? {
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

    /// Reads the file again. Where it is gone or wrong, what was in force before stays. None where nothing is new.
    pub(super) fn refresh(&mut self) -> Option<Result<(), SettingsError>> {
        let result = match self.changed() {
            Ok(None) => return None,
            Ok(Some(content)) => self.take(&content),
            Err(error) => {
                // When it is there again, it is news whatever it says.
                self.digest = None;
                Err(error)
            }
        };
        let refused = result.as_ref().err().map(ToString::to_string);
        let is_known = refused.is_some() && refused == self.refused;
        self.refused = refused;
        (!is_known).then_some(result)
    }

    /// The content, if it is not the one that was read last.
    fn changed(&self) -> Result<Option<Vec<u8>>, SettingsError> {
        let Some(file) = &self.source.file else {
            return Ok(None);
        };
        let content = read(file).map_err(|source| SettingsError::Unreadable {
            file: file.display().to_string(),
            source,
        })?;
        Ok((self.digest != Some(digest(&content))).then_some(content))
    }

    fn take(&mut self, content: &[u8]) -> Result<(), SettingsError> {
        // One that is wrong is not looked at again before it changes.
        self.digest = Some(digest(content));
        let text = std::str::from_utf8(content).map_err(|error| SettingsError::Format {
            why: error.to_string(),
        })?;
        self.settings = Settings::parse(text, &self.source.limits)?;
        Ok(())
    }
}

fn digest(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;

    let mut content = Vec::new();
    std::fs::File::open(file)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!(
            "it has more than {MAX_FILE_BYTES} bytes"
        )));
    }
    Ok(content)
}

#[cfg(test)]
mod tests;
