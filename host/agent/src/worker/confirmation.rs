//! Holds a sync that deletes more than its profile allows, until a person confirms the deletions.

use tokio::time::Instant;

use super::Worker;
use super::files::{Done, FilesJob};
use crate::agent::{Failure, Outcome, Work as _};
use crate::metadata::Published;

/// A sync that is held until its deletions are confirmed.
#[derive(Debug)]
pub(super) struct Held {
    wanted: Published,
    message: String,
    planned: Instant,
}

impl Worker {
    /// Remembers a sync that is held.
    pub(super) fn hold(&mut self, wanted: &Published, message: &str, planned: Instant) -> Outcome {
        self.progress.held = Some(Held {
            wanted: wanted.clone(),
            message: message.to_owned(),
            planned,
        });
        let message = message.to_owned();
        Outcome::Unconfirmed { message }
    }

    /// Returns what the last sync would delete, if it was held, nobody has confirmed it, and it need not be planned
    /// again: once in each period, because the files on the gateway may have changed.
    pub(super) async fn still_held(&mut self, wanted: &Published) -> Option<String> {
        let held = self.progress.held.take()?;
        let is_same = held.wanted == *wanted && held.planned.elapsed() < self.period();
        if !is_same || self.environment.is_confirmed(&wanted.commit).await {
            return None;
        }
        let message = held.message.clone();
        self.progress.held = Some(held);
        Some(message)
    }

    /// Plans and writes the files. If the deletions need a confirmation, it writes them only if there is one.
    pub(super) async fn run_if_confirmed(&mut self, job: FilesJob) -> Result<Done, Failure> {
        let mut done = self.run_files(job.clone()).await?;
        let Some(message) = done.held.take() else {
            return Ok(done);
        };
        let commit = &job.commit;
        if !self.environment.is_confirmed(commit).await {
            let how = self.environment.how_to_confirm(commit);
            done.held = Some(format!("{message}; {how}"));
            return Ok(done);
        }
        if done.is_dry_run {
            return Ok(done);
        }
        tracing::warn!(commit = commit.as_str(), "the deletions are confirmed");
        let is_confirmed = true;
        let confirmed = FilesJob {
            is_confirmed,
            ..job
        };
        self.run_files(confirmed).await
    }
}
