//! Makes the changes of a plan.
//!
//! All files are first written to a staging folder. An error there leaves the gateway as it is. Each file is then moved to
//! its place in one step, so an interruption leaves it as it was before or as it is after. Deletions are last.

mod disk;
mod staging;

use std::collections::BTreeMap;
use std::path::Path;

use super::applied::{Applied, AppliedFile};
use super::folder::{Folder, FolderError, Kind};
use super::plan::{Counts, Operation, PROJECTS, Plan, TooManyDeletes};
use super::rule::ContentError;
use crate::source::{Source, SourceError};
use disk::{Disk, Step};
use staging::Staged;

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
    /// The gateway's folder cannot be written. Each file is as it was before, or as it should be.
    #[error(transparent)]
    Folder(#[from] FolderError),
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
}

/// Makes the changes of a plan. `applied` becomes the record of the files, for the next sync. A plan with too many
/// deletions needs `is_confirmed`.
///
/// # Errors
///
/// Fails if a file cannot be read, made or written. Nothing is changed unless all files could be written to the staging
/// folder.
pub fn apply(
    plan: &Plan,
    source: &dyn Source,
    data: &Path,
    applied: &mut Applied,
    is_confirmed: bool,
) -> Result<Outcome, ApplyError> {
    apply_with(plan, source, data, applied, is_confirmed, &mut |_| Ok(()))
}

/// Applies a plan. The hook is called before each change to the disk, and fails it with an error.
fn apply_with(
    plan: &Plan,
    source: &dyn Source,
    data: &Path,
    applied: &mut Applied,
    is_confirmed: bool,
    before: &mut dyn FnMut(Step) -> std::io::Result<()>,
) -> Result<Outcome, ApplyError> {
    if let Some(too_many) = plan.too_many_deletes().filter(|_| !is_confirmed) {
        return Err(too_many.into());
    }
    let folder = Folder::open(data)?;
    let mut disk = Disk::new(&folder, before);
    disk.clear_staging()?;
    let result = change(plan, source, &mut disk);
    // A failure leaves the staging folder to the next sync if it cannot be removed now.
    let cleared = disk.clear_staging();
    let records = result?;
    cleared?;
    applied.files = records;
    Ok(Outcome {
        counts: plan.counts(),
        projects: projects_in(&folder)?,
        operations: plan.operations().to_vec(),
    })
}

fn change(
    plan: &Plan,
    source: &dyn Source,
    disk: &mut Disk<'_>,
) -> Result<BTreeMap<String, AppliedFile>, ApplyError> {
    let staged = staging::stage(plan, source, disk)?;
    let mut files: BTreeMap<String, AppliedFile> = plan.kept.iter().cloned().collect();
    let mut next = staged.into_iter();
    for operation in plan.operations() {
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
                note(path, disk.folder(), &mut files)?;
            }
            Operation::Write { .. } => {
                let Some(staged) = next.next() else { break };
                disk.publish(&staged.name, path, staged.mode)?;
                files.insert(path.to_owned(), record(staged));
                note(path, disk.folder(), &mut files)?;
            }
        }
    }
    Ok(files)
}

/// Notes the times of a file that was changed. If somebody has replaced it already, it is not in the record.
fn note(
    path: &str,
    folder: &Folder,
    files: &mut BTreeMap<String, AppliedFile>,
) -> Result<(), FolderError> {
    let stat = folder.stat(path)?;
    let Some(file) = files.get_mut(path) else {
        return Ok(());
    };
    match stat.filter(|stat| stat.kind == Kind::File && stat.size == file.stat.size) {
        Some(stat) => file.stat = stat,
        None => {
            files.remove(path);
        }
    }
    Ok(())
}

fn record(staged: Staged) -> AppliedFile {
    AppliedFile {
        stat: staged.stat,
        mode: staged.mode,
        digest: staged.digest,
        id: staged.id,
        recipe: staged.recipe,
    }
}

/// Returns the names of the directories in `projects`, also of those that no sync manages. A link that leads elsewhere has
/// none.
///
/// # Errors
///
/// Fails if the gateway's folder cannot be read.
pub fn projects(data: &Path) -> Result<Vec<String>, FolderError> {
    projects_in(&Folder::open(data)?)
}

fn projects_in(folder: &Folder) -> Result<Vec<String>, FolderError> {
    let entries = match folder.list(PROJECTS) {
        Ok(entries) => entries.unwrap_or_default(),
        Err(FolderError::NotDirectory(_) | FolderError::Outside(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let directories = entries
        .into_iter()
        .filter(|(_, stat)| stat.kind == Kind::Directory);
    Ok(directories.map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests;
