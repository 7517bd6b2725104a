//! Locks of directories, so that two agents on one machine do not use a directory at the same time.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Another process has the lock of a directory.
#[derive(Debug, thiserror::Error)]
#[error("another stoker-agent uses the directory {}", .0.display())]
pub(crate) struct InUse(PathBuf);

/// The lock of a directory. It ends when the value is dropped, or with the process. No file is written.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    /// Nothing if the directory cannot be locked.
    file: Option<File>,
}

impl Drop for DirectoryLock {
    /// Unlocks the directory at once. A child process of another thread has a copy of the open file until it runs its
    /// program, and the lock would last as long.
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            file.unlock().ok();
        }
    }
}

impl DirectoryLock {
    /// Locks a directory. A directory that does not exist is not locked, and neither is one on a file system without
    /// locks: whoever uses the directory then tells what is wrong with it.
    ///
    /// # Errors
    ///
    /// Fails if another process, or another value in this one, has the lock.
    pub(crate) fn take(directory: &Path) -> Result<Self, InUse> {
        let locked = File::open(directory).map_err(TryLockError::Error);
        match locked.and_then(|file| file.try_lock().map(|()| file)) {
            Ok(file) => Ok(Self { file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(InUse(directory.to_owned())),
            Err(TryLockError::Error(error)) => {
                tracing::debug!(directory = %directory.display(), %error, "the directory is not locked");
                Ok(Self { file: None })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_until_the_lock_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::take(directory.path()).unwrap();
        let error = DirectoryLock::take(directory.path())
            .unwrap_err()
            .to_string();
        let path = directory.path().display();
        assert_eq!(
            error,
            format!("another stoker-agent uses the directory {path}")
        );
        drop(lock);
        DirectoryLock::take(directory.path()).unwrap();
        let entries = std::fs::read_dir(directory.path()).unwrap();
        assert_eq!(entries.count(), 0);
    }

    #[test]
    fn a_directory_that_does_not_exist_is_not_locked() {
        let directory = Path::new("/nonexistent/directory");
        let _lock = DirectoryLock::take(directory).unwrap();
        DirectoryLock::take(directory).unwrap();
    }
}
