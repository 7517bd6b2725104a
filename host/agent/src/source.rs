//! The files of one commit, as the sync reads them.

use std::error::Error;

use stoker_git::{StoreError, Tree, TreeEntry};

/// Reads the files of one commit.
pub trait Source: Send + Sync {
    /// Returns all files, symbolic links and submodules of the commit, in the byte order of their paths. Directories
    /// are not listed: git stores none that are empty.
    ///
    /// # Errors
    ///
    /// Fails if the objects of the commit cannot be read.
    fn entries(&self) -> Result<Vec<TreeEntry>, SourceError>;

    /// Returns the size of a file, without reading it.
    ///
    /// # Errors
    ///
    /// Fails if the object cannot be read.
    fn size(&self, entry: &TreeEntry) -> Result<u64, SourceError>;

    /// Reads the content of a file or the target of a symbolic link.
    ///
    /// # Errors
    ///
    /// Fails if the object cannot be read.
    fn read(&self, entry: &TreeEntry) -> Result<Vec<u8>, SourceError>;
}

/// An object of the commit cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the commit's files")]
pub struct SourceError(#[source] pub Box<dyn Error + Send + Sync>);

impl Source for Tree {
    fn entries(&self) -> Result<Vec<TreeEntry>, SourceError> {
        Self::entries(self).map_err(failed)
    }

    fn size(&self, entry: &TreeEntry) -> Result<u64, SourceError> {
        Self::size(self, entry).map_err(failed)
    }

    fn read(&self, entry: &TreeEntry) -> Result<Vec<u8>, SourceError> {
        Self::read(self, entry).map_err(failed)
    }
}

fn failed(error: StoreError) -> SourceError {
    SourceError(Box::new(error))
}
