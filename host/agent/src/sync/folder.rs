//! The gateway's folder. Every path is opened relative to it, part by part, and no link leads out of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// The largest number of links that one path may follow.
const MAX_LINKS: usize = 40;

/// An open folder.
pub(super) struct Folder {
    root: OwnedFd,
    path: PathBuf,
}

/// What the file system says about a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stat {
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) mode: u32,
    inode: u64,
    /// The time of the last change to the content, in nanoseconds since 1970.
    modified: i128,
    /// The time of the last change to the content, the name or the permissions.
    changed: i128,
}

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Other,
}

/// A path of the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The system refused the operation.
    #[error("{path}: {cause}")]
    Io {
        /// The path.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A link on the path leads out of the folder, or links form a loop.
    #[error("{0}: a link leads out of the gateway's folder")]
    Outside(String),
    /// A part of the path is a file.
    #[error("{0}: not a directory")]
    NotDirectory(String),
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty());
        let root = root.map_err(|errno| failed(&path.to_string_lossy(), errno))?;
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(Self { root, path })
    }

    /// Opens a directory. Links in the path are followed as long as they stay in the folder. Returns `None` if the
    /// directory does not exist.
    pub(super) fn directory(&self, path: &str) -> Result<Option<OwnedFd>, FolderError> {
        let io = |errno| failed(path, errno);
        let mut open = vec![
            self.root
                .try_clone()
                .map_err(|cause| io_failed(path, cause))?,
        ];
        let mut links = 0;
        let mut parts: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        while let Some(part) = parts.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." if open.len() > 1 => {
                    open.pop();
                    continue;
                }
                ".." => return Err(FolderError::Outside(path.to_owned())),
                _ => {}
            }
            let Some(last) = open.last() else { break };
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
            match rustix::fs::openat(last, &part, flags, Mode::empty()) {
                Ok(next) => open.push(next),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    let target = match rustix::fs::readlinkat(last, &part, Vec::new()) {
                        Ok(target) => target.into_string(),
                        Err(Errno::INVAL) => {
                            return Err(FolderError::NotDirectory(path.to_owned()));
                        }
                        Err(errno) => return Err(io(errno)),
                    };
                    links += 1;
                    let target = target.ok().filter(|_| links <= MAX_LINKS);
                    let mut target = target.ok_or_else(|| FolderError::Outside(path.to_owned()))?;
                    if target.starts_with('/') {
                        let inside = Path::new(&target)
                            .strip_prefix(&self.path)
                            .ok()
                            .and_then(Path::to_str);
                        target = inside
                            .ok_or_else(|| FolderError::Outside(path.to_owned()))?
                            .to_owned();
                        open.truncate(1);
                    }
                    parts.extend(target.split('/').rev().map(str::to_owned));
                }
                Err(errno) => return Err(io(errno)),
            }
        }
        Ok(open.pop())
    }

    /// Returns the entries of a directory by name, or `None` if it does not exist. Names that are not UTF-8 are left
    /// out: no commit has them.
    pub(super) fn list(&self, path: &str) -> Result<Option<BTreeMap<String, Stat>>, FolderError> {
        let Some(directory) = self.directory(path)? else {
            return Ok(None);
        };
        let io = |errno| failed(path, errno);
        let mut entries = BTreeMap::new();
        for entry in rustix::fs::Dir::read_from(&directory).map_err(io)? {
            let entry = entry.map_err(io)?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if matches!(name, "." | "..") {
                continue;
            }
            if let Some(stat) = stat_at(&directory, name).map_err(io)? {
                entries.insert(name.to_owned(), stat);
            }
        }
        Ok(Some(entries))
    }

    /// Returns what is at the path itself, without following a link there.
    pub(super) fn stat(&self, path: &str) -> Result<Option<Stat>, FolderError> {
        let (parent, name) = split(path);
        let Some(directory) = self.directory(parent)? else {
            return Ok(None);
        };
        stat_at(&directory, name).map_err(|errno| failed(path, errno))
    }

    /// Reads a file and returns the digest of its content.
    pub(super) fn digest(&self, path: &str) -> Result<Digest, FolderError> {
        let (parent, name) = split(path);
        let missing = || failed(path, Errno::NOENT);
        let directory = self.directory(parent)?.ok_or_else(missing)?;
        // A pipe must not block.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, name, flags, Mode::empty());
        let file = file.map_err(|errno| failed(path, errno))?;
        Digest::read(File::from(file)).map_err(|cause| io_failed(path, cause))
    }
}

/// Divides a path into its directory and its name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Returns what is at a name, or `None` if there is nothing.
pub(super) fn stat_at(directory: impl AsFd, name: &str) -> Result<Option<Stat>, Errno> {
    let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let time = |seconds: i64, nanoseconds: u64| {
        i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
    };
    Ok(Some(Stat {
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        },
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        mode: stat.st_mode & 0o7777,
        inode: stat.st_ino,
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
        changed: time(stat.st_ctime, stat.st_ctime_nsec),
    }))
}

pub(super) fn failed(path: &str, errno: Errno) -> FolderError {
    io_failed(path, errno.into())
}

pub(super) fn io_failed(path: &str, cause: io::Error) -> FolderError {
    FolderError::Io {
        path: path.to_owned(),
        cause,
    }
}
