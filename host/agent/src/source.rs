//! The files of one commit, as the sync reads them.

use std::error::Error;

use stoker_git::ObjectId;

/// Reads the files of one commit.
pub trait Source: Send + Sync {
    /// Returns all files, symbolic links and submodules of the commit, in the byte order of their paths. Directories
    /// are not listed: git stores none that are empty.
    ///
    /// # Errors
    ///
    /// Fails if the objects of the commit cannot be read.
    fn entries(&self) -> Result<Vec<SourceEntry>, SourceError>;

    /// Returns the size of a file, without reading it.
    ///
    /// # Errors
    ///
    /// Fails if the object cannot be read.
    fn size(&self, entry: &SourceEntry) -> Result<u64, SourceError>;

    /// Reads the content of a file or the target of a symbolic link.
    ///
    /// # Errors
    ///
    /// Fails if the object cannot be read.
    fn read(&self, entry: &SourceEntry) -> Result<Vec<u8>, SourceError>;
}

/// One entry of a commit's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceEntry {
    /// The path from the root of the repository, with `/` between its parts. It has no empty part, no `.` and no `..`.
    /// Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// The kind of the entry.
    pub kind: SourceKind,
    /// The id of the object. Equal ids mean equal content.
    pub id: ObjectId,
}

/// The kinds of entries in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A file, mode 644.
    File,
    /// A file that may be executed, mode 755.
    Executable,
    /// A symbolic link.
    Symlink,
    /// A commit of another repository. Its files are not part of this commit.
    Submodule,
    /// A file, a directory or another entry whose name is not UTF-8. What is in such a directory is not listed.
    NotUtf8,
}

/// An object of the commit cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the commit's files")]
pub struct SourceError(#[source] pub Box<dyn Error + Send + Sync>);
