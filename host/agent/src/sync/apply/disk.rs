//! The changes to the gateway's directory, each through one place where a test can interrupt it.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::super::root::{Root, RootError, Stat, failed, io_failed, split, stat_at};

/// The directory for files that are not complete.
const STAGING: &str = ".sync-staging";

/// A change to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    CreateDirectory,
    CreateFile,
    WriteFile,
    SetMode,
    Flush,
    Rename,
    Delete,
    RemoveDirectory,
}

/// A file to write.
pub(super) struct NewFile<'a> {
    /// The path that it will have, for errors.
    pub(super) path: &'a str,
    pub(super) content: &'a [u8],
    pub(super) mode: u32,
    /// Whether it is flushed.
    pub(super) flushes: bool,
}

/// The gateway's directory, for changes.
pub(super) struct Disk<'a> {
    root: &'a Root,
    before: &'a mut dyn FnMut(Step) -> io::Result<()>,
    staging: Option<OwnedFd>,
    /// The directory of the last file, which is often that of the next.
    parent: Option<(String, OwnedFd)>,
    /// The first error about permissions that the system refused to set.
    refused: Option<RootError>,
}

impl<'a> Disk<'a> {
    pub(super) fn new(root: &'a Root, before: &'a mut dyn FnMut(Step) -> io::Result<()>) -> Self {
        Self {
            root,
            before,
            staging: None,
            parent: None,
            refused: None,
        }
    }

    pub(super) fn root(&self) -> &Root {
        self.root
    }

    /// Runs one change.
    fn step<T>(
        &mut self,
        step: Step,
        path: &str,
        change: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, RootError> {
        let changed = match (self.before)(step) {
            Ok(()) => change().map_err(io::Error::from),
            Err(cause) => Err(cause),
        };
        changed.map_err(|cause| match Errno::from_io_error(&cause) {
            Some(Errno::BUSY) if matches!(step, Step::Delete | Step::Rename) => {
                RootError::Mount(path.to_owned())
            }
            _ => io_failed(path, cause),
        })
    }

    /// Goes on if the system refused to set permissions. Files of other users, and some file systems, do not allow it.
    fn tolerate(&mut self, result: Result<(), RootError>) -> Result<(), RootError> {
        match result {
            Err(error) if error.is_refusal() => {
                self.refused.get_or_insert(error);
                Ok(())
            }
            result => result,
        }
    }

    /// Returns what the system refused, as sentences for the log.
    pub(super) fn take_refusals(&mut self) -> Vec<String> {
        let refused = self.refused.take();
        let message =
            refused.map(|first| format!("permissions of files cannot be set, such as {first}"));
        message.into_iter().collect()
    }

    /// Removes the staging directory of this sync or of one that was interrupted.
    pub(super) fn clear_staging(&mut self) -> Result<(), RootError> {
        self.staging = None;
        let root = self.open_root()?;
        match stat_at(&root, STAGING).map_err(|errno| failed(STAGING, errno))? {
            None => Ok(()),
            Some(_) => self.remove_tree(&root, STAGING),
        }
    }

    /// Removes a file, a link, or a directory with everything in it. Links are not followed.
    fn remove_tree(&mut self, parent: &OwnedFd, name: &str) -> Result<(), RootError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return self.step(Step::Delete, name, || {
                    rustix::fs::unlinkat(parent, name, AtFlags::empty())
                });
            }
            Err(errno) => return Err(failed(name, errno)),
        };
        let io = |errno| failed(name, errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&directory).map_err(io)? {
            let entry = entry.map_err(io)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push((entry.file_name().to_owned(), entry.file_type()));
            }
        }
        for (child, type_) in names {
            match child.to_str() {
                Ok(child) if type_ == FileType::Directory => self.remove_tree(&directory, child)?,
                _ => self.step(Step::Delete, name, || {
                    rustix::fs::unlinkat(&directory, &child, AtFlags::empty())
                })?,
            }
        }
        self.step(Step::RemoveDirectory, name, || {
            rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
        })
    }

    fn open_root(&self) -> Result<OwnedFd, RootError> {
        let root = self.root.directory("")?;
        root.ok_or_else(|| failed("", Errno::NOENT))
    }

    /// Writes a file to the staging directory.
    pub(super) fn stage(&mut self, name: &str, file: &NewFile<'_>) -> Result<Stat, RootError> {
        let staging = if let Some(staging) = self.staging.take() {
            staging
        } else {
            let root = self.open_root()?;
            self.step(Step::CreateDirectory, STAGING, || {
                rustix::fs::mkdirat(&root, STAGING, Mode::from_raw_mode(0o700))
            })?;
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::openat(&root, STAGING, flags, Mode::empty())
                .map_err(|errno| failed(STAGING, errno))?
        };
        let result = self.write(&staging, name, file);
        self.staging = Some(staging);
        result
    }

    fn write(
        &mut self,
        directory: &OwnedFd,
        name: &str,
        new: &NewFile<'_>,
    ) -> Result<Stat, RootError> {
        let path = new.path;
        let mode = Mode::from_raw_mode(new.mode);
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = self.step(Step::CreateFile, path, || {
            rustix::fs::openat(directory, name, flags, mode)
        })?;
        let mut file = File::from(file);
        // An interruption can leave half of a file.
        let (first, second) = new.content.split_at(new.content.len() / 2);
        for half in [first, second] {
            (self.before)(Step::WriteFile)
                .and_then(|()| file.write_all(half))
                .map_err(|cause| io_failed(path, cause))?;
        }
        // The mask of the process may have removed some.
        let set = self.step(Step::SetMode, path, || rustix::fs::fchmod(&file, mode));
        self.tolerate(set)?;
        if new.flushes {
            self.step(Step::Flush, path, || rustix::fs::fsync(&file))?;
        }
        let stat = stat_at(directory, name).map_err(|errno| failed(path, errno))?;
        stat.ok_or_else(|| failed(path, Errno::NOENT))
    }

    /// Flushes everything that was written to the staging directory.
    pub(super) fn flush_staging(&mut self) -> Result<(), RootError> {
        let Some(staging) = self.staging.take() else {
            return Ok(());
        };
        let result = self.step(Step::Flush, STAGING, || rustix::fs::syncfs(&staging));
        self.staging = Some(staging);
        result
    }

    /// Moves a file from the staging directory to its place in one step.
    pub(super) fn publish(&mut self, staged: &str, path: &str, mode: u32) -> Result<(), RootError> {
        let (parent, name) = split(path);
        let directory = self.create_directory(parent)?;
        let staging = self
            .staging
            .take()
            .ok_or_else(|| failed(path, Errno::NOENT))?;
        let moved = self.step(Step::Rename, path, || {
            match rustix::fs::renameat(&staging, staged, &directory, name) {
                Err(Errno::XDEV) => Ok(false),
                result => result.map(|()| true),
            }
        });
        self.staging = Some(staging);
        self.parent = Some((parent.to_owned(), directory));
        if moved? {
            Ok(())
        } else {
            self.copy_staged(staged, path, mode)
        }
    }

    /// Writes a staged file again beside its place, and moves it there: a mounted directory is on another file system.
    pub(super) fn copy_staged(
        &mut self,
        staged: &str,
        path: &str,
        mode: u32,
    ) -> Result<(), RootError> {
        let (parent, name) = split(path);
        let directory = self.create_directory(parent)?;
        let staging = self
            .staging
            .as_ref()
            .ok_or_else(|| failed(path, Errno::NOENT))?;
        let flags = OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(staging, staged, flags, Mode::empty())
            .map_err(|errno| failed(path, errno))?;
        let mut content = Vec::new();
        File::from(file)
            .read_to_end(&mut content)
            .map_err(|cause| io_failed(path, cause))?;
        // The name does not contain that of the file, which may be as long as names can be.
        let beside = format!(".stoker-tmp-{staged}");
        // What an interrupted sync has left is in the way.
        match rustix::fs::unlinkat(&directory, &beside, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(path, errno)),
        }
        let new = NewFile {
            path,
            content: &content,
            mode,
            flushes: true,
        };
        let written = self.write(&directory, &beside, &new);
        let moved = written.and_then(|_| {
            self.step(Step::Rename, path, || {
                rustix::fs::renameat(&directory, &beside, &directory, name)
            })
        });
        moved.inspect_err(|_| {
            // The first error is the one to report. The next sync removes what is left.
            drop(self.step(Step::Delete, &beside, || {
                rustix::fs::unlinkat(&directory, &beside, AtFlags::empty())
            }));
        })
    }

    /// Opens a directory, and creates it with those above it if it does not exist.
    fn create_directory(&mut self, path: &str) -> Result<OwnedFd, RootError> {
        if let Some((_, directory)) = self.parent.take_if(|(known, _)| known == path) {
            return Ok(directory);
        }
        if let Some(directory) = self.root.directory(path)? {
            return Ok(directory);
        }
        let (above, name) = split(path);
        let above = self.create_directory(above)?;
        let mode = Mode::from_raw_mode(0o755);
        self.step(Step::CreateDirectory, path, || {
            rustix::fs::mkdirat(&above, name, mode)
        })?;
        let created = self.root.directory(path)?;
        created.ok_or_else(|| failed(path, Errno::NOENT))
    }

    /// Sets the permissions of a file, if the system allows it.
    pub(super) fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), RootError> {
        let Some((directory, name)) = self.existing(path)? else {
            return Ok(());
        };
        // Links are not followed, and there is no other way to set the permissions of a path without following them.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let set = self.step(Step::SetMode, path, || {
            let file = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))
        });
        self.tolerate(set)
    }

    /// Deletes a file. One that is not there is deleted already.
    pub(super) fn delete(&mut self, path: &str) -> Result<(), RootError> {
        let Some((directory, name)) = self.existing(path)? else {
            return Ok(());
        };
        self.step(Step::Delete, path, || {
            match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
                Err(Errno::NOENT) => Ok(()),
                result => result,
            }
        })
    }

    /// Deletes a directory, unless something is in it by now.
    pub(super) fn remove_directory(&mut self, path: &str) -> Result<(), RootError> {
        let Some((directory, name)) = self.existing(path)? else {
            return Ok(());
        };
        self.step(Step::RemoveDirectory, path, || {
            match rustix::fs::unlinkat(&directory, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) => Ok(()),
                result => result,
            }
        })
    }

    fn existing<'p>(&self, path: &'p str) -> Result<Option<(OwnedFd, &'p str)>, RootError> {
        let (parent, name) = split(path);
        Ok(self
            .root
            .directory(parent)?
            .map(|directory| (directory, name)))
    }
}
