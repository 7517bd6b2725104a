//! The state of each object between two passes: the last lookup, and the delays after failures. The state only avoids
//! work. After a restart, every ref is looked up once.

mod lookup_key;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use stoker_api::SyncedRefKind;
use stoker_api::detection::{CommitId, GitRef, ObjectKey};
use stoker_process::retry_delay;

use super::announced;
use crate::lookups::HostWait;
pub(super) use lookup_key::LookupKey;

/// The first wait after a failure, such as a ref that does not exist.
const FIRST_RETRY: Duration = Duration::from_secs(30);
/// The first wait after an error of a pass, such as an API server that does not answer.
const FIRST_ERROR_RETRY: Duration = Duration::from_secs(1);
/// The longest wait after a failure or an error.
const LONGEST_RETRY: Duration = Duration::from_mins(5);

/// The shortest time between two lookups because of changed annotations of others.
const ANNOTATED: Duration = Duration::from_secs(1);

/// The shortest time, between what is too old and what is not.
const MOMENT: Duration = Duration::from_nanos(1);

/// The commit of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResolvedCommit {
    /// The ref, as it was requested or as the spec has it. The repository may have another spelling of it.
    pub(super) git_ref: GitRef,
    pub(super) commit: CommitId,
    pub(super) kind: SyncedRefKind,
    /// The name of the tag or the branch in the repository, by which `git clone --branch` and `git fetch` find it. `None`
    /// for other refs, and where a branch and a tag share the name and the ref says which of them is meant.
    pub(super) short_name: Option<String>,
    /// Whether the ref of the spec, which is another spelling of the same name, has the same commit and kind.
    pub(super) alias_agrees: bool,
}

/// The part of a finished lookup that concerns one object.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub(super) at: Instant,
    /// The commit, or the error as text.
    pub(super) result: Result<ResolvedCommit, String>,
    /// The commit that the sender of the request announced, if the server does not have it after all waits.
    pub(super) missing: Option<CommitId>,
}

/// What a pass can use.
#[derive(Debug)]
pub(super) enum Usable {
    /// The last lookup.
    Lookup {
        /// The lookup.
        lookup: Lookup,
        /// The time until a newer one is needed, if it is known.
        next: Option<Duration>,
    },
    /// A lookup that began at this time or later.
    NotBefore {
        /// The time.
        at: Instant,
        /// Whether no lookup with these inputs has ended yet, except of a server that was behind.
        is_first: bool,
        /// Whether somebody waits for the lookup: it is the first, or an annotation was changed.
        is_requested: bool,
    },
    /// Nothing for this time, because the server was behind a moment ago.
    Later(Duration),
}

/// When to try again after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retry {
    /// The whole wait.
    pub(super) delay: Duration,
    /// The rest of the wait.
    pub(super) left: Duration,
}

/// The state of one object.
#[derive(Debug)]
struct ObjectState {
    lookup_key: LookupKey,
    /// When the inputs were seen first, or when a server that is behind is asked again.
    since: Instant,
    /// The earliest start of the lookup that a change of the annotations of others needs.
    annotated: Option<Instant>,
    /// The number of lookups of a server that was behind.
    behind: u32,
    lookup: Option<Lookup>,
    failures: u32,
    retry_at: Option<Instant>,
    errors: u32,
}

impl ObjectState {
    fn new(lookup_key: &LookupKey) -> Self {
        Self {
            lookup_key: lookup_key.clone(),
            since: Instant::now(),
            annotated: None,
            behind: 0,
            lookup: None,
            failures: 0,
            retry_at: None,
            errors: 0,
        }
    }

    /// Returns when to try again: at the end of the wait that has begun, or of a new one. A wait that is longer than the
    /// present one is shortened.
    fn retry(&mut self, delay: Duration) -> Retry {
        let now = Instant::now();
        let latest = now + delay;
        let retry_at = self.waits_until(now).map_or(latest, |at| at.min(latest));
        self.retry_at = Some(retry_at);
        Retry {
            delay,
            left: retry_at.duration_since(now),
        }
    }

    /// Records a change of the annotations of others. A client that changes them often has one lookup per second.
    fn annotate(&mut self) {
        let now = Instant::now();
        let is_served = |at: Instant| self.lookup.as_ref().is_some_and(|lookup| at <= lookup.at);
        self.annotated = Some(match self.annotated {
            Some(at) if now < at => at,
            Some(at) if is_served(at) => now.max(at + ANNOTATED),
            _ => now,
        });
    }

    /// Returns the end of the wait that has begun, if there is one.
    fn waits_until(&self, now: Instant) -> Option<Instant> {
        self.retry_at.filter(|at| now < *at)
    }
}

/// The states of all objects. A deleted object is removed, so their number is bounded by the number of objects.
#[derive(Debug, Default)]
pub(super) struct ObjectStates(Mutex<HashMap<ObjectKey, ObjectState>>);

impl ObjectStates {
    /// Returns what a pass can use: the last lookup, or the earliest start of the lookup that it needs. The first lookup
    /// counts from `since`, once it is set, and otherwise from the first pass with its inputs.
    pub(super) fn usable(
        &self,
        key: &ObjectKey,
        lookup_key: &LookupKey,
        interval: Option<Duration>,
        since: Option<Instant>,
    ) -> Usable {
        let now = Instant::now();
        let mut states = self.lock();
        let state = state(&mut states, key, lookup_key);
        let Some(lookup) = &state.lookup else {
            state.since = since.unwrap_or(state.since);
            let left = state.since.saturating_duration_since(now);
            if state.behind > 0 && !left.is_zero() {
                return Usable::Later(left);
            }
            return Usable::NotBefore {
                at: state.since,
                is_first: true,
                is_requested: true,
            };
        };
        if let Some(at) = state.annotated.filter(|at| lookup.at < *at) {
            let left = at.saturating_duration_since(now);
            if left > MOMENT {
                return Usable::Lookup {
                    lookup: lookup.clone(),
                    next: Some(left),
                };
            }
            return Usable::NotBefore {
                at,
                is_first: false,
                is_requested: true,
            };
        }
        let not_before = match (&lookup.result, interval) {
            (Ok(_), None) => {
                return Usable::Lookup {
                    lookup: lookup.clone(),
                    next: None,
                };
            }
            (Ok(_), Some(interval)) if now.duration_since(lookup.at) < interval => lookup.at,
            // Another object on the remote may have a newer one.
            (Ok(_), Some(interval)) => {
                let oldest = now.checked_sub(interval);
                oldest.map_or(now, |oldest| oldest + MOMENT)
            }
            // Another object may have had an answer in the meantime.
            (Err(_), _) if state.waits_until(now).is_some() => lookup.at,
            (Err(_), _) => now,
        };
        Usable::NotBefore {
            at: not_before,
            is_first: false,
            is_requested: false,
        }
    }

    /// Returns whether the inputs of the lookup of an object have changed since its last pass, apart from a removed
    /// request. Those of an object that is seen for the first time have not.
    pub(super) fn is_changed(&self, key: &ObjectKey, lookup_key: &LookupKey) -> bool {
        let states = self.lock();
        let before = states.get(key).map(|state| &state.lookup_key);
        before.is_some_and(|before| before != lookup_key && !lookup_key.is_cleared(before))
    }

    /// Returns the last commit of an object for the same inputs, even if it is too old.
    pub(super) fn last_commit(&self, key: &ObjectKey, lookup_key: &LookupKey) -> Option<Lookup> {
        let mut states = self.lock();
        let lookup = state(&mut states, key, lookup_key).lookup.as_ref();
        lookup.filter(|lookup| lookup.result.is_ok()).cloned()
    }

    /// Counts a lookup of a server that is behind. Returns the time until it is asked again, or `None` if it is not.
    pub(super) fn record_behind(
        &self,
        key: &ObjectKey,
        lookup_key: &LookupKey,
    ) -> Option<Duration> {
        let mut states = self.lock();
        let state = state(&mut states, key, lookup_key);
        state.behind = state.behind.saturating_add(1);
        let wait = announced::wait_after(state.behind)?;
        state.since = Instant::now() + wait;
        Some(wait)
    }

    /// Stores a lookup.
    pub(super) fn store_lookup(&self, key: &ObjectKey, lookup_key: &LookupKey, lookup: Lookup) {
        state(&mut self.lock(), key, lookup_key).lookup = Some(lookup);
    }

    /// Stores that the host is not asked for some time, instead of a lookup, and returns what is known: the last lookup if it
    /// found a commit, because nobody was asked. A lookup that somebody waits for is still needed, and the next try is not
    /// later than the end of that time.
    pub(super) fn store_refusal(
        &self,
        key: &ObjectKey,
        lookup_key: &LookupKey,
        refusal: Lookup,
        left: Duration,
    ) -> Lookup {
        let mut states = self.lock();
        let state = state(&mut states, key, lookup_key);
        // The same refusal is not the answer to the next try.
        let needed = refusal.at + MOMENT;
        let Some(last) = &state.lookup else {
            state.since = needed;
            return refusal;
        };
        let last = last.clone();
        if state.annotated.is_some_and(|at| last.at < at) {
            state.annotated = Some(needed);
            state.retry_at = state.retry_at.map(|at| at.min(Instant::now() + left));
        }
        if last.result.is_ok() {
            return last;
        }
        state.lookup = Some(refusal.clone());
        refusal
    }

    /// Counts a failure, and returns when to try again: not before the end of the time for which the host is not asked. A
    /// failure during the wait after an earlier one is not counted, because another event may have started the pass. While
    /// a ref is requested, the waits do not grow, because somebody waits for it.
    pub(super) fn record_failure(
        &self,
        key: &ObjectKey,
        lookup_key: &LookupKey,
        host: Option<HostWait>,
    ) -> Retry {
        let mut states = self.lock();
        let state = state(&mut states, key, lookup_key);
        if state.waits_until(Instant::now()).is_none() {
            let is_requested = lookup_key.requested_ref.is_some();
            let before = if is_requested { 0 } else { state.failures };
            state.failures = before.saturating_add(1);
        }
        let retry = state.retry(retry_delay(FIRST_RETRY, LONGEST_RETRY, state.failures));
        let Some(HostWait { whole, left }) = host.filter(|host| retry.left <= host.left) else {
            return retry;
        };
        state.retry_at = Some(Instant::now() + left);
        Retry { delay: whole, left }
    }

    /// Returns when to look again for what a publication lacks. The ref is resolved, so the count of failures is reset,
    /// and these waits do not grow.
    pub(super) fn record_blocked(&self, key: &ObjectKey, lookup_key: &LookupKey) -> Retry {
        let mut states = self.lock();
        let state = state(&mut states, key, lookup_key);
        state.failures = 0;
        state.retry(FIRST_RETRY)
    }

    /// Resets the counts of failures and errors.
    pub(super) fn record_success(&self, key: &ObjectKey, lookup_key: &LookupKey) {
        let mut states = self.lock();
        let state = state(&mut states, key, lookup_key);
        (state.failures, state.retry_at, state.errors) = (0, None, 0);
    }

    /// Counts an error of a pass, and returns the time until the next try.
    pub(super) fn record_error(&self, key: &ObjectKey) -> Duration {
        let mut states = self.lock();
        // A pass may fail before the inputs of its lookup are known.
        let state = states
            .entry(key.clone())
            .or_insert_with(|| ObjectState::new(&LookupKey::default()));
        state.errors = state.errors.saturating_add(1);
        retry_delay(FIRST_ERROR_RETRY, LONGEST_RETRY, state.errors)
    }

    /// Removes the state of an object.
    pub(super) fn remove(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, ObjectState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of an object. It is new, except for the count of errors, if the lookup key differs in more than a removed
/// request for the same ref, or the annotations of others.
fn state<'a>(
    states: &'a mut HashMap<ObjectKey, ObjectState>,
    key: &ObjectKey,
    lookup_key: &LookupKey,
) -> &'a mut ObjectState {
    let state = states
        .entry(key.clone())
        .or_insert_with(|| ObjectState::new(lookup_key));
    if lookup_key.is_cleared(&state.lookup_key) {
        state.lookup_key.requested_ref = None;
    } else if lookup_key.is_annotated(&state.lookup_key) {
        state.lookup_key.annotations = lookup_key.annotations;
        state.annotate();
    } else if state.lookup_key != *lookup_key {
        *state = ObjectState {
            errors: state.errors,
            ..ObjectState::new(lookup_key)
        };
    }
    state
}

#[cfg(test)]
mod tests;
