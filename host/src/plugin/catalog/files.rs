//! The plugin files at one moment, in their order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::FileType;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::super::component::check_size;
use super::super::error::LoadError;
use super::super::load::{Origin, is_plugin_file};
use super::super::supply::{Bundles, Supply};

/// The SHA-256 of a file.
pub(super) type Digest = [u8; 32];

/// A file. Files are ordered as in the chain: by supply in the configured order, then by bundle, then by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileKey {
    supply: usize,
    /// The directory of the file, if there are several: they may have files of the same name.
    directory: Option<Arc<str>>,
    bundle: Option<String>,
    name: OsString,
}

impl FileKey {
    pub(super) fn origin(&self) -> Origin {
        Origin::File(self.to_string())
    }
}

impl fmt::Display for FileKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(directory) = &self.directory {
            write!(out, "{directory}/")?;
        }
        if let Some(bundle) = &self.bundle {
            write!(out, "{bundle}/")?;
        }
        write!(out, "{}", self.name.display())
    }
}

/// The locations of the plugin files at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files(Vec<Source>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// A directory, and its name if there are several.
    Directory(PathBuf, Option<Arc<str>>),
    Bundles(Bundles),
}

impl Files {
    /// The files that are supplied now, and whether every supply is known.
    pub(super) fn of(supplies: &mut [Supply]) -> (Self, bool) {
        let mut all_known = true;
        let is_directory = |supply: &&Supply| matches!(supply, Supply::Directory(_));
        let has_several = supplies.iter().filter(is_directory).count() > 1;
        let sources = supplies.iter_mut().map(|supply| match supply {
            Supply::Directory(path) => {
                let name = has_several.then(|| directory_name(path));
                Source::Directory(path.clone(), name)
            }
            Supply::Bundles(bundles) => {
                let bundles = bundles.borrow_and_update().clone();
                all_known &= bundles.is_some();
                Source::Bundles(bundles.unwrap_or_default())
            }
        });
        (Self(sources.collect()), all_known)
    }

    /// Reads a file of at most `limit` bytes.
    pub(super) fn read(&self, key: &FileKey, limit: u64) -> Result<Content, LoadError> {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        match self.0.get(key.supply).ok_or_else(missing)? {
            Source::Directory(path, _) => {
                Ok(Content::of(read_component(&path.join(&key.name), limit)?))
            }
            Source::Bundles(bundles) => {
                let bundle = key.bundle.as_deref().ok_or_else(missing)?;
                let name = key.name.to_str().ok_or_else(missing)?;
                let bytes = bundles.bytes(bundle, name).ok_or_else(missing)?;
                check_size(bytes.len() as u64, limit)?;
                Ok(Content::of(bytes.to_vec()))
            }
        }
    }

    /// The bundles that cannot be used as a whole, each with the reason.
    pub(super) fn refused_bundles(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter_map(|source| match source {
                Source::Bundles(bundles) => Some(bundles),
                Source::Directory(..) => None,
            })
            .flat_map(Bundles::refused)
    }
}

/// The names of all plugin files.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Every plugin file, and whether it is within the number that is read.
    pub(super) files: Vec<(FileKey, bool)>,
    /// The directories that could not be listed, with the errors.
    pub(super) unreadable_directories: BTreeMap<PathBuf, String>,
    /// The supplies that may have files although they could not be listed.
    unreadable: Vec<usize>,
}

impl Listing {
    /// Lists the files. `limit` applies to each directory and to each bundle. A missing directory counts as empty.
    pub(super) fn of(files: &Files, limit: usize) -> Self {
        let mut listing = Self::default();
        for (supply, source) in files.0.iter().enumerate() {
            match source {
                Source::Directory(path, name) => {
                    listing.add_directory(supply, path, name.as_ref(), limit);
                }
                Source::Bundles(bundles) => {
                    for (bundle, names) in bundles.names() {
                        let key = |name: &str| FileKey {
                            supply,
                            directory: None,
                            bundle: Some(bundle.to_owned()),
                            name: name.into(),
                        };
                        listing.add(names.map(key), limit);
                    }
                }
            }
        }
        listing
    }

    fn add_directory(
        &mut self,
        supply: usize,
        path: &Path,
        directory: Option<&Arc<str>>,
        limit: usize,
    ) {
        match names(path) {
            Ok(names) => {
                let key = |name| FileKey {
                    supply,
                    directory: directory.cloned(),
                    bundle: None,
                    name,
                };
                self.add(names.into_iter().map(key), limit);
            }
            Err(error) => {
                let unreadable = (path.to_owned(), error.to_string());
                self.unreadable_directories.extend([unreadable]);
                if error.kind() != std::io::ErrorKind::NotFound {
                    self.unreadable.push(supply);
                }
            }
        }
    }

    fn add(&mut self, keys: impl Iterator<Item = FileKey>, limit: usize) {
        let keys = keys.enumerate();
        self.files
            .extend(keys.map(|(index, key)| (key, index < limit)));
    }

    /// Whether the file exists, or may exist because its supply could not be listed.
    pub(super) fn may_have(&self, key: &FileKey) -> bool {
        self.unreadable.contains(&key.supply) || self.files.iter().any(|(other, _)| other == key)
    }
}

/// The name of a directory in the names of its files: its path as it is configured, without a slash at the end.
fn directory_name(path: &Path) -> Arc<str> {
    let name = path.display().to_string();
    name.trim_end_matches('/').into()
}

/// The names of the plugin files in a directory, in order. A directory with such a name is listed too, so that it is
/// refused with a reason: container runtimes create one if the file of a mount is missing.
fn names(directory: &Path) -> std::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        if is_plugin_file(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The bytes of a file, and their digest.
pub(super) struct Content {
    pub(super) digest: Digest,
    pub(super) bytes: Vec<u8>,
}

impl Content {
    fn of(bytes: Vec<u8>) -> Self {
        let digest = Sha256::digest(&bytes).into();
        Self { digest, bytes }
    }
}

/// Reads the file of a component, of at most `limit` bytes.
pub fn read_component(path: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    // The kind is checked before the file is opened, because opening a named pipe waits for a writer.
    let metadata = std::fs::metadata(path)?;
    if let Some(kind) = irregular(metadata.file_type()) {
        let error = std::io::Error::other(format!("it is {kind}, not a regular file"));
        return Err(LoadError::Unreadable(error));
    }
    check_size(metadata.len(), limit)?;
    Ok(stoker_process::read_file(path, limit)?)
}

/// Returns the kind of a file that is not a regular file.
fn irregular(kind: FileType) -> Option<&'static str> {
    Some(match kind {
        kind if kind.is_file() => return None,
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of these directories, as they are named.
    fn listed(directories: &[&Path]) -> Listing {
        let supplies = directories.iter().map(|path| path.to_path_buf());
        let mut supplies: Vec<_> = supplies.map(Supply::Directory).collect();
        Listing::of(&Files::of(&mut supplies).0, 1)
    }

    #[test]
    fn the_files_of_several_directories_have_different_names() {
        let parent = tempfile::TempDir::new().unwrap();
        let directories = ["b", "a"].map(|name| parent.path().join(name));
        for directory in &directories {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("plugin.wasm"), b"").unwrap();
        }
        let names = |listing: Listing| {
            let files = listing.files.iter();
            files
                .map(|(key, is_within)| {
                    assert!(is_within);
                    (key.origin().key().to_owned(), key.to_string())
                })
                .collect::<Vec<_>>()
        };
        let [first, second] = directories.each_ref().map(PathBuf::as_path);
        let file = |name: String| ("plugin".to_owned(), name);
        assert_eq!(names(listed(&[first])), [file("plugin.wasm".into())]);
        let path = |directory: &Path| directory.join("plugin.wasm").display().to_string();
        let with_slash = PathBuf::from(format!("{}/", second.display()));
        assert_eq!(
            names(listed(&[first, &with_slash])),
            [file(path(first)), file(path(second))]
        );
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_reported() {
        let parent = tempfile::TempDir::new().unwrap();
        let missing = parent.path().join("missing");
        let file = parent.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let listing = listed(&[parent.path(), &missing, &file]);
        let unreadable: Vec<_> = listing.unreadable_directories.keys().collect();
        assert_eq!(unreadable, [&file, &missing]);
        // A missing directory has no files, and that of another one may still exist.
        assert_eq!(listing.unreadable, [2]);
    }
}
