use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::fs::{File, FileType};
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::super::component::check_size;
use super::super::error::LoadError;
use super::super::load::{Origin, is_plugin_file};
use super::super::supply::SuppliedFiles;

/// The SHA-256 of a file.
pub(super) type Digest = [u8; 32];

/// Where a file lies, in the order of the chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// In the directory of this number.
    Directory(usize),
    /// In the bundle of this name.
    Supplied(String),
}

/// A file, in the order of the chain: by directory as it was configured, then by bundle, then by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileKey {
    place: Place,
    name: OsString,
}

impl FileKey {
    pub(super) fn origin(&self) -> Origin {
        Origin::File(self.to_string())
    }
}

impl fmt::Display for FileKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Place::Supplied(bundle) = &self.place {
            write!(out, "{bundle}/")?;
        }
        write!(out, "{}", self.name.display())
    }
}

/// Where plugin files are, and what is known of them without looking.
#[derive(Debug, Clone)]
pub(super) struct Stock {
    pub(super) directories: Vec<PathBuf>,
    pub(super) supplied: SuppliedFiles,
}

impl Stock {
    /// Reads a file of at most so many bytes.
    pub(super) fn read(
        &self,
        key: &FileKey,
        limit: u64,
        known: Option<Digest>,
    ) -> Result<Content, LoadError> {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        match &key.place {
            Place::Directory(number) => {
                let directory = self.directories.get(*number).ok_or_else(missing)?;
                let bytes = read_component(&directory.join(&key.name), limit)?;
                Ok(Content::of(bytes.into(), known))
            }
            Place::Supplied(bundle) => {
                let name = key.name.to_str().ok_or_else(missing)?;
                let bytes = self.supplied.bytes(bundle, name).ok_or_else(missing)?;
                check_size(bytes.len() as u64, limit)?;
                Ok(Content::of(bytes[..].into(), known))
            }
        }
    }
}

/// What lies in the plugin directories, and what is supplied.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Every plugin file, and whether it is within the number that is read.
    pub(super) files: Vec<(FileKey, bool)>,
    /// Directories of which nobody knows at the moment what lies in them.
    unreadable: Vec<Place>,
}

impl Listing {
    /// Lists so many files of each directory and of each bundle. A directory that is not there is empty.
    pub(super) fn of(stock: &Stock, limit: usize) -> Self {
        let mut listing = Self::default();
        for (number, path) in stock.directories.iter().enumerate() {
            let place = Place::Directory(number);
            match names(path) {
                Ok(names) => {
                    let keys = names.into_iter().map(|name| FileKey {
                        place: place.clone(),
                        name,
                    });
                    listing.add(keys, limit);
                }
                Err(error) => {
                    tracing::warn!(directory = %path.display(), error = %error, "cannot read the plugin directory");
                    if error.kind() != std::io::ErrorKind::NotFound {
                        listing.unreadable.push(place);
                    }
                }
            }
        }
        for (bundle, names) in stock.supplied.names() {
            let keys = names.map(|name| FileKey {
                place: Place::Supplied(bundle.to_owned()),
                name: name.into(),
            });
            listing.add(keys, limit);
        }
        listing
    }

    fn add(&mut self, keys: impl Iterator<Item = FileKey>, limit: usize) {
        let keys = keys.enumerate();
        self.files
            .extend(keys.map(|(index, key)| (key, index < limit)));
    }

    /// Whether the file is there, as far as anybody knows.
    pub(super) fn may_have(&self, key: &FileKey) -> bool {
        self.unreadable.contains(&key.place) || self.files.iter().any(|(other, _)| other == key)
    }
}

/// The names of the plugin files, in order.
fn names(directory: &Path) -> std::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        if is_plugin_file(&name) && !directory.join(&name).is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The digest of a file, and its bytes unless they are the ones that are known.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) digest: Digest,
    pub(super) bytes: Option<Vec<u8>>,
}

impl Content {
    fn of(bytes: Cow<'_, [u8]>, known: Option<Digest>) -> Self {
        let digest = Sha256::digest(&bytes).into();
        Self {
            digest,
            bytes: (known != Some(digest)).then(|| bytes.into_owned()),
        }
    }
}

/// Reads the file of a component, of at most `limit` bytes.
pub fn read_component(path: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    // Before it is opened: opening a named pipe waits for a writer.
    let metadata = std::fs::metadata(path)?;
    if let Some(kind) = irregular(metadata.file_type()) {
        let error = std::io::Error::other(format!("it is {kind}, not a regular file"));
        return Err(LoadError::Unreadable(error));
    }
    check_size(metadata.len(), limit)?;
    let mut bytes = Vec::new();
    // Some file systems report a length of 0, and a file can grow.
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    check_size(bytes.len() as u64, limit)?;
    Ok(bytes)
}

/// Returns what a file is instead of a regular file.
fn irregular(kind: FileType) -> Option<&'static str> {
    Some(match kind {
        kind if kind.is_file() => return None,
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    })
}
