//! The files of a commit in the object store, as the sync reads them.

use stoker_git::{Tree, TreeEntry, TreeEntryKind};

use crate::source::{Source, SourceEntry, SourceError, SourceKind};

/// The files of a commit.
#[derive(Debug, Clone)]
pub(crate) struct Checkout(pub(crate) Tree);

impl Source for Checkout {
    fn entries(&self) -> Result<Vec<SourceEntry>, SourceError> {
        let entries = self.0.entries().map_err(failed)?;
        Ok(entries
            .into_iter()
            .map(|entry| SourceEntry {
                path: entry.path,
                kind: match entry.kind {
                    TreeEntryKind::File => SourceKind::File,
                    TreeEntryKind::Executable => SourceKind::Executable,
                    TreeEntryKind::Symlink => SourceKind::Symlink,
                    TreeEntryKind::Submodule => SourceKind::Submodule,
                    TreeEntryKind::NotUtf8 => SourceKind::NotUtf8,
                },
                id: entry.id,
            })
            .collect())
    }

    fn size(&self, entry: &SourceEntry) -> Result<u64, SourceError> {
        self.0.size(&in_tree(entry)).map_err(failed)
    }

    fn read(&self, entry: &SourceEntry) -> Result<Vec<u8>, SourceError> {
        self.0.read(&in_tree(entry)).map_err(failed)
    }
}

fn in_tree(entry: &SourceEntry) -> TreeEntry {
    TreeEntry {
        path: entry.path.clone(),
        kind: match entry.kind {
            SourceKind::File => TreeEntryKind::File,
            SourceKind::Executable => TreeEntryKind::Executable,
            SourceKind::Symlink => TreeEntryKind::Symlink,
            SourceKind::Submodule => TreeEntryKind::Submodule,
            SourceKind::NotUtf8 => TreeEntryKind::NotUtf8,
        },
        id: entry.id,
    }
}

fn failed(error: stoker_git::StoreError) -> SourceError {
    SourceError(Box::new(error))
}
