//! The files of a sync: plans them and writes them. It blocks, so it runs in a thread for blocking work.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stoker_api::detection::CommitId;
use stoker_git::{ObjectStore, StoreError};

use super::state::{Origin, State};
use crate::agent::OnDisk;
use crate::gateway::Scans;
use crate::lock::{DirectoryLock, InUse};
use crate::metrics::Files;
use crate::sync::{
    self, ApplyError, Context, Drifted, Live, Operation, PlanError, Profile, RootError,
};

/// One sync of files.
#[derive(Clone)]
pub(crate) struct FilesJob {
    pub(crate) store: Arc<ObjectStore>,
    pub(crate) commit: CommitId,
    pub(crate) origin: Origin,
    pub(crate) profile: Profile,
    pub(crate) context: Context,
    pub(crate) data: PathBuf,
    /// Whether the changes are only counted.
    pub(crate) is_dry_run: bool,
    /// Whether a person has confirmed the deletions.
    pub(crate) is_confirmed: bool,
    /// Whether each changed file is returned.
    pub(crate) lists_changes: bool,
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Done {
    pub(crate) files: Files,
    /// Whether the changes were only counted.
    pub(crate) is_dry_run: bool,
    /// The projects on the gateway.
    pub(crate) projects: Vec<String>,
    /// What the gateway must scan.
    pub(crate) scans: Scans,
    /// What was not done although the profile has it, for people.
    pub(crate) messages: Vec<String>,
    /// Why a sync is held, or would be if the changes were not only counted: there are more deletions than the profile
    /// allows, and nobody has confirmed them. Nothing was changed.
    pub(crate) held: Option<String>,
    /// The files that were changed, each with `A`, `M` or `D` for added, modified or deleted.
    pub(crate) changes: Vec<(char, String)>,
}

/// The files cannot be planned or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// Another agent writes to the directory of the gateway.
    #[error(transparent)]
    InUse(#[from] InUse),
    /// The commit cannot be read.
    #[error("cannot read the commit")]
    Store(#[from] StoreError),
    /// The directory of the gateway cannot be read.
    #[error("cannot read the directory of the gateway")]
    Directory(#[from] RootError),
    /// The plan failed. Nothing was changed.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file cannot be written. The next sync completes what this one has begun.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The sync has panicked. The next sync completes what this one has begun.
    #[error("the sync has panicked; the log has the reason, which is a defect of the agent")]
    Panic,
}

/// Runs a sync. A panic is an error of this sync: a file of the repository may cause it, and the next commit not.
pub(crate) fn caught<T>(sync: impl FnOnce() -> Result<T, FilesError>) -> Result<T, FilesError> {
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(sync));
    outcome.unwrap_or(Err(FilesError::Panic))
}

impl FilesJob {
    /// Plans and writes the files, and records them in the state.
    pub(crate) fn run(&self, state: &mut State) -> Result<Done, FilesError> {
        let _lock = DirectoryLock::take(&self.data)?;
        let source = self.store.tree(&self.commit)?;
        let plan = {
            let live = Live::read(&self.data, state.applied())?;
            sync::plan(&source, &self.profile, &self.context, live)?
        };
        let counts = plan.counts();
        let mut done = Done {
            files: Files {
                added: counts.added,
                modified: counts.modified,
                deleted: counts.deleted,
            },
            is_dry_run: self.is_dry_run,
            scans: Scans {
                projects: plan.changes_projects(),
                configuration: plan.changes_configuration(),
            },
            messages: plan.messages().to_vec(),
            ..Done::default()
        };
        let too_many = plan.too_many_deletes().filter(|_| !self.is_confirmed);
        done.held = too_many.map(|too_many| too_many.to_string());
        if self.lists_changes {
            done.changes = plan.operations().iter().filter_map(change).collect();
        }
        if self.is_dry_run {
            done.projects = sync::projects(&self.data)?;
            return Ok(done);
        }
        if done.held.is_some() {
            return Ok(done);
        }
        let outcome = sync::apply(plan, &source, &self.data, self.is_confirmed)?;
        done.projects = outcome.projects;
        done.messages.extend(outcome.messages);
        let on_disk = OnDisk {
            commit: self.commit.to_string(),
            git_ref: self.context.git_ref.clone(),
        };
        state.record(on_disk, self.origin.clone(), outcome.applied);
        Ok(done)
    }
}

/// Returns a change for people. Directories and permissions are not listed.
fn change(operation: &Operation) -> Option<(char, String)> {
    let kind = match operation {
        Operation::Write {
            replaces: false, ..
        } => 'A',
        Operation::Write { .. } | Operation::SetMode { .. } => 'M',
        Operation::Delete { .. } => 'D',
        Operation::Clear { is_directory, .. } if !is_directory => 'D',
        Operation::Clear { .. } | Operation::RemoveDirectory { .. } => return None,
    };
    Some((kind, operation.path().to_owned()))
}

/// Returns the files that others have changed since the last sync.
pub(crate) fn find_drift(state: &State, data: &Path) -> Vec<Drifted> {
    sync::drift(state.files(), data)
}

/// Runs work that blocks, in a thread for it.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_the_sync() {
        let outcome = caught::<()>(|| panic!("a defect"));
        assert!(matches!(outcome, Err(FilesError::Panic)), "{outcome:?}");
        assert!(caught(|| Ok(())).is_ok());
    }
}
