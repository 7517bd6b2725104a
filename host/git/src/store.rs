//! A store of the objects of commits: a directory of packs. It has no work tree, and git does not know it as a
//! repository.
//!
//! `packs/` contains the packs with their indexes. The file `contents` names the packs, and the commits whose objects
//! are all there. A fetch writes its pack into a directory `incoming-…`, moves it to `packs/`, and then replaces
//! `contents`. So an interruption leaves files that `contents` does not name. Opening the store removes them.
//!
//! Several packs are never merged. When the packs that were added to the first one have grown, the next fetch gets
//! everything anew, and its pack replaces all others.

mod commit;
mod contents;
mod error;
mod index;
mod pack;
mod tree;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use gix_hash::ObjectId;
use gix_object::Kind;
use stoker_api::detection::CommitId;
use tempfile::TempDir;
use tokio::sync::OwnedMutexGuard;

use crate::lock::lock;
use contents::{Contents, PackName};
use pack::Packs;

pub use commit::CommitInfo;
pub use error::StoreError;
pub(crate) use index::{IndexError, Indexed, PackLimits, index};
pub use tree::{Tree, TreeEntry, TreeEntryKind};

const PACKS: &str = "packs";
const CONTENTS: &str = "contents";
const INCOMING: &str = "incoming-";
/// The maximum size of one object, decompressed. An object is read into memory as a whole.
pub(crate) const MAX_OBJECT: usize = 512 * 1024 * 1024;
/// The maximum number of packs that were added to the first one.
const MAX_ADDED_PACKS: usize = 32;
/// The share of the first pack's size that the added packs may have.
const ADDED_SHARE: u64 = 4;
/// The size that the added packs may have in any case, so that a small repository is rarely fetched as a whole.
const MIN_ADDED_BYTES: u64 = 16 * 1024 * 1024;

/// The objects of a few commits, without their history, in a directory.
///
/// One process may use a directory at a time. The methods block. Clones share the store.
///
/// The packs have at most one and a quarter times the size of one commit, or 16 MiB more than it, plus the last pack.
/// While everything is fetched anew, the new pack is in the directory too. A pack is open only while it is used: its
/// pages count as memory of this process.
#[derive(Debug, Clone)]
pub struct ObjectStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    contents: Mutex<Contents>,
    /// Whether an object could not be read. The next fetch then gets everything anew.
    is_damaged: Arc<AtomicBool>,
    /// Locked while a fetch uses the store.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

/// The lock of a store by a fetch. It ends when all clones are dropped.
pub(crate) type FetchLock = Arc<OwnedMutexGuard<()>>;

impl ObjectStore {
    /// Opens the store in a directory, and creates the directory if it does not exist. Files that an interrupted fetch
    /// left are removed. A store that cannot be used, such as one of another version, is emptied.
    ///
    /// # Errors
    ///
    /// Fails if the directory cannot be created, read or written.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let packs = directory.join(PACKS);
        fs::create_dir_all(&packs).map_err(StoreError::io("create", &packs))?;
        let contents = read_contents(directory)?;
        let store = Self(Arc::new(Shared {
            directory: directory.to_owned(),
            contents: Mutex::new(contents),
            is_damaged: Arc::default(),
            fetching: Arc::default(),
        }));
        store.remove_leftovers()?;
        Ok(store)
    }

    /// Reads a commit. Returns `None` if the store does not have the commit with all its files.
    ///
    /// # Errors
    ///
    /// Fails if the commit's object cannot be read.
    pub fn commit(&self, id: &CommitId) -> Result<Option<CommitInfo>, StoreError> {
        let Some(packs) = self.packs_of(id)? else {
            return Ok(None);
        };
        self.noticing(read_commit(&packs, id)).map(Some)
    }

    /// Returns the files of a commit.
    ///
    /// # Errors
    ///
    /// Fails if the store does not have the commit with all its files, or if its object cannot be read.
    pub fn tree(&self, id: &CommitId) -> Result<Tree, StoreError> {
        let packs = self
            .packs_of(id)?
            .ok_or_else(|| StoreError::NoCommit { id: id.clone() })?;
        let root = self.noticing(root_of(&packs, id))?;
        Ok(Tree::new(packs, root, Arc::clone(&self.0.is_damaged)))
    }

    /// Opens the packs with the objects of a commit. Returns `None` if the store does not have the commit.
    fn packs_of(&self, id: &CommitId) -> Result<Option<Arc<Packs>>, StoreError> {
        let contents = self.lock();
        if !contents.commits.contains(id) {
            return Ok(None);
        }
        let packs = open_packs(&self.0.directory, &contents);
        self.noticing(packs).map(Some)
    }

    fn noticing<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        outcome.inspect_err(|error| notice(&self.0.is_damaged, error))
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        lock(&self.0.contents)
    }

    /// Locks the store for a fetch, and waits for the end of another one before. A fetch that is given up ends with its
    /// thread.
    pub(crate) async fn lock_for_fetch(&self) -> FetchLock {
        Arc::new(Arc::clone(&self.0.fetching).lock_owned().await)
    }

    /// Returns the state from which a fetch of a commit starts, or `None` if the store has the commit. Packs that are
    /// damaged are fetched anew.
    ///
    /// # Errors
    ///
    /// Fails if packs cannot be read that may be intact.
    pub(crate) fn basis(&self, wanted: &CommitId) -> Result<Option<Basis>, StoreError> {
        let is_damaged = self.0.is_damaged.load(Ordering::Relaxed);
        let contents = self.lock();
        if !is_damaged && contents.commits.contains(wanted) {
            return Ok(None);
        }
        let has_same_format = contents
            .commits
            .iter()
            .all(|commit| commit.as_str().len() == wanted.as_str().len());
        if is_damaged || !has_same_format || contents.is_full() {
            return Ok(Some(Basis::default()));
        }
        match open_packs(&self.0.directory, &contents) {
            Ok(packs) => Ok(Some(Basis {
                commits: contents.commits.clone(),
                packs,
            })),
            Err(error) if error.is_damage() => Ok(Some(Basis::default())),
            Err(error) => Err(error),
        }
    }

    /// Creates a directory for the pack of a fetch. It is removed when the value is dropped.
    pub(crate) fn incoming(&self) -> Result<TempDir, StoreError> {
        tempfile::Builder::new()
            .prefix(INCOMING)
            .tempdir_in(&self.0.directory)
            .map_err(StoreError::io("create a directory in", &self.0.directory))
    }

    /// Adds a commit with the pack of a fetch. If the pack alone has all objects of the commit, it replaces all other
    /// packs. Returns `false` if objects are missing, and then changes nothing.
    pub(crate) fn install(
        &self,
        wanted: &CommitId,
        indexed: Option<Indexed>,
        basis: &Basis,
    ) -> Result<bool, StoreError> {
        let id = object_id(wanted);
        let mut contents = Contents {
            commits: basis.commits.clone(),
            packs: basis.packs.names(),
        };
        if let Some(indexed) = indexed {
            let name = indexed.name();
            let alone = Packs::open(indexed.directory(), std::slice::from_ref(&name), id.kind())?;
            if tree::is_whole(&alone, id)? {
                contents = Contents::default();
            } else if !tree::is_whole(&alone.and(&basis.packs), id)? {
                return Ok(false);
            }
            self.move_pack(&indexed)?;
            contents.packs.retain(|known| *known != name);
            contents.packs.push(name);
        } else if !tree::is_whole(&basis.packs, id)? {
            return Ok(false);
        }
        contents.commits.retain(|known| known != wanted);
        contents.commits.push(wanted.clone());
        self.replace_contents(contents)?;
        Ok(true)
    }

    fn move_pack(&self, indexed: &Indexed) -> Result<(), StoreError> {
        let packs = self.0.directory.join(PACKS);
        let name = indexed.name();
        for file in name.files() {
            let from = indexed.directory().join(&file);
            fs::rename(&from, packs.join(&file)).map_err(StoreError::io("move", &from))?;
        }
        sync(&packs)
    }

    fn replace_contents(&self, contents: Contents) -> Result<(), StoreError> {
        let path = self.0.directory.join(CONTENTS);
        let mut file = tempfile::Builder::new()
            .prefix(INCOMING)
            .tempfile_in(&self.0.directory)
            .map_err(StoreError::io("write", &path))?;
        io::Write::write_all(&mut file, contents.to_string().as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(StoreError::io("write", &path))?;
        file.persist(&path)
            .map_err(|error| StoreError::io("write", &path)(error.error))?;
        sync(&self.0.directory)?;
        *self.lock() = contents;
        self.0.is_damaged.store(false, Ordering::Relaxed);
        self.remove_unnamed_packs()
    }

    fn remove_leftovers(&self) -> Result<(), StoreError> {
        let directory = &self.0.directory;
        for (path, name) in listed(directory)? {
            if name.starts_with(INCOMING) {
                let removed = if path.is_dir() {
                    fs::remove_dir_all(&path)
                } else {
                    fs::remove_file(&path)
                };
                removed.map_err(StoreError::io("remove", &path))?;
            }
        }
        self.remove_unnamed_packs()
    }

    fn remove_unnamed_packs(&self) -> Result<(), StoreError> {
        let contents = self.lock();
        let named: Vec<_> = contents.packs.iter().flat_map(PackName::files).collect();
        for (path, name) in listed(&self.0.directory.join(PACKS))? {
            if PackName::is_file(&name) && !named.contains(&name) {
                fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

/// The commits and packs of the store from which a fetch starts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Basis {
    /// The commits that the server need not send again.
    pub(crate) commits: Vec<CommitId>,
    /// The packs with their objects.
    pub(crate) packs: Arc<Packs>,
}

/// Reads the contents of a store. A store that cannot be used has none.
fn read_contents(directory: &Path) -> Result<Contents, StoreError> {
    let path = directory.join(CONTENTS);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    let contents = Contents::parse(&text).unwrap_or_default();
    match open_packs(directory, &contents) {
        Ok(_) => Ok(contents),
        Err(error) if error.is_damage() => Ok(Contents::default()),
        Err(error) => Err(error),
    }
}

/// Opens all packs of a store.
fn open_packs(directory: &Path, contents: &Contents) -> Result<Arc<Packs>, StoreError> {
    let Some(commit) = contents.commits.first() else {
        return Ok(Arc::default());
    };
    let format = object_id(commit).kind();
    Packs::open(&directory.join(PACKS), &contents.packs, format).map(Arc::new)
}

fn listed(directory: &Path) -> Result<Vec<(PathBuf, String)>, StoreError> {
    let entries = fs::read_dir(directory).map_err(StoreError::io("read", directory))?;
    entries
        .map(|entry| {
            let entry = entry.map_err(StoreError::io("read", directory))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok((entry.path(), name))
        })
        .collect()
}

/// Writes the names of the files in a directory to the disk.
fn sync(directory: &Path) -> Result<(), StoreError> {
    fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(StoreError::io("write", directory))
}

fn notice(is_damaged: &AtomicBool, error: &StoreError) {
    if error.is_damage() {
        is_damaged.store(true, Ordering::Relaxed);
    }
}

/// Returns the id of a commit as the id of an object.
pub(crate) fn object_id(id: &CommitId) -> ObjectId {
    // A `CommitId` has the digits of one of the two formats.
    ObjectId::from_hex(id.as_str().as_bytes())
        .unwrap_or_else(|_| ObjectId::null(gix_hash::Kind::Sha1))
}

fn root_of(packs: &Packs, id: &CommitId) -> Result<ObjectId, StoreError> {
    tree::root(packs, object_id(id))
}

fn read_commit(packs: &Packs, id: &CommitId) -> Result<CommitInfo, StoreError> {
    let id = object_id(id);
    let data = packs.read(&id, Kind::Commit)?;
    Ok(CommitInfo::read(&data))
}
