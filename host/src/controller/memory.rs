//! What the controller remembers of each object between two passes: the last look at the repository, and how long to
//! wait after a failure. Nothing of it is needed for being right; a restart looks at every repository once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::time::Instant;

use crate::api::{GatewaySync, SyncedRefKind};
use crate::detection::{CommitId, ObjectKey};

/// Objects that are remembered at most. A finalizer announces each deletion, so this many are never reached unless
/// somebody removes finalizers by hand.
const CAPACITY: usize = 16_384;
const FIRST_RETRY: Duration = Duration::from_secs(30);
const LAST_RETRY: Duration = Duration::from_mins(5);
const FIRST_ERROR_RETRY: Duration = Duration::from_secs(1);

/// What a look at the repository is for. Where any part of it differs, an earlier look says nothing, and the waiting
/// after failures starts over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matter {
    uid: Option<String>,
    generation: Option<i64>,
    git_ref: String,
    requested_at: Option<String>,
}

impl Matter {
    pub(super) fn of(sync: &GatewaySync) -> Self {
        Self {
            uid: sync.uid(),
            generation: sync.metadata.generation,
            git_ref: sync
                .requested_ref()
                .unwrap_or(&sync.spec.git.git_ref)
                .to_owned(),
            requested_at: sync.requested_at().map(str::to_owned),
        }
    }
}

/// A ref, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) commit: CommitId,
    pub(super) kind: SyncedRefKind,
    /// Whether the ref of the spec, which names the same in other words, gives the same.
    pub(super) alias_agrees: bool,
}

/// A look at the repository.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) at: Instant,
    /// The commit, or the text of what went wrong.
    pub(super) outcome: Result<Found, String>,
}

/// When to try again after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Retry {
    /// How long the whole wait is.
    pub(super) delay: Duration,
    /// How much of it is left.
    pub(super) left: Duration,
}

#[derive(Debug)]
struct Entry {
    matter: Matter,
    touched: Instant,
    look: Option<Look>,
    failures: u32,
    retry_at: Option<Instant>,
    errors: u32,
}

/// The memory of all objects.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<ObjectKey, Entry>>);

impl Memory {
    /// The last look, if it still holds: a success for as long as the interval (without one for ever), a failure
    /// until it is time to try again.
    pub(super) fn recall(
        &self,
        key: &ObjectKey,
        matter: &Matter,
        interval: Option<Duration>,
    ) -> Option<Look> {
        let now = Instant::now();
        let mut entries = self.lock();
        let entry = entry(&mut entries, key, matter, now);
        let look = entry.look.as_ref()?;
        let holds = match look.outcome {
            Ok(_) => interval.is_none_or(|interval| now.duration_since(look.at) < interval),
            Err(_) => entry.retry_at.is_some_and(|at| now < at),
        };
        holds.then(|| look.clone())
    }

    /// Keeps a look.
    pub(super) fn keep(&self, key: &ObjectKey, matter: &Matter, look: Look) {
        entry(&mut self.lock(), key, matter, Instant::now()).look = Some(look);
    }

    /// Counts a failure and tells when to try again. Within the wait that an earlier failure began, nothing is counted:
    /// a pass that something else caused does not make the wait longer.
    pub(super) fn fail(&self, key: &ObjectKey, matter: &Matter) -> Retry {
        let now = Instant::now();
        let mut entries = self.lock();
        let entry = entry(&mut entries, key, matter, now);
        let running = entry.retry_at.filter(|at| now < *at);
        if running.is_none() {
            entry.failures = entry.failures.saturating_add(1);
        }
        let delay = doubled(FIRST_RETRY, entry.failures);
        let retry_at = running.unwrap_or(now + delay);
        entry.retry_at = Some(retry_at);
        Retry {
            delay,
            left: retry_at.duration_since(now),
        }
    }

    /// Forgets the failures: a pass went through.
    pub(super) fn succeed(&self, key: &ObjectKey, matter: &Matter) {
        let mut entries = self.lock();
        let entry = entry(&mut entries, key, matter, Instant::now());
        (entry.failures, entry.retry_at, entry.errors) = (0, None, 0);
    }

    /// Counts an error of a pass and tells when to try again.
    pub(super) fn error(&self, key: &ObjectKey) -> Duration {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(key) else {
            return FIRST_ERROR_RETRY;
        };
        entry.errors = entry.errors.saturating_add(1);
        doubled(FIRST_ERROR_RETRY, entry.errors)
    }

    /// Forgets an object.
    pub(super) fn forget(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of an object, started over where the matter is another one.
fn entry<'a>(
    entries: &'a mut HashMap<ObjectKey, Entry>,
    key: &ObjectKey,
    matter: &Matter,
    now: Instant,
) -> &'a mut Entry {
    if entries.len() >= CAPACITY
        && !entries.contains_key(key)
        && let Some(oldest) = entries
            .iter()
            .min_by_key(|(_, entry)| entry.touched)
            .map(|(key, _)| key.clone())
    {
        entries.remove(&oldest);
    }
    let fresh = || Entry {
        matter: matter.clone(),
        touched: now,
        look: None,
        failures: 0,
        retry_at: None,
        errors: 0,
    };
    let entry = entries.entry(key.clone()).or_insert_with(fresh);
    if entry.matter != *matter {
        *entry = Entry {
            errors: entry.errors,
            ..fresh()
        };
    }
    entry.touched = now;
    entry
}

fn doubled(first: Duration, times: u32) -> Duration {
    first
        .saturating_mul(
            1_u32
                .checked_shl(times.saturating_sub(1))
                .unwrap_or(u32::MAX),
        )
        .min(LAST_RETRY)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key() -> ObjectKey {
        ObjectKey::new("edge", "plant").unwrap()
    }

    fn matter(generation: i64, requested_at: Option<&str>) -> Matter {
        Matter {
            uid: Some("u".to_owned()),
            generation: Some(generation),
            git_ref: "main".to_owned(),
            requested_at: requested_at.map(str::to_owned),
        }
    }

    fn found() -> Look {
        let commit = CommitId::parse(&"a".repeat(40)).unwrap();
        let found = Found {
            commit,
            kind: SyncedRefKind::Tag,
            alias_agrees: false,
        };
        Look {
            at: Instant::now(),
            outcome: Ok(found),
        }
    }

    #[test]
    fn matter_is_told_apart_by_spec_ref_and_request() {
        let with = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut object = json!({
                "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
                "metadata": {"name": "a", "uid": "u", "generation": 1, "annotations": {}},
                "spec": {"git": {"repo": "https://h/r", "ref": "main"}, "gateway": {"api": {"secretName": "s"}}, "sync": {"profiles": {}}},
            });
            change(&mut object);
            Matter::of(&serde_json::from_value(object).unwrap())
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
    async fn a_success_holds_for_one_interval() {
        let (memory, key, one) = (Memory::default(), key(), matter(1, None));
        assert!(memory.recall(&key, &one, None).is_none());
        memory.keep(&key, &one, found());
        tokio::time::advance(59 * SECOND).await;
        assert!(memory.recall(&key, &one, Some(60 * SECOND)).is_some());
        tokio::time::advance(SECOND).await;
        assert!(memory.recall(&key, &one, Some(60 * SECOND)).is_none());
        assert!(
            memory.recall(&key, &one, None).is_some(),
            "without polling it holds for ever"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn another_matter_needs_another_look() {
        for other in [matter(2, None), matter(1, Some("t"))] {
            let (memory, key) = (Memory::default(), key());
            memory.keep(&key, &matter(1, None), found());
            assert!(memory.recall(&key, &other, None).is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_five_minutes() {
        let (memory, key, one) = (Memory::default(), key(), matter(1, None));
        for seconds in [30, 60, 120, 240, 300, 300] {
            let delay = seconds * SECOND;
            assert_eq!(memory.fail(&key, &one), Retry { delay, left: delay });
            tokio::time::advance(10 * SECOND).await;
            // A pass that a status write or a pod caused.
            assert_eq!(
                memory.fail(&key, &one),
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
        let (memory, key) = (Memory::default(), key());
        memory.fail(&key, &matter(1, None));
        tokio::time::advance(30 * SECOND).await;
        let request = matter(1, Some("t"));
        assert_eq!(memory.fail(&key, &request).delay, 30 * SECOND);
        tokio::time::advance(30 * SECOND).await;
        assert_eq!(
            memory.fail(&key, &request).delay,
            60 * SECOND,
            "the same request does not reset it again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_look_holds_until_the_retry() {
        let (memory, key, one) = (Memory::default(), key(), matter(1, None));
        memory.fail(&key, &one);
        memory.keep(
            &key,
            &one,
            Look {
                at: Instant::now(),
                outcome: Err("gone".to_owned()),
            },
        );
        tokio::time::advance(29 * SECOND).await;
        assert!(memory.recall(&key, &one, Some(SECOND)).is_some());
        tokio::time::advance(SECOND).await;
        assert!(memory.recall(&key, &one, None).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn errors_of_a_pass_wait_from_one_second_on() {
        let (memory, key, one) = (Memory::default(), key(), matter(1, None));
        assert_eq!(memory.error(&key), SECOND);
        memory.keep(&key, &one, found());
        let waits: Vec<_> = (0..11).map(|_| memory.error(&key).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        memory.succeed(&key, &one);
        assert_eq!(memory.error(&key), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn holds_no_more_objects_than_its_capacity() {
        let memory = Memory::default();
        let name = |index| ObjectKey::new("edge", &format!("plant-{index}")).unwrap();
        for index in 0..=CAPACITY {
            tokio::time::advance(Duration::from_millis(1)).await;
            memory.succeed(&name(index), &matter(1, None));
        }
        assert_eq!(memory.lock().len(), CAPACITY);
        assert!(
            !memory.lock().contains_key(&name(0)),
            "the one that was not used for longest goes"
        );
        memory.forget(&name(1));
        assert_eq!(memory.lock().len(), CAPACITY - 1);
    }
}
