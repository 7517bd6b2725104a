//! The gateway's directory. Every path is opened relative to it, part by part, and no link leads out of it.

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

/// The open directory of the gateway.
pub(super) struct Root {
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
    modified: i64,
    /// The time of the last change to the content, the name or the permissions.
    changed: i64,
}

impl Stat {
    /// Returns whether the permissions are those that a file should have, without special bits such as that for the rights
    /// of the owner. The group may also write: the file systems of Kubernetes allow it to the group of a pod (`fsGroup`)
    /// at each of its starts.
    pub(super) fn has_mode(&self, mode: u32) -> bool {
        const GROUP_WRITES: u32 = 0o020;
        (self.mode ^ mode) & 0o7777 & !GROUP_WRITES == 0
    }
}

/// The entries of a directory by name. A list takes half of the memory of a map.
#[derive(Debug, Default)]
pub(super) struct Entries(Box<[(Box<str>, Stat)]>);

impl Entries {
    fn new(mut entries: Vec<(Box<str>, Stat)>) -> Self {
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Self(entries.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Stat> {
        let found = self.0.binary_search_by(|(known, _)| (**known).cmp(name));
        found.ok().map(|at| &self.0[at].1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Stat)> {
        self.0.iter().map(|(name, stat)| (&**name, stat))
    }
}

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    Other,
}

/// A path of the gateway's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The system refused the operation.
    #[error("{path}: {cause}")]
    Io {
        /// The path.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A link on the path leads out of the gateway's directory, or links form a loop.
    #[error("{0}: a link leads out of the gateway's directory")]
    Outside(String),
    /// A file is a mount, which can be neither deleted nor replaced.
    #[error(
        "{0}: it is a mount, which cannot be deleted or replaced; exclude it with excludePatterns"
    )]
    Mount(String),
    /// A part of the path is a file.
    #[error("{0}: not a directory")]
    NotDirectory(String),
}

impl RootError {
    /// Returns whether the system refused an operation that is not allowed, or that the file system does not have.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Io { cause, .. } = self else {
            return false;
        };
        let refused = [
            Errno::PERM,
            Errno::ACCESS,
            Errno::ROFS,
            Errno::NOTSUP,
            Errno::OPNOTSUPP,
            Errno::NOSYS,
        ];
        Errno::from_io_error(cause).is_some_and(|errno| refused.contains(&errno))
    }
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self, RootError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty());
        let root = root.map_err(|errno| failed(&path.to_string_lossy(), errno))?;
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(Self { root, path })
    }

    /// Opens a directory. Links in the path are followed as long as they stay in the gateway's directory. Returns
    /// `None` if the directory does not exist.
    pub(super) fn directory(&self, path: &str) -> Result<Option<OwnedFd>, RootError> {
        Ok(self
            .walk(path)?
            .and_then(|mut open| open.pop())
            .map(|(_, directory)| directory))
    }

    /// Returns the path of a directory without links.
    pub(super) fn resolve(&self, path: &str) -> Result<Option<String>, RootError> {
        let names = |open: Vec<(String, OwnedFd)>| {
            let names: Vec<String> = open.into_iter().skip(1).map(|(name, _)| name).collect();
            names.join("/")
        };
        Ok(self.walk(path)?.map(names))
    }

    /// Opens the directories of a path one after the other, from the gateway's directory on.
    fn walk(&self, path: &str) -> Result<Option<Vec<(String, OwnedFd)>>, RootError> {
        let outside = || RootError::Outside(path.to_owned());
        let root = self
            .root
            .try_clone()
            .map_err(|cause| io_failed(path, cause))?;
        let mut open = vec![(String::new(), root)];
        let mut links = 0;
        let mut parts: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        while let Some(part) = parts.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." if open.len() > 1 => {
                    open.pop();
                    continue;
                }
                ".." => return Err(outside()),
                _ => {}
            }
            let Some((_, last)) = open.last() else { break };
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
            match rustix::fs::openat(last, &part, flags, Mode::empty()) {
                Ok(next) => open.push((part, next)),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    links += 1;
                    let target = link_target(last, &part, path)?;
                    let target = target.filter(|_| links <= MAX_LINKS).ok_or_else(outside)?;
                    if target.starts_with('/') {
                        open.truncate(1);
                    }
                    let inside = self.inside(&target).ok_or_else(outside)?;
                    parts.extend(inside.split('/').rev().map(str::to_owned));
                }
                Err(errno) => return Err(failed(path, errno)),
            }
        }
        Ok(Some(open))
    }

    /// Makes an absolute target relative to the gateway's directory. Returns `None` if it is elsewhere.
    fn inside<'t>(&self, target: &'t str) -> Option<&'t str> {
        if target.starts_with('/') {
            Path::new(target).strip_prefix(&self.path).ok()?.to_str()
        } else {
            Some(target)
        }
    }

    /// Returns the entries of a directory by name, or `None` if it does not exist. Names that are not UTF-8 are left
    /// out: no commit has them.
    pub(super) fn list(&self, path: &str) -> Result<Option<Entries>, RootError> {
        let Some(directory) = self.directory(path)? else {
            return Ok(None);
        };
        let io = |errno| failed(path, errno);
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&directory).map_err(io)? {
            let entry = entry.map_err(io)?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if matches!(name, "." | "..") {
                continue;
            }
            if let Some(stat) = stat_at(&directory, name).map_err(io)? {
                entries.push((name.into(), stat));
            }
        }
        Ok(Some(Entries::new(entries)))
    }

    /// Returns what is at the path itself, without following a link there.
    pub(super) fn stat(&self, path: &str) -> Result<Option<Stat>, RootError> {
        let (parent, name) = split(path);
        let Some(directory) = self.directory(parent)? else {
            return Ok(None);
        };
        stat_at(&directory, name).map_err(|errno| failed(path, errno))
    }

    /// Reads a file and returns the digest of its content.
    pub(super) fn digest(&self, path: &str) -> Result<Digest, RootError> {
        let (parent, name) = split(path);
        let directory = self
            .directory(parent)?
            .ok_or_else(|| failed(path, Errno::NOENT))?;
        digest_at(&directory, name).map_err(|cause| io_failed(path, cause))
    }
}

/// Reads a file of a directory and returns the digest of its content.
pub(super) fn digest_at(directory: impl AsFd, name: &str) -> io::Result<Digest> {
    // A pipe must not block.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    Digest::read(File::from(file))
}

/// Reads a link. Its target is `None` if it is not UTF-8.
fn link_target(directory: &OwnedFd, name: &str, path: &str) -> Result<Option<String>, RootError> {
    match rustix::fs::readlinkat(directory, name, Vec::new()) {
        Ok(target) => Ok(target.into_string().ok()),
        Err(Errno::INVAL) => Err(RootError::NotDirectory(path.to_owned())),
        Err(errno) => Err(failed(path, errno)),
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
    // Times after 2262 are cut off. They are only compared with each other.
    let time = |seconds: i64, nanoseconds: u64| {
        let nanoseconds = i64::try_from(nanoseconds).unwrap_or_default();
        seconds
            .wrapping_mul(1_000_000_000)
            .wrapping_add(nanoseconds)
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

pub(super) fn failed(path: &str, errno: Errno) -> RootError {
    io_failed(path, errno.into())
}

pub(super) fn io_failed(path: &str, cause: io::Error) -> RootError {
    RootError::Io {
        path: path.to_owned(),
        cause,
    }
}
