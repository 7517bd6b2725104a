//! Gets the commit of a sync.

use std::sync::Arc;

use stoker_git::{CommitInfo, GitError, Wanted};
use tokio::time::Instant;

use super::{Worker, blocking, failure, text_failure};
use crate::agent::{Failure, Step};
use crate::host_keys::HostKeyError;
use crate::metadata::{CancelFor, Metadata, Published};
use crate::metrics::Operation;

impl Worker {
    /// Gets the commit like [`Self::fetch`], until the object is paused, or another repository or another commit is
    /// published. Then the fetch is cancelled, and the result is `None`.
    ///
    /// After a fetch was cancelled for another commit, no further fetch is cancelled for one until one has ended.
    /// Otherwise, no fetch would ever end where commits arrive faster than they are fetched.
    pub(super) async fn fetch_while_wanted(
        &mut self,
        wanted: &Published,
    ) -> Result<Option<CommitInfo>, Failure> {
        let mut published = self.published.clone();
        let cancel_for = self.progress.cancel_for;
        let is_replaced = |published: &Option<Metadata>| {
            let published = published.as_ref();
            published.is_some_and(|published| wanted.is_cancelled_by(published, cancel_for))
        };
        let replaced = async {
            if let Some(published) = &mut published
                && let Ok(now) = published.wait_for(is_replaced).await
            {
                let now = now.as_ref();
                return now
                    .is_some_and(|now| !wanted.is_cancelled_by(now, CancelFor::Repositories));
            }
            // Without a sender, nothing is published any more.
            std::future::pending().await
        };
        tokio::select! {
            biased;
            fetched = self.fetch(wanted) => {
                self.progress.cancel_for = CancelFor::Commits;
                fetched.map(Some)
            }
            is_for_commit = replaced => {
                if is_for_commit {
                    self.progress.cancel_for = CancelFor::Repositories;
                }
                tracing::info!(commit = wanted.commit.as_str(), "the fetch is cancelled, because something else is published");
                Ok(None)
            }
        }
    }

    /// Gets the commit, if it is not there.
    pub(super) async fn fetch(&mut self, wanted: &Published) -> Result<CommitInfo, Failure> {
        let (operation, step) =
            if self.progress.has_fetched || !self.state.on_disk().commit.is_empty() {
                (Operation::Fetch, Step::Fetch)
            } else {
                (Operation::Clone, Step::Clone)
            };
        let started = Instant::now();
        let fetched = self.fetch_commit(wanted, step).await;
        self.metrics
            .fetched(operation, started.elapsed(), fetched.is_ok());
        self.progress.has_fetched |= fetched.is_ok();
        fetched
    }

    async fn fetch_commit(
        &mut self,
        wanted: &Published,
        step: Step,
    ) -> Result<CommitInfo, Failure> {
        // Objects that could not be read are fetched again.
        if !self.progress.is_store_in_doubt
            && let Some(info) = self.stored(wanted, step).await.unwrap_or_default()
        {
            return Ok(info);
        }
        let remote = self
            .credentials
            .remote(wanted.repo.clone())
            .map_err(|error| failure(step, &error))?;
        // Without the key, any server would be accepted, so nothing is fetched if it cannot be read.
        let pinned = self.environment.pin(remote).await;
        let mut remote = pinned.map_err(|error| failure(step, &error))?;
        if let Some(bundle) = &wanted.ca_bundle {
            remote = remote.with_ca_bundle(bundle);
        }
        let asked = Wanted {
            commit: wanted.commit.clone(),
            git_ref: wanted.git_ref.clone(),
        };
        let report = self
            .git
            .fetch_with_progress(&remote, &asked, &self.store, &self.show)
            .await
            .map_err(|error| explained(step, &self.environment.explain(&remote, error)))?;
        tracing::debug!(bytes = report.bytes, "fetched");
        let info = self.stored(wanted, step).await?;
        let info =
            info.ok_or_else(|| text_failure(step, "the commit is not among the fetched objects"))?;
        self.progress.is_store_in_doubt = false;
        Ok(info)
    }

    /// Returns the commit, if the store has it with all its files.
    async fn stored(&self, wanted: &Published, step: Step) -> Result<Option<CommitInfo>, Failure> {
        let store = Arc::clone(&self.store);
        let commit = wanted.commit.clone();
        let info = blocking(move || store.commit(&commit)).await;
        info.map_err(|error| failure(step, &error))
    }
}

/// Adds to the error about a file that is too large which setting permits larger ones.
fn explained(step: Step, error: &HostKeyError) -> Failure {
    let failure = failure(step, error);
    if !matches!(error, HostKeyError::Git(GitError::ObjectTooLarge { .. })) {
        return failure;
    }
    Failure {
        message: format!(
            "{}; all files of the commit are fetched, also those that no mapping copies; \
             --max-file-mib, maxFileMib or MAX_FILE_MIB permits larger ones",
            failure.message
        ),
        ..failure
    }
}
