//! What is on the gateway now.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use super::applied::{Applied, AppliedFile};
use super::digest::Digest;
use super::root::{Entries, Root, RootError, Stat, split};
use super::wanted::join;

/// The number of names that are remembered as missing. A new gateway has none of a million files.
const MAX_ABSENT: usize = 10_000;

type Listing = Rc<Entries>;

/// The files on the gateway. A directory is read when a plan asks for it, and once.
pub struct Live {
    root: Root,
    applied: Applied,
    directories: RefCell<HashMap<String, Listing>>,
    /// What the volume has at names that no list has, or `None` for nothing.
    unlisted: RefCell<HashMap<String, Option<Stat>>>,
}

impl Live {
    /// Opens the gateway's directory. `applied` is what the last sync has left there, and saves reading its files
    /// again.
    ///
    /// # Errors
    ///
    /// Fails if the gateway's directory does not exist or cannot be opened.
    pub fn read(data: &Path, applied: Applied) -> Result<Self, RootError> {
        let root = Root::open(data)?;
        Ok(Self {
            root,
            applied,
            directories: RefCell::default(),
            unlisted: RefCell::default(),
        })
    }

    /// Returns the entries of a directory, or nothing if it does not exist.
    pub(super) fn list(&self, path: &str) -> Result<Listing, RootError> {
        if let Some(known) = self.directories.borrow().get(path) {
            return Ok(known.clone());
        }
        let found = Rc::new(self.root.list(path)?.unwrap_or_default());
        self.directories
            .borrow_mut()
            .insert(path.to_owned(), found.clone());
        Ok(found)
    }

    /// Returns what is at a path. The directory above it must not be a file. A volume that does not distinguish upper
    /// and lower case has something at a path whose name is listed in another case.
    pub(super) fn stat(&self, path: &str) -> Result<Option<Stat>, RootError> {
        let (parent, name) = split(path);
        let entries = self.list(parent)?;
        match entries.get(name) {
            Some(stat) => Ok(Some(stat.clone())),
            None if entries.is_empty() => Ok(None),
            None => self.unlisted(path),
        }
    }

    /// Returns whether the list of the directory above a path has its name.
    pub(super) fn is_listed(&self, path: &str) -> Result<bool, RootError> {
        let (parent, name) = split(path);
        Ok(self.list(parent)?.get(name).is_some())
    }

    /// Returns whether the volume finds a name in a directory whose list does not have it.
    pub(super) fn has_unlisted(&self, directory: &str, name: &str) -> Result<bool, RootError> {
        Ok(self.unlisted(&join(directory, name))?.is_some())
    }

    /// Asks the volume for a path whose name is not listed. It is asked once, as long as not too many names are missing:
    /// all files below a directory need the same answer.
    fn unlisted(&self, path: &str) -> Result<Option<Stat>, RootError> {
        if let Some(known) = self.unlisted.borrow().get(path) {
            return Ok(known.clone());
        }
        let found = self.root.stat(path)?;
        let mut unlisted = self.unlisted.borrow_mut();
        if found.is_some() || unlisted.len() < MAX_ABSENT {
            unlisted.insert(path.to_owned(), found.clone());
        }
        Ok(found)
    }

    /// Lets the volume find a listed path by a second name.
    #[cfg(test)]
    pub(super) fn add_unlisted(&self, listed: &str, second: &str) {
        let stat = self.root.stat(listed).unwrap().unwrap();
        let mut unlisted = self.unlisted.borrow_mut();
        unlisted.insert(second.to_owned(), Some(stat));
    }

    /// Returns the path of the directory that a link leads to, or `None` if it does not lead to one in the gateway's
    /// directory.
    pub(super) fn target(&self, path: &str) -> Option<String> {
        self.root.resolve(path).ok().flatten()
    }

    /// Returns whether the last sync has left files in a directory.
    pub(super) fn has_applied_below(&self, path: &str) -> bool {
        self.applied.has_prefix(&format!("{path}/"))
    }

    /// Returns the record of the last sync.
    pub(super) fn into_applied(self) -> Applied {
        self.applied
    }

    /// Returns the position in the record of what the last sync has left at a path.
    pub(super) fn position(&self, path: &str) -> Option<usize> {
        self.applied.position(path)
    }

    /// Returns what the last sync has left at a path.
    pub(super) fn applied(&self, path: &str) -> Option<&AppliedFile> {
        self.applied.get(path)
    }

    /// Returns the digest of a file. It is read only if it has changed since the last sync.
    pub(super) fn digest(&self, path: &str, stat: &Stat) -> Result<Digest, RootError> {
        match self.applied(path) {
            Some(applied) if applied.stat == *stat => Ok(applied.digest),
            _ => self.root.digest(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volume_is_asked_once_for_a_name_and_a_bounded_number_of_missing_ones_is_remembered() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "").unwrap();
        let live = Live::read(directory.path(), Applied::default()).unwrap();
        let has = |name: &str| live.has_unlisted("", name).unwrap();
        let create = |name: &str| std::fs::write(directory.path().join(name), "").unwrap();
        assert!(!has("A"));
        create("A");
        assert!(!has("A"), "asked again");
        for index in 0..=MAX_ABSENT {
            assert!(!has(&format!("missing-{index}")));
        }
        assert_eq!(live.unlisted.borrow().len(), MAX_ABSENT);
        create("late");
        assert!(has("late") && has("late"));
    }
}
