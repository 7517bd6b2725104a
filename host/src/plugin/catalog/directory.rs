use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::super::component::check_size;
use super::super::error::LoadError;
use super::super::load::Origin;

/// The SHA-256 of a file.
pub(super) type Digest = [u8; 32];

/// A file in a plugin directory, in the order of the chain: by directory as it was configured, then by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileKey {
    directory: usize,
    name: OsString,
}

impl FileKey {
    pub(super) fn origin(&self) -> Origin {
        Origin::File(self.to_string())
    }

    pub(super) fn path(&self, directories: &[PathBuf]) -> PathBuf {
        let directory = directories.get(self.directory);
        directory.map_or_else(|| PathBuf::from(&self.name), |path| path.join(&self.name))
    }
}

impl fmt::Display for FileKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.name.display())
    }
}

/// What lies in the plugin directories.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Every plugin file, and whether it is within the number that is read.
    pub(super) files: Vec<(FileKey, bool)>,
    /// Directories of which nobody knows at the moment what lies in them.
    unreadable: Vec<usize>,
}

impl Listing {
    /// Lists the directories, of each so many files. One that is not there is empty.
    pub(super) fn of(directories: &[PathBuf], limit: usize) -> Self {
        let mut listing = Self::default();
        for (directory, path) in directories.iter().enumerate() {
            match names(path) {
                Ok(names) => {
                    let files = names.into_iter().enumerate();
                    let files =
                        files.map(|(index, name)| (FileKey { directory, name }, index < limit));
                    listing.files.extend(files);
                }
                Err(error) => {
                    tracing::warn!(directory = %path.display(), error = %error, "cannot read the plugin directory");
                    if error.kind() != std::io::ErrorKind::NotFound {
                        listing.unreadable.push(directory);
                    }
                }
            }
        }
        listing
    }

    /// Whether the file is there, as far as anybody knows.
    pub(super) fn may_have(&self, key: &FileKey) -> bool {
        self.unreadable.contains(&key.directory) || self.files.iter().any(|(other, _)| other == key)
    }
}

/// The names of the plugin files, in order. Names with a leading dot are not files that somebody dropped in: kubelet
/// keeps the versions of a mounted ConfigMap below such, and editors and copy tools their temporary files.
fn names(directory: &Path) -> std::io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let path = Path::new(&name);
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        let is_wasm = path
            .extension()
            .is_some_and(|extension| extension == "wasm");
        if !is_hidden && is_wasm && !directory.join(path).is_dir() {
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

/// Reads a file of at most so many bytes.
pub(super) fn read(path: &Path, limit: u64, known: Option<Digest>) -> Result<Content, LoadError> {
    // Before it is opened: to open a pipe is to wait for somebody who writes.
    if !std::fs::metadata(path)?.is_file() {
        return Err(LoadError::Unreadable(std::io::Error::other(
            "it is not a regular file",
        )));
    }
    let file = File::open(path)?;
    check_size(file.metadata()?.len(), limit)?;
    let mut bytes = Vec::new();
    // It may have grown since.
    file.take(limit + 1).read_to_end(&mut bytes)?;
    check_size(bytes.len() as u64, limit)?;
    let digest = Sha256::digest(&bytes).into();
    Ok(Content {
        digest,
        bytes: (known != Some(digest)).then_some(bytes),
    })
}
