//! The files on the gateway that the profile manages and the commit does not have.

use std::collections::BTreeSet;

use super::super::live::Live;
use super::super::pattern::Excludes;
use super::super::root::{Kind, RootError, Stat};
use super::super::wanted::{Wanted, is_at_or_below, join};
use super::Operation;
use super::compare::Changes;

/// What can be deleted.
#[derive(Default)]
pub(super) struct Orphans {
    /// The files.
    pub(super) files: BTreeSet<String>,
    /// The directories that are empty without the files.
    pub(super) directories: BTreeSet<String>,
    /// The directories that have only such files and empty directories in them.
    pub(super) clearable: BTreeSet<String>,
    /// The number of managed files, wanted or not.
    pub(super) managed: usize,
}

struct Walk<'a> {
    wanted: &'a Wanted,
    excludes: &'a Excludes,
    live: &'a Live,
    found: Orphans,
    /// Whether only files of the last sync can be deleted, and not all files at the destinations.
    only_applied: bool,
}

/// Finds what can be deleted: what nobody wants at the destinations, and what the last sync has left where a file becomes
/// a directory, or a directory a file. Links are neither followed nor deleted.
pub(super) fn find(
    wanted: &Wanted,
    excludes: &Excludes,
    live: &Live,
) -> Result<Orphans, RootError> {
    let mut walk = Walk {
        wanted,
        excludes,
        live,
        found: Orphans::default(),
        only_applied: false,
    };
    let mut walked: Vec<&String> = Vec::new();
    for root in &wanted.roots {
        // The walk through the outer root covers the inner one.
        if walked.iter().any(|outer| is_at_or_below(root, outer)) {
            continue;
        }
        walked.push(root);
        if !excludes.cover(root) && is_directory(live, root)? {
            walk.directory(root)?;
        }
    }
    walk.only_applied = true;
    walk.former_files()?;
    walk.former_directories(&walked)?;
    Ok(walk.found)
}

/// Returns whether a path is a directory that is reached without a link.
fn is_directory(live: &Live, path: &str) -> Result<bool, RootError> {
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

/// What remains in a directory after the deletions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rest {
    Nothing,
    EmptyDirectories,
    Files,
}

impl Walk<'_> {
    /// Finds the files of the last sync where a directory is wanted now. Those that others have changed since are theirs.
    fn former_files(&mut self) -> Result<(), RootError> {
        for path in &self.wanted.directories {
            if self.live.applied(path).is_none()
                || self.excludes.cover(path)
                || self.wanted.keeps(path)
            {
                continue;
            }
            let above = path.rsplit_once('/').map_or("", |(above, _)| above);
            let is_reached = above.is_empty() || is_directory(self.live, above)?;
            if is_reached
                && let Some(stat) = self.live.stat(path)?
                && stat.kind == Kind::File
                && self.is_unchanged(path, &stat)
                && self.found.files.insert(path.clone())
            {
                self.found.managed += 1;
            }
        }
        Ok(())
    }

    /// Finds the directories of the last sync where a file is wanted now, outside those that were walked.
    fn former_directories(&mut self, walked: &[&String]) -> Result<(), RootError> {
        for path in self.wanted.files.keys() {
            let is_walked = walked.iter().any(|outer| is_at_or_below(path, outer));
            if !is_walked
                && self.live.has_applied_below(path)
                && !self.excludes.cover(path)
                && !self.wanted.keeps(path)
                && is_directory(self.live, path)?
            {
                self.directory(path)?;
            }
        }
        Ok(())
    }

    /// Returns whether a file has the content that the last sync wrote. One that cannot be read has another.
    fn is_unchanged(&self, path: &str, stat: &Stat) -> bool {
        self.live.applied(path).is_some_and(|applied| {
            let has_size = applied.stat.size == stat.size;
            has_size && self.live.digest(path, stat).ok() == Some(applied.digest)
        })
    }

    /// Returns whether a path can be deleted if nobody wants it.
    fn manages(&self, path: &str) -> bool {
        if self.only_applied {
            !self.wanted.keeps(path)
        } else {
            self.wanted.manages(path)
        }
    }

    fn directory(&mut self, path: &str) -> Result<Rest, RootError> {
        let entries = self.live.list(path)?;
        let is_needed = self.wanted.directories.contains(path) || !self.manages(path);
        let mut rest = if is_needed {
            Rest::Files
        } else {
            Rest::Nothing
        };
        // A directory that was empty before stays, unless it has files of the last sync: then a sync was interrupted
        // before it could delete the directory.
        if entries.is_empty() && !self.live.has_applied_below(path) {
            rest = rest.max(Rest::EmptyDirectories);
        }
        for (name, stat) in entries.iter() {
            let child = join(path, name);
            let is_kept =
                self.excludes.matches(&child) || !matches!(stat.kind, Kind::File | Kind::Directory);
            let child_rest = if is_kept {
                Rest::Files
            } else if stat.kind == Kind::Directory {
                self.directory(&child)?
            } else {
                self.file(child, stat)
            };
            rest = rest.max(child_rest);
        }
        if rest == Rest::Nothing {
            self.found.directories.insert(path.to_owned());
        }
        if rest < Rest::Files {
            self.found.clearable.insert(path.to_owned());
        }
        Ok(rest)
    }

    fn file(&mut self, path: String, stat: &Stat) -> Rest {
        self.found.managed += 1;
        let is_foreign = self.only_applied && !self.is_unchanged(&path, stat);
        if self.wanted.files.contains_key(path.as_str()) || !self.manages(&path) || is_foreign {
            return Rest::Files;
        }
        self.found.files.insert(path);
        Rest::Nothing
    }
}

/// Returns whether a path is below a directory.
fn has_below(paths: &BTreeSet<String>, directory: &str) -> bool {
    let prefix = format!("{directory}/");
    let next = paths.range(prefix.clone()..).next();
    next.is_some_and(|path| path.starts_with(&prefix))
}

impl Orphans {
    /// Adds the deletions that the comparison has not made already.
    pub(super) fn add_deletions(&self, changes: &mut Changes) {
        let (cleared, renamed) = (&changes.cleared, &changes.renamed);
        let is_left = |path: &&String| !cleared.contains(*path) && !renamed.contains(*path);
        let files = self.files.iter().filter(is_left);
        let deletions: Vec<_> = files
            .map(|path| Operation::Delete {
                path: path.as_str().into(),
            })
            .collect();
        changes.counts.deleted += deletions.len();
        // The deepest directories come first.
        let directories = self
            .directories
            .iter()
            .rev()
            .filter(|path| !cleared.contains(*path) && !has_below(renamed, path));
        let directories = directories.map(|path| Operation::RemoveDirectory {
            path: path.as_str().into(),
        });
        let all: Vec<_> = deletions.into_iter().chain(directories).collect();
        changes.operations.extend(all);
    }
}
