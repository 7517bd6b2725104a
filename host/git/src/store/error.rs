//! The errors of stores.

use std::io;
use std::path::{Path, PathBuf};

use stoker_api::detection::CommitId;

use crate::error::Cause;

/// The reason why objects cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the store cannot be written or read.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What failed, such as "write".
        action: &'static str,
        /// The file or the directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file of a pack is missing, or is not as it was written.
    #[error("the file {} is missing or damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// The commit is not in the store.
    #[error("the commit {id} was not fetched")]
    NoCommit {
        /// The id of the commit.
        id: CommitId,
    },
    /// An object is not in the store.
    #[error("the object {id} is missing")]
    Missing {
        /// The id of the object.
        id: String,
    },
    /// An object cannot be read. An object that is larger than 512 MiB is never read.
    #[error("the object {id} cannot be read")]
    Unreadable {
        /// The id of the object.
        id: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// An object has another type or another form than its place requires.
    #[error("the object {id} is not {expected}")]
    Unexpected {
        /// The id of the object.
        id: String,
        /// What is expected, such as "a directory".
        expected: &'static str,
    },
    /// A file of the commit has a name that no checkout may have.
    #[error("the commit has the path {path:?}, which {why}")]
    Path {
        /// The path. Bytes that are not UTF-8 are replaced.
        path: String,
        /// What is wrong with it, such as "contains the name .git".
        why: &'static str,
    },
    /// The commit has more files than are read.
    #[error("the commit has more than {limit} files")]
    TooManyFiles {
        /// The limit.
        limit: usize,
    },
}

impl StoreError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    pub(super) fn missing(id: &gix_hash::oid) -> Self {
        Self::Missing { id: id.to_string() }
    }

    /// Returns whether the objects of a commit are damaged, so that fetching them anew helps.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::Missing { .. }
                | Self::Unreadable { .. }
                | Self::Unexpected { .. }
        )
    }
}
