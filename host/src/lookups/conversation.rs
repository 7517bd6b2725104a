//! The lookups of one remote, one after the other, and their conversations.

use std::sync::Arc;

use stoker_api::detection::GitRef;
use stoker_git::{RefSource, Remote};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::error::LookupError;
use super::host::LastLookup;
use super::permit::{Permit, Permits};
use super::remote::{self, Answer, RemoteId};
use super::{BEGINNING, LONGEST, Shared};

impl<G: RefSource> Shared<G> {
    /// Looks up the refs of a remote until nobody awaits an answer any more.
    pub(super) async fn run(
        self: Arc<Self>,
        id: RemoteId,
        number: u64,
        remote: &Remote,
        permits: &Permits,
    ) {
        loop {
            // First a permit of the host: a lookup that waits for one must not take a permit from other hosts.
            let mut at_host = permits.take(self.last_lookup(id, number)).await;
            let unanswered = if self.is_answering(id, number) {
                None
            } else {
                // It is never closed.
                self.unanswered.acquire().await.ok()
            };
            let beginning = self.beginnings.acquire().await.ok();
            let began = Instant::now();
            // The refs are collected as late as possible, so that one conversation serves everybody who waits.
            let results = match self.begin(id, number) {
                None => return,
                Some(Ok(refs)) => {
                    let conversation = self.converse(remote, refs, beginning);
                    let Some(results) = before_revoked(conversation, &mut at_host).await else {
                        // It is repeated among the silent remotes.
                        self.set_silent(id, number);
                        continue;
                    };
                    self.metrics.conversed(began.elapsed());
                    results
                }
                Some(Err(error)) => Err(error),
            };
            drop((at_host, unanswered));
            if !self.finish(id, number, Answer { began, results }) {
                return;
            }
        }
    }

    fn set_silent(&self, id: RemoteId, number: u64) {
        if let Some(remote) = self.lock().running(id, number) {
            remote.last_lookup = LastLookup::Silent;
        }
    }

    fn last_lookup(&self, id: RemoteId, number: u64) -> LastLookup {
        let mut state = self.lock();
        let remote = state.running(id, number);
        remote.map_or_else(LastLookup::default, |remote| remote.last_lookup)
    }

    fn is_answering(&self, id: RemoteId, number: u64) -> bool {
        let mut state = self.lock();
        let host = state
            .running(id, number)
            .map(|remote| Arc::clone(&remote.host));
        host.is_some_and(|host| state.hosts.is_answering(&host))
    }

    /// Returns the refs to look up, or an error if the host has failed since.
    /// Returns `None` if the lookup has no effect any more.
    fn begin(&self, id: RemoteId, number: u64) -> Option<Result<Vec<GitRef>, LookupError>> {
        let mut state = self.lock();
        let remote = state.running(id, number)?;
        let (host, refs) = (Arc::clone(&remote.host), remote.all_refs());
        let is_requested = remote.is_requested();
        match state.hosts.refusal(&host, is_requested) {
            Some(error) => Some(Err(error)),
            None => Some(Ok(refs)),
        }
    }

    async fn converse(
        &self,
        remote: &Remote,
        refs: Vec<GitRef>,
        beginning: Option<SemaphorePermit<'_>>,
    ) -> remote::Results {
        let (source, remote, asked) = (Arc::clone(&self.source), remote.clone(), refs.clone());
        // In a task of its own, so that a panic does not end the lookups of the remote.
        let conversation = tokio::spawn(async move { source.resolve(&remote, &asked).await });
        let mut conversation = AbortOnDropHandle::new(conversation);
        let found = if let Ok(found) = timeout(BEGINNING, &mut conversation).await {
            Ok(found)
        } else {
            drop(beginning);
            timeout(LONGEST.saturating_sub(BEGINNING), conversation).await
        };
        let found = found
            .map_err(|_| LookupError::Timeout)?
            .map_err(|_| LookupError::Aborted)?
            .map_err(LookupError::from)?;
        let found = found
            .into_iter()
            .map(|result| result.map_err(LookupError::from));
        Ok(refs.into_iter().zip(found).collect())
    }

    /// Stores an answer and wakes the objects that need it. Returns whether another lookup is necessary.
    fn finish(self: &Arc<Self>, id: RemoteId, number: u64, answer: Answer) -> bool {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(remote) = state.running(id, number) else {
            return false;
        };
        let error = answer.results.as_ref().err().cloned();
        let answered_last = remote.last_lookup == LastLookup::Ended;
        let woken = remote.take(answer);
        let again = remote.is_awaited();
        let host = Arc::clone(&remote.host);
        if !again {
            remote.running = None;
            self.schedule_poll(id, remote);
        }
        let is_of_remote = error.is_some() && !answered_last && state.is_answering(&host);
        state.hosts.record(&host, error.as_ref(), is_of_remote);
        state.wake(woken);
        state.drop_unused(id);
        again
    }
}

/// Returns the results of a conversation, or `None` if it has to leave its place before it ends.
async fn before_revoked(
    conversation: impl Future<Output = remote::Results>,
    permit: &mut Permit<'_>,
) -> Option<remote::Results> {
    permit.begin();
    tokio::select! {
        biased;
        results = conversation => Some(results),
        () = permit.revoked() => None,
    }
}
