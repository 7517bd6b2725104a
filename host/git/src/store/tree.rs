//! The files of a commit: lists them, and reads them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gix_hash::ObjectId;
use gix_object::tree::EntryKind;
use gix_object::{CommitRefIter, Kind, TreeRefIter};
use gix_validate::path::component;

use super::pack::Packs;
use super::{StoreError, notice};

/// The maximum number of entries of a commit. A few trees that contain each other often stand for any number of files.
const MAX_ENTRIES: usize = 1_000_000;
/// The maximum number of directories around a file. The message has it too.
const MAX_DEPTH: usize = 256;
/// The maximum length of a path in bytes, which is that of Linux.
const MAX_PATH: usize = 4096;

/// The files of one commit. Its packs stay readable while it exists.
#[derive(Debug, Clone)]
pub struct Tree {
    packs: Arc<Packs>,
    root: ObjectId,
    is_damaged: Arc<AtomicBool>,
}

/// One entry of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// The path from the root of the repository, with `/` between its parts. It has no empty part, no `.`, no `..` and
    /// no `.git`. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// The kind of the entry.
    pub kind: TreeEntryKind,
    /// The id of the object. Equal ids mean equal content.
    pub id: ObjectId,
}

/// The kinds of entries in a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeEntryKind {
    /// A file, mode 644.
    File,
    /// A file that may be executed, mode 755.
    Executable,
    /// A symbolic link.
    Symlink,
    /// A commit of another repository. Its files are not part of this commit.
    Submodule,
    /// An entry of any kind whose name is not UTF-8. What is in such a directory is not listed.
    NotUtf8,
}

impl Tree {
    pub(super) fn new(packs: Arc<Packs>, root: ObjectId, is_damaged: Arc<AtomicBool>) -> Self {
        Self {
            packs,
            root,
            is_damaged,
        }
    }

    /// Returns all files, symbolic links and submodules, in the byte order of their paths.
    ///
    /// # Errors
    ///
    /// Fails if an object cannot be read, if a path has a part that no checkout may have, exists twice or is longer than
    /// 4096 bytes, if directories are nested in more than 256 others, and if there are more than a million entries.
    pub fn entries(&self) -> Result<Vec<TreeEntry>, StoreError> {
        let mut found = Vec::new();
        self.list(&self.root, &mut Path::default(), &mut found)
            .inspect_err(|error| notice(&self.is_damaged, error))?;
        // The order of git is this one, unless another program wrote the trees in another order.
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Reads the content of a file, or the target of a symbolic link. Only the id of the entry counts.
    ///
    /// # Errors
    ///
    /// Fails if there is no such object, as for a submodule, or if it cannot be read.
    pub fn read(&self, entry: &TreeEntry) -> Result<Vec<u8>, StoreError> {
        let content = self.packs.read(&entry.id, Kind::Blob);
        match entry.kind {
            // The objects of a submodule are never there.
            TreeEntryKind::Submodule => content,
            _ => content.inspect_err(|error| notice(&self.is_damaged, error)),
        }
    }

    /// Returns the size of a file or of the target of a symbolic link, in bytes, without reading the content.
    ///
    /// # Errors
    ///
    /// Fails like [`Self::read`].
    pub fn size(&self, entry: &TreeEntry) -> Result<u64, StoreError> {
        let size = self.packs.size(&entry.id);
        match entry.kind {
            TreeEntryKind::Submodule => size,
            _ => size.inspect_err(|error| notice(&self.is_damaged, error)),
        }
    }

    fn list(
        &self,
        id: &ObjectId,
        path: &mut Path,
        found: &mut Vec<TreeEntry>,
    ) -> Result<(), StoreError> {
        let data = self.packs.read(id, Kind::Tree)?;
        let mut names = HashSet::new();
        for entry in TreeRefIter::from_bytes(&data, id.kind()) {
            let entry = entry.map_err(|_| not_a_directory(id))?;
            let kind = entry.mode.kind();
            let length = path.push(entry.filename, kind)?;
            if !names.insert(entry.filename) {
                return Err(path.refused("exists twice"));
            }
            let oid = entry.oid.to_owned();
            let is_utf8 = std::str::from_utf8(entry.filename).is_ok();
            let found_kind = if is_utf8 {
                leaf(kind)
            } else {
                Some(TreeEntryKind::NotUtf8)
            };
            match found_kind {
                None => {
                    path.depth += 1;
                    if path.depth > MAX_DEPTH {
                        return Err(path.refused("is in more than 256 directories"));
                    }
                    self.list(&oid, path, found)?;
                    path.depth -= 1;
                }
                Some(_) if found.len() >= MAX_ENTRIES => {
                    return Err(StoreError::TooManyFiles { limit: MAX_ENTRIES });
                }
                Some(kind) => found.push(TreeEntry {
                    path: path.text.clone(),
                    kind,
                    id: oid,
                }),
            }
            path.text.truncate(length);
        }
        Ok(())
    }
}

/// The path of the entry that is read.
#[derive(Debug, Default)]
struct Path {
    text: String,
    depth: usize,
}

impl Path {
    /// Appends a part, and returns the length before it.
    fn push(&mut self, part: &[u8], kind: EntryKind) -> Result<usize, StoreError> {
        let length = self.text.len();
        let text = String::from_utf8_lossy(part);
        if length > 0 {
            self.text.push('/');
        }
        self.text.push_str(&text);
        if let Some(why) = refusal(part, kind) {
            return Err(self.refused(why));
        }
        if self.text.len() > MAX_PATH {
            return Err(self.refused("is too long"));
        }
        Ok(length)
    }

    fn refused(&self, why: &'static str) -> StoreError {
        let path = self.text.chars().take(200).collect();
        StoreError::Path { path, why }
    }
}

/// Returns what is wrong with one part of a path. The rules are git's for a checkout (`core.protectHFS` and
/// `core.protectNTFS` included), because the files may be on a volume of any kind.
fn refusal(part: &[u8], kind: EntryKind) -> Option<&'static str> {
    if part.contains(&0) {
        return Some("contains a zero byte");
    }
    let mode = matches!(kind, EntryKind::Link).then_some(component::Mode::Symlink);
    let options = component::Options {
        protect_windows: false,
        protect_hfs: true,
        protect_ntfs: true,
    };
    match gix_validate::path::component(part.into(), mode, options) {
        Ok(_) => None,
        Err(component::Error::Empty) => Some("has an empty part"),
        Err(component::Error::PathSeparator) => Some("has a part with a separator"),
        Err(component::Error::Relative) => Some("has a part . or .."),
        Err(component::Error::SymlinkedGitModules) => Some("is a link named .gitmodules"),
        Err(_) => Some("contains the name .git, or a name that some file systems treat like it"),
    }
}

fn leaf(kind: EntryKind) -> Option<TreeEntryKind> {
    match kind {
        EntryKind::Tree => None,
        EntryKind::Blob => Some(TreeEntryKind::File),
        EntryKind::BlobExecutable => Some(TreeEntryKind::Executable),
        EntryKind::Link => Some(TreeEntryKind::Symlink),
        EntryKind::Commit => Some(TreeEntryKind::Submodule),
    }
}

fn not_a_directory(id: &ObjectId) -> StoreError {
    StoreError::Unexpected {
        id: id.to_string(),
        expected: "a directory",
    }
}

/// Returns the tree of a commit.
pub(super) fn root(packs: &Packs, commit: ObjectId) -> Result<ObjectId, StoreError> {
    let data = packs.read(&commit, Kind::Commit)?;
    CommitRefIter::from_bytes(&data, commit.kind())
        .tree_id()
        .map_err(|_| StoreError::Unexpected {
            id: commit.to_string(),
            expected: "a commit",
        })
}

/// Returns whether the packs have all objects of a commit. Each tree is read once. Of the other objects, only the
/// presence is checked: their content was checked when the packs were indexed.
pub(super) fn is_whole(packs: &Packs, commit: ObjectId) -> Result<bool, StoreError> {
    if !packs.contain(&commit) {
        return Ok(false);
    }
    let mut trees = vec![root(packs, commit)?];
    let mut seen = HashSet::new();
    while let Some(id) = trees.pop() {
        if !packs.contain(&id) {
            return Ok(false);
        }
        if !seen.insert(id) {
            continue;
        }
        let data = packs.read(&id, Kind::Tree)?;
        for entry in TreeRefIter::from_bytes(&data, id.kind()) {
            let entry = entry.map_err(|_| not_a_directory(&id))?;
            match leaf(entry.mode.kind()) {
                None => trees.push(entry.oid.to_owned()),
                Some(TreeEntryKind::Submodule) => {}
                Some(_) if packs.contain(entry.oid) => {}
                Some(_) => return Ok(false),
            }
        }
    }
    Ok(true)
}
