//! Makes the changes of a plan.
//!
//! All files are first written to a staging directory. An error there leaves the gateway as it is. Each file is then
//! moved to its place in one step, so an interruption leaves it as it was before or as it is after. Deletions are last,
//! unless something is in the way of a file. A file whose name changes only in case is deleted directly before it is
//! moved, on volumes that would keep the name: there, some ignore a rename that changes only the case.

mod disk;
mod staging;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::applied::{Applied, AppliedFile};
use super::plan::{Counts, OneFile, Operation, PROJECTS, Plan, TooManyDeletes};
use super::root::{Kind, Root, RootError};
use super::rule::ContentError;
use crate::source::{Source, SourceError};
use disk::{Disk, Step};

/// The changes cannot be made, or not all of them. The next sync continues.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The plan needs a confirmation. Nothing was changed.
    #[error(transparent)]
    Unconfirmed(#[from] TooManyDeletes),
    /// The commit cannot be read. Nothing was changed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The content of a file cannot be made. Nothing was changed.
    #[error("{path}: {cause}")]
    Content {
        /// The path of the file on the gateway.
        path: String,
        /// What is wrong.
        cause: ContentError,
    },
    /// Two files of the commit are one on the gateway. The next sync finds that before it changes anything.
    #[error(transparent)]
    OneFile(#[from] OneFile),
    /// The gateway's directory cannot be written. Each file is as it was before, or as it should be.
    #[error(transparent)]
    Root(#[from] RootError),
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// How many files were changed.
    pub counts: Counts,
    /// The names of the directories in `projects`, also of those that the sync does not manage.
    pub projects: Vec<String>,
    /// The changes, in the order in which they were made.
    pub operations: Vec<Operation>,
    /// The record of the files, for the next sync.
    pub applied: Applied,
    /// What could not be done and does not fail the sync, as sentences for the log.
    pub messages: Vec<String>,
}

/// Makes the changes of a plan. A plan with too many deletions needs `is_confirmed`.
///
/// # Errors
///
/// Fails if a file cannot be read, made or written. Nothing is changed unless all files could be written to the staging
/// directory.
pub fn apply(
    plan: Plan,
    source: &dyn Source,
    data: &Path,
    is_confirmed: bool,
) -> Result<Outcome, ApplyError> {
    apply_with(plan, source, data, is_confirmed, &mut |_| Ok(()))
}

/// Applies a plan. The hook is called before each change to the disk, and fails it with an error.
fn apply_with(
    plan: Plan,
    source: &dyn Source,
    data: &Path,
    is_confirmed: bool,
    before: &mut dyn FnMut(Step) -> std::io::Result<()>,
) -> Result<Outcome, ApplyError> {
    if let Some(too_many) = plan.too_many_deletes().filter(|_| !is_confirmed) {
        return Err(too_many.into());
    }
    let root = Root::open(data)?;
    let mut disk = Disk::new(&root, before);
    disk.clear_staging()?;
    let counts = plan.counts();
    let result = change(plan, source, &mut disk);
    // A failure leaves the staging directory to the next sync if it cannot be removed now.
    let cleared = disk.clear_staging();
    let messages = disk.take_refusals();
    let (applied, operations) = result?;
    cleared?;
    Ok(Outcome {
        counts,
        projects: projects_in(&root)?,
        operations,
        applied,
        messages,
    })
}

fn change(
    plan: Plan,
    source: &dyn Source,
    disk: &mut Disk<'_>,
) -> Result<(Applied, Vec<Operation>), ApplyError> {
    let written = staging::stage(&plan, source, disk)?;
    let Plan {
        operations,
        kept: mut files,
        twins,
        ..
    } = plan;
    let first = files.len();
    files.extend(written);
    let mut next = first..files.len();
    let mut lost = HashSet::new();
    for operation in &operations {
        let path = operation.path();
        match operation {
            Operation::Clear {
                is_directory: false,
                ..
            }
            | Operation::Delete { .. } => disk.delete(path)?,
            Operation::Clear {
                is_directory: true, ..
            }
            | Operation::RemoveDirectory { .. } => disk.remove_directory(path)?,
            Operation::SetMode { mode, .. } => {
                disk.set_mode(path, *mode)?;
                let kept = files[..first].binary_search_by(|file| (*file.path).cmp(path));
                if let Ok(at) = kept {
                    note(at, disk.root(), &mut files, &mut lost)?;
                }
            }
            Operation::Write { replaces, .. } => {
                let Some(at) = next.next() else { break };
                let twin = twins.get(path).filter(|_| !replaces);
                if let Some(other) = twin
                    && disk.root().stat(path)?.is_some()
                {
                    return Err(one_file(path, other));
                }
                disk.publish(&(at - first).to_string(), path, files[at].mode)?;
                note(at, disk.root(), &mut files, &mut lost)?;
            }
        }
    }
    files.retain(|file| !lost.contains(&file.path));
    Ok((files.into(), operations))
}

fn one_file(path: &str, other: &str) -> ApplyError {
    let (path, other) = (path.to_owned(), other.to_owned());
    ApplyError::OneFile(OneFile { path, other })
}

/// Notes the times of a file that was changed. If somebody has replaced it already, it is lost for the record.
fn note(
    at: usize,
    root: &Root,
    files: &mut [AppliedFile],
    lost: &mut HashSet<Arc<str>>,
) -> Result<(), RootError> {
    let file = &mut files[at];
    let stat = root.stat(&file.path)?;
    match stat.filter(|stat| stat.kind == Kind::File && stat.size == file.stat.size) {
        Some(stat) => file.stat = stat,
        None => {
            lost.insert(file.path.clone());
        }
    }
    Ok(())
}

/// Returns the names of the directories in `projects`, also of those that no sync manages. A link that leads elsewhere has
/// none.
///
/// # Errors
///
/// Fails if the gateway's directory cannot be read.
pub fn projects(data: &Path) -> Result<Vec<String>, RootError> {
    projects_in(&Root::open(data)?)
}

fn projects_in(root: &Root) -> Result<Vec<String>, RootError> {
    let entries = match root.list(PROJECTS) {
        Ok(entries) => entries.unwrap_or_default(),
        Err(RootError::NotDirectory(_) | RootError::Outside(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let directories = entries
        .iter()
        .filter(|(_, stat)| stat.kind == Kind::Directory);
    Ok(directories.map(|(name, _)| name.to_owned()).collect())
}

#[cfg(test)]
mod tests;
