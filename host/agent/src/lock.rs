//! Locks of folders, so that two agents on one machine do not use a folder at the same time.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Another process has the lock of a folder.
#[derive(Debug, thiserror::Error)]
#[error("another stoker-agent uses the folder {}", .0.display())]
pub(crate) struct InUse(PathBuf);

/// The lock of a folder. It ends when the value is dropped, or with the process. No file is written.
#[derive(Debug)]
pub(crate) struct FolderLock {
    /// Nothing if the folder cannot be locked.
    file: Option<File>,
}

impl Drop for FolderLock {
    /// Unlocks the folder at once. A child process of another thread has a copy of the open file until it runs its
    /// program, and the lock would last as long.
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            file.unlock().ok();
        }
    }
}

impl FolderLock {
    /// Locks a folder. A folder that does not exist is not locked, and neither is one on a file system without locks:
    /// whoever uses the folder then tells what is wrong with it.
    ///
    /// # Errors
    ///
    /// Fails if another process, or another value in this one, has the lock.
    pub(crate) fn take(folder: &Path) -> Result<Self, InUse> {
        let locked = File::open(folder).map_err(TryLockError::Error);
        match locked.and_then(|file| file.try_lock().map(|()| file)) {
            Ok(file) => Ok(Self { file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => {
                tracing::debug!(folder = %folder.display(), %error, "the folder is not locked");
                Ok(Self { file: None })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_until_the_lock_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let error = FolderLock::take(folder.path()).unwrap_err().to_string();
        let path = folder.path().display();
        assert_eq!(
            error,
            format!("another stoker-agent uses the folder {path}")
        );
        drop(lock);
        FolderLock::take(folder.path()).unwrap();
        let entries = std::fs::read_dir(folder.path()).unwrap();
        assert_eq!(entries.count(), 0);
    }

    #[test]
    fn a_folder_that_does_not_exist_is_not_locked() {
        let folder = Path::new("/nonexistent/folder");
        let _lock = FolderLock::take(folder).unwrap();
        FolderLock::take(folder).unwrap();
    }
}
