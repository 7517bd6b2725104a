use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::super::component::check_size;
use super::super::error::LoadError;
use super::super::load::Origin;
use super::super::settings::Settings;

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
}

impl fmt::Display for FileKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.name.display())
    }
}

/// The bytes of a file, or why they were not read.
pub(super) type Found = Result<Vec<u8>, LoadError>;

/// Reads every plugin file. A directory that cannot be read counts as empty, with a warning.
pub(super) fn read(directories: &[PathBuf], settings: &Settings) -> Vec<(FileKey, Found)> {
    let mut found = Vec::new();
    for (directory, path) in directories.iter().enumerate() {
        let names = match names(path) {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(directory = %path.display(), error = %error, "cannot read the plugin directory");
                continue;
            }
        };
        let limit = settings.files_per_directory();
        for (index, name) in names.into_iter().enumerate() {
            let key = FileKey { directory, name };
            let content = if index < limit {
                let limits = &settings.tuning(key.origin().key()).limits;
                read_file(&path.join(&key.name), limits.component_bytes)
            } else {
                Err(LoadError::TooMany { limit })
            };
            found.push((key, content));
        }
    }
    found
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

fn read_file(path: &Path, limit: u64) -> Found {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(LoadError::Unreadable(std::io::Error::other(
            "it is not a regular file",
        )));
    }
    check_size(metadata.len(), limit)?;
    let mut bytes = Vec::new();
    // It may have grown since.
    file.take(limit + 1).read_to_end(&mut bytes)?;
    check_size(bytes.len() as u64, limit)?;
    Ok(bytes)
}
