//! What the last sync has left on the gateway.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stoker_git::ObjectId;

use super::digest::Digest;
use super::root::{Kind, Root, Stat, digest_at, split, stat_at};

/// The files of the last sync, as they were on disk after it.
///
/// A file that still has the recorded times does not have to be read again, and neither does an object of the commit with
/// the recorded id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// The files in the order of their paths. A list takes half of the memory of a map.
    files: Vec<AppliedFile>,
}

/// One file of the last sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedFile {
    /// Its path below the gateway's directory.
    #[serde(with = "shared")]
    pub(super) path: Arc<str>,
    /// What the file system said about it.
    pub(super) stat: Stat,
    /// The permissions that were asked for. Not every file system has them.
    pub(super) mode: u32,
    /// The digest of its content.
    pub(super) digest: Digest,
    /// The id of the object in the repository.
    #[serde(with = "hexadecimal")]
    pub(super) id: ObjectId,
    /// What the content was made with, apart from the object. Empty if it is the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) recipe: String,
}

impl From<Vec<AppliedFile>> for Applied {
    fn from(mut files: Vec<AppliedFile>) -> Self {
        files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Self { files }
    }
}

impl Applied {
    /// Returns the files in the order of their paths.
    #[must_use]
    pub fn files(&self) -> &[AppliedFile] {
        &self.files
    }

    /// Returns the position of the file at a path.
    pub(super) fn position(&self, path: &str) -> Option<usize> {
        let found = self.files.binary_search_by(|file| (*file.path).cmp(path));
        found.ok()
    }

    /// Returns the file at a path.
    pub(super) fn get(&self, path: &str) -> Option<&AppliedFile> {
        self.position(path).map(|at| &self.files[at])
    }

    /// Keeps the files at these positions, which ascend, and adds others. Returns them in the order of their paths.
    pub(super) fn keep(
        mut self,
        positions: &[usize],
        mut others: Vec<AppliedFile>,
    ) -> Vec<AppliedFile> {
        let mut positions = positions.iter().peekable();
        let mut at = 0;
        self.files.retain(|_| {
            let is_kept = positions.next_if_eq(&&at).is_some();
            at += 1;
            is_kept
        });
        if self.files.is_empty() {
            return others;
        }
        if !others.is_empty() {
            self.files.append(&mut others);
            let by_path = |one: &AppliedFile, other: &AppliedFile| one.path.cmp(&other.path);
            self.files.sort_unstable_by(by_path);
        }
        self.files
    }

    /// Returns whether there are files whose paths begin with a text.
    pub(super) fn has_prefix(&self, prefix: &str) -> bool {
        let at = self.files.partition_point(|file| &*file.path < prefix);
        let next = self.files.get(at);
        next.is_some_and(|file| file.path.starts_with(prefix))
    }

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
    /// The path of the file below the gateway's directory.
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
pub fn drift(files: impl IntoIterator<Item = AppliedFile>, data: &Path) -> Vec<Drifted> {
    let root = Root::open(data).ok();
    // Files of one directory follow each other, so it is opened once.
    let mut last: Option<(String, Option<OwnedFd>)> = None;
    let drifted = files.into_iter().filter_map(|file| {
        let (parent, name) = split(&file.path);
        if last.as_ref().is_none_or(|(known, _)| known != parent) {
            let directory = root
                .as_ref()
                .and_then(|root| root.directory(parent).ok().flatten());
            last = Some((parent.to_owned(), directory));
        }
        let directory = last.as_ref().and_then(|(_, directory)| directory.as_ref());
        let change = match directory {
            Some(directory) => file.change(directory, name)?,
            None => Change::Missing,
        };
        Some(Drifted {
            path: file.path.to_string(),
            change,
        })
    });
    drifted.collect()
}

impl AppliedFile {
    fn change(&self, directory: &OwnedFd, name: &str) -> Option<Change> {
        let Ok(Some(stat)) = stat_at(directory, name) else {
            return Some(Change::Missing);
        };
        if stat == self.stat {
            return None;
        }
        if stat.kind != Kind::File {
            return Some(Change::Kind);
        }
        let has_content = || digest_at(directory, name).is_ok_and(|digest| digest == self.digest);
        if stat.size != self.stat.size || !has_content() {
            return Some(Change::Content);
        }
        (!stat.has_mode(self.stat.mode)).then_some(Change::Mode)
    }
}

/// A text that is shared.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        text: &Arc<str>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<str>, D::Error> {
        Box::<str>::deserialize(deserializer).map(Arc::from)
    }
}

/// The form of an id in the state: hexadecimal digits.
mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};
    use stoker_git::ObjectId;

    pub(super) fn serialize<S: Serializer>(
        id: &ObjectId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ObjectId, D::Error> {
        let text = String::deserialize(deserializer)?;
        ObjectId::from_hex(text.as_bytes()).map_err(D::Error::custom)
    }
}
