//! What the last sync has left on the gateway.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::folder::{Folder, Kind, Stat};

/// The files of the last sync, as they were on disk after it.
///
/// A file that still has the recorded times does not have to be read again, and neither does an object of the commit with
/// the recorded id.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Applied {
    /// The files by their path.
    #[serde(default)]
    pub(super) files: BTreeMap<String, AppliedFile>,
}

/// One file of the last sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AppliedFile {
    /// What the file system said about it.
    pub(super) stat: Stat,
    /// The permissions that were asked for. Not every file system has them.
    pub(super) mode: u32,
    /// The digest of its content.
    pub(super) digest: Digest,
    /// The id of the object in the repository.
    pub(super) id: String,
    /// What the content was made with, apart from the object. Empty if it is the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) recipe: String,
}

impl Applied {
    /// Returns the number of files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns whether there are no files.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// A file that was changed since the last sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drifted {
    /// The path of the file below the folder.
    pub path: String,
    /// How it differs.
    pub change: Change,
}

/// How a file differs from what the last sync wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is not there.
    Missing,
    /// It is not a file.
    Kind,
    /// It has another content.
    Content,
    /// It has other permissions.
    Mode,
}

/// Compares the files of the last sync with those on disk. Returns those that differ, in the order of their paths. A file
/// that cannot be read counts as missing. Files that the sync did not write are not considered.
#[must_use]
pub fn drift(record: &Applied, data: &Path) -> Vec<Drifted> {
    let folder = Folder::open(data).ok();
    let files = record.files.iter();
    let drifted = files.filter_map(|(path, file)| {
        let change = match &folder {
            Some(folder) => file.change(path, folder)?,
            None => Change::Missing,
        };
        Some(Drifted {
            path: path.clone(),
            change,
        })
    });
    drifted.collect()
}

impl AppliedFile {
    fn change(&self, path: &str, folder: &Folder) -> Option<Change> {
        let Ok(Some(stat)) = folder.stat(path) else {
            return Some(Change::Missing);
        };
        if stat == self.stat {
            return None;
        }
        if stat.kind != Kind::File {
            return Some(Change::Kind);
        }
        let is_same = stat.size == self.stat.size
            && folder
                .digest(path)
                .is_ok_and(|digest| digest == self.digest);
        match is_same {
            false => Some(Change::Content),
            true if stat.mode != self.stat.mode => Some(Change::Mode),
            true => None,
        }
    }
}
