//! The state of each object between two passes: the last lookup, and the delays after failures. The state only avoids
//! work. After a restart, every ref is looked up once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::time::Instant;

use stoker_api::detection::{CommitId, ObjectKey};
use stoker_api::{GatewaySync, SyncedRefKind};

const FIRST_RETRY: Duration = Duration::from_secs(30);
const FIRST_ERROR_RETRY: Duration = Duration::from_secs(1);
/// The longest wait after a failure or an error.
const LONGEST_RETRY: Duration = Duration::from_mins(5);

/// The inputs of a lookup. If any of them changes, the last lookup is not used any more, and the delays after failures
/// start again with the shortest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LookupKey {
    uid: Option<String>,
    generation: Option<i64>,
    git_ref: String,
    requested_at: Option<String>,
}

impl LookupKey {
    pub(super) fn of(sync: &GatewaySync) -> Self {
        Self {
            uid: sync.uid(),
            generation: sync.metadata.generation,
            git_ref: sync.effective_ref().to_owned(),
            requested_at: sync.requested_at().map(str::to_owned),
        }
    }
}

/// The commit of a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResolvedCommit {
    pub(super) commit: CommitId,
    pub(super) kind: SyncedRefKind,
    /// Whether the ref of the spec, which is another spelling of the same name, has the same commit and kind.
    pub(super) alias_agrees: bool,
}

/// A finished lookup.
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub(super) at: Instant,
    /// The commit, or the error as text.
    pub(super) result: Result<ResolvedCommit, String>,
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
    lookup: Option<Lookup>,
    failures: u32,
    retry_at: Option<Instant>,
    errors: u32,
}

impl ObjectState {
    fn new(lookup_key: &LookupKey) -> Self {
        Self {
            lookup_key: lookup_key.clone(),
            lookup: None,
            failures: 0,
            retry_at: None,
            errors: 0,
        }
    }
}

/// The states of all objects. A deleted object is removed, so their number is bounded by the number of objects.
#[derive(Debug, Default)]
pub(super) struct ObjectStates(Mutex<HashMap<ObjectKey, ObjectState>>);

impl ObjectStates {
    /// Returns the last lookup while it is valid: a commit for one polling interval, or for ever without polling, and
    /// an error until the next try.
    pub(super) fn cached_lookup(
        &self,
        key: &ObjectKey,
        lookup_key: &LookupKey,
        interval: Option<Duration>,
    ) -> Option<Lookup> {
        let now = Instant::now();
        let mut states = self.lock();
        let state = state(&mut states, key, lookup_key);
        let lookup = state.lookup.as_ref()?;
        let is_valid = match lookup.result {
            Ok(_) => interval.is_none_or(|interval| now.duration_since(lookup.at) < interval),
            Err(_) => state.retry_at.is_some_and(|at| now < at),
        };
        is_valid.then(|| lookup.clone())
    }

    /// Stores a lookup.
    pub(super) fn store_lookup(&self, key: &ObjectKey, lookup_key: &LookupKey, lookup: Lookup) {
        state(&mut self.lock(), key, lookup_key).lookup = Some(lookup);
    }

    /// Counts a failure, and returns when to try again. A failure during the wait after an earlier one is not counted,
    /// because another event may have started the pass.
    pub(super) fn record_failure(&self, key: &ObjectKey, lookup_key: &LookupKey) -> Retry {
        let now = Instant::now();
        let mut states = self.lock();
        let state = state(&mut states, key, lookup_key);
        let current = state.retry_at.filter(|at| now < *at);
        if current.is_none() {
            state.failures = state.failures.saturating_add(1);
        }
        let delay = doubled(FIRST_RETRY, state.failures);
        let retry_at = current.unwrap_or(now + delay);
        state.retry_at = Some(retry_at);
        Retry {
            delay,
            left: retry_at.duration_since(now),
        }
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
        let Some(state) = states.get_mut(key) else {
            return FIRST_ERROR_RETRY;
        };
        state.errors = state.errors.saturating_add(1);
        doubled(FIRST_ERROR_RETRY, state.errors)
    }

    /// Removes the state of an object.
    pub(super) fn remove(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, ObjectState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of an object. It is new, except for the count of errors, if the lookup key differs.
fn state<'a>(
    states: &'a mut HashMap<ObjectKey, ObjectState>,
    key: &ObjectKey,
    lookup_key: &LookupKey,
) -> &'a mut ObjectState {
    let state = states
        .entry(key.clone())
        .or_insert_with(|| ObjectState::new(lookup_key));
    if state.lookup_key != *lookup_key {
        *state = ObjectState {
            errors: state.errors,
            ..ObjectState::new(lookup_key)
        };
    }
    state
}

fn doubled(first: Duration, times: u32) -> Duration {
    let factor = 1_u32.checked_shl(times.saturating_sub(1));
    first
        .saturating_mul(factor.unwrap_or(u32::MAX))
        .min(LONGEST_RETRY)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key() -> ObjectKey {
        ObjectKey::new("edge", "plant").unwrap()
    }

    fn lookup_key(generation: i64, requested_at: Option<&str>) -> LookupKey {
        LookupKey {
            uid: Some("u".to_owned()),
            generation: Some(generation),
            git_ref: "main".to_owned(),
            requested_at: requested_at.map(str::to_owned),
        }
    }

    fn found() -> Lookup {
        let commit = CommitId::parse(&"a".repeat(40)).unwrap();
        let found = ResolvedCommit {
            commit,
            kind: SyncedRefKind::Tag,
            alias_agrees: false,
        };
        Lookup {
            at: Instant::now(),
            result: Ok(found),
        }
    }

    #[test]
    fn a_lookup_depends_on_the_object_the_spec_and_the_request() {
        let with = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut object = json!({
                "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
                "metadata": {"name": "a", "uid": "u", "generation": 1, "annotations": {}},
                "spec": {"git": {"repo": "https://h/r", "ref": "main"}, "gateway": {"api": {"secretName": "s"}}, "sync": {"profiles": {}}},
            });
            change(&mut object);
            LookupKey::of(&serde_json::from_value(object).unwrap())
        };
        let plain = with(&|_| ());
        assert_eq!(
            plain,
            with(&|object| object["metadata"]["annotations"] =
                json!({"stoker.io/requested-ref": "main"}))
        );
        assert_eq!(
            plain,
            with(&|object| object["status"] = json!({"observedGeneration": 1}))
        );
        for annotations in [
            json!({"stoker.io/requested-ref": "v1"}),
            json!({"stoker.io/requested-at": "t"}),
        ] {
            assert_ne!(
                plain,
                with(&|object| object["metadata"]["annotations"] = annotations.clone())
            );
        }
        assert_ne!(
            plain,
            with(&|object| object["metadata"]["generation"] = json!(2))
        );
        assert_ne!(
            plain,
            with(&|object| object["metadata"]["uid"] = json!("v"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_is_valid_for_one_interval() {
        let (states, key, one) = (ObjectStates::default(), key(), lookup_key(1, None));
        assert!(states.cached_lookup(&key, &one, None).is_none());
        states.store_lookup(&key, &one, found());
        tokio::time::advance(59 * SECOND).await;
        assert!(
            states
                .cached_lookup(&key, &one, Some(60 * SECOND))
                .is_some()
        );
        tokio::time::advance(SECOND).await;
        assert!(
            states
                .cached_lookup(&key, &one, Some(60 * SECOND))
                .is_none()
        );
        assert!(
            states.cached_lookup(&key, &one, None).is_some(),
            "without polling it is valid for ever"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn another_key_needs_another_lookup() {
        for other in [lookup_key(2, None), lookup_key(1, Some("t"))] {
            let (states, key) = (ObjectStates::default(), key());
            states.store_lookup(&key, &lookup_key(1, None), found());
            assert!(states.cached_lookup(&key, &other, None).is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_five_minutes() {
        let (states, key, one) = (ObjectStates::default(), key(), lookup_key(1, None));
        for seconds in [30, 60, 120, 240, 300, 300] {
            let delay = seconds * SECOND;
            assert_eq!(
                states.record_failure(&key, &one),
                Retry { delay, left: delay }
            );
            tokio::time::advance(10 * SECOND).await;
            // A pass that another event started.
            assert_eq!(
                states.record_failure(&key, &one),
                Retry {
                    delay,
                    left: delay.saturating_sub(10 * SECOND)
                }
            );
            tokio::time::advance(delay.saturating_sub(10 * SECOND)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_request_resets_the_wait_once() {
        let (states, key) = (ObjectStates::default(), key());
        states.record_failure(&key, &lookup_key(1, None));
        tokio::time::advance(30 * SECOND).await;
        let request = lookup_key(1, Some("t"));
        assert_eq!(states.record_failure(&key, &request).delay, 30 * SECOND);
        tokio::time::advance(30 * SECOND).await;
        assert_eq!(
            states.record_failure(&key, &request).delay,
            60 * SECOND,
            "the same request does not reset it again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_lookup_is_valid_until_the_next_try() {
        let (states, key, one) = (ObjectStates::default(), key(), lookup_key(1, None));
        states.record_failure(&key, &one);
        states.store_lookup(
            &key,
            &one,
            Lookup {
                at: Instant::now(),
                result: Err("gone".to_owned()),
            },
        );
        tokio::time::advance(29 * SECOND).await;
        assert!(states.cached_lookup(&key, &one, Some(SECOND)).is_some());
        tokio::time::advance(SECOND).await;
        assert!(states.cached_lookup(&key, &one, None).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_waits_after_errors_start_with_one_second() {
        let (states, key, one) = (ObjectStates::default(), key(), lookup_key(1, None));
        assert_eq!(states.record_error(&key), SECOND);
        states.store_lookup(&key, &one, found());
        let waits: Vec<_> = (0..11)
            .map(|_| states.record_error(&key).as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        states.record_success(&key, &one);
        assert_eq!(states.record_error(&key), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_removed_object_has_no_state() {
        let (states, key, one) = (ObjectStates::default(), key(), lookup_key(1, None));
        states.store_lookup(&key, &one, found());
        states.remove(&key);
        assert!(states.lock().is_empty());
    }
}
