//! The files on the gateway that the profile manages and the commit does not have.

use std::collections::BTreeSet;

use super::super::folder::{FolderError, Kind};
use super::super::live::Live;
use super::super::pattern::Excludes;
use super::super::wanted::{Wanted, join};
use super::Operation;
use super::compare::Changes;

/// What can be deleted.
#[derive(Default)]
pub(super) struct Orphans {
    /// The files.
    pub(super) files: BTreeSet<String>,
    /// The directories that are empty without the files.
    pub(super) directories: BTreeSet<String>,
    /// The directories that were empty before.
    pub(super) empty: BTreeSet<String>,
    /// The number of managed files, wanted or not.
    pub(super) managed: usize,
}

struct Walk<'a> {
    wanted: &'a Wanted,
    excludes: &'a Excludes,
    live: &'a Live<'a>,
    found: Orphans,
}

/// Finds what can be deleted. Links are neither followed nor deleted.
pub(super) fn find(
    wanted: &Wanted,
    excludes: &Excludes,
    live: &Live<'_>,
) -> Result<Orphans, FolderError> {
    let mut walk = Walk {
        wanted,
        excludes,
        live,
        found: Orphans::default(),
    };
    let mut outer: Option<&String> = None;
    for root in &wanted.roots {
        // The walk through the outer root covers the inner one.
        if outer.is_some_and(|outer| super::super::wanted::is_at_or_below(root, outer)) {
            continue;
        }
        outer = Some(root);
        if !excludes.cover(root) && is_directory(live, root)? {
            walk.directory(root)?;
        }
    }
    Ok(walk.found)
}

/// Returns whether a path is a directory that is reached without a link.
fn is_directory(live: &Live<'_>, path: &str) -> Result<bool, FolderError> {
    let ends = path
        .match_indices('/')
        .map(|(at, _)| at)
        .chain([path.len()]);
    for end in ends {
        let stat = live.stat(&path[..end])?;
        if stat.is_none_or(|stat| stat.kind != Kind::Directory) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Walk<'_> {
    /// Returns whether nothing remains in the directory.
    fn directory(&mut self, path: &str) -> Result<bool, FolderError> {
        let entries = self.live.list(path)?;
        let mut remains = self.wanted.directories.contains(path);
        for (name, stat) in entries.iter() {
            let child = join(path, name);
            let is_kept =
                self.excludes.matches(&child) || !matches!(stat.kind, Kind::File | Kind::Directory);
            if is_kept {
                remains = true;
            } else if stat.kind == Kind::Directory {
                remains |= !self.directory(&child)?;
            } else {
                self.found.managed += 1;
                let is_orphan =
                    !self.wanted.files.contains_key(&child) && self.wanted.manages(&child);
                remains |= !is_orphan;
                if is_orphan {
                    self.found.files.insert(child);
                }
            }
        }
        if entries.is_empty() {
            self.found.empty.insert(path.to_owned());
            // A directory that was empty before stays.
            return Ok(false);
        }
        if !remains && self.wanted.manages(path) {
            self.found.directories.insert(path.to_owned());
            return Ok(true);
        }
        Ok(false)
    }
}

impl Orphans {
    /// Adds the deletions that the comparison has not made already.
    pub(super) fn add_deletions(&self, changes: &mut Changes) {
        let cleared = &changes.cleared;
        let files = self.files.iter().filter(|path| !cleared.contains(*path));
        let deletions: Vec<_> = files
            .map(|path| Operation::Delete { path: path.clone() })
            .collect();
        changes.counts.deleted += deletions.len();
        // The deepest directories come first.
        let directories = self
            .directories
            .iter()
            .rev()
            .filter(|path| !cleared.contains(*path));
        let directories = directories.map(|path| Operation::RemoveDirectory { path: path.clone() });
        let all: Vec<_> = deletions.into_iter().chain(directories).collect();
        changes.operations.extend(all);
    }
}
