//! Polls: once the answer of a remote is too old, an object that follows it is woken. The pass of that object asks
//! again, for all objects on the remote.
//!
//! The objects take turns, because a pass may fail before it asks. The other objects need no pass, unless the answer
//! has news for them.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Weak};
use std::time::Duration;

use stoker_api::detection::ObjectKey;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::Shared;
use super::remote::{RemoteId, RemoteState};

/// The time after which the next object is woken, if the pass of the last one has not asked.
const UNASKED: Duration = Duration::from_secs(10);

/// The next poll of a remote. It is cancelled when this is dropped.
pub(super) struct Poll {
    /// The interval after which the answer is too old: the shortest of all objects.
    interval: Duration,
    _timer: AbortOnDropHandle<()>,
}

impl Poll {
    /// Returns whether an object with this interval needs an earlier poll.
    pub(super) fn is_late_for(&self, interval: Duration) -> bool {
        interval < self.interval
    }
}

impl<G: Send + Sync + 'static> Shared<G> {
    /// Schedules the next poll of a remote that has an answer, in place of the one that is scheduled.
    pub(super) fn schedule_poll(self: &Arc<Self>, id: RemoteId, remote: &mut RemoteState) {
        let next = remote.shortest_interval().zip(remote.answered());
        remote.poll = next.map(|(interval, answered)| {
            let due = answered + interval + jitter(interval);
            let timer = tokio::spawn(poll(Arc::downgrade(self), id, due));
            Poll {
                interval,
                _timer: AbortOnDropHandle::new(timer),
            }
        });
    }

    /// Wakes an object if the answer of a remote is too old. Returns when to do so again, if there is no answer until
    /// then. Returns `None` if no object follows the remote any more.
    fn wake_next(&self, id: RemoteId) -> Option<Instant> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let remote = state.remotes.get_mut(&id)?;
        let (now, due) = (
            Instant::now(),
            remote.answered()? + remote.shortest_interval()?,
        );
        if now < due {
            return Some(due);
        }
        if let Some(until) = state.hosts.waits_until(&remote.host) {
            return Some(until);
        }
        if remote.running.is_none() {
            let next = remote.next_to_poll(now);
            state.wake(next);
        }
        Some(now + UNASKED)
    }
}

/// Wakes objects of a remote, from a time on until there is another answer.
async fn poll<G: Send + Sync + 'static>(shared: Weak<Shared<G>>, id: RemoteId, mut due: Instant) {
    loop {
        sleep_until(due).await;
        let next = shared.upgrade().and_then(|shared| shared.wake_next(id));
        let Some(next) = next else { return };
        due = next;
    }
}

impl RemoteState {
    /// Returns when the lookup of the last answer began.
    fn answered(&self) -> Option<Instant> {
        Some(self.answer.borrow().as_ref()?.began)
    }

    fn shortest_interval(&self) -> Option<Duration> {
        let intervals = self.interests.values();
        intervals.filter_map(|interest| interest.interval).min()
    }

    /// Returns the object to wake if this one, which was woken last, has left the remote: its credentials have changed or
    /// are missing, which may be so for all.
    pub(super) fn next_instead_of(&mut self, object: &ObjectKey) -> Option<ObjectKey> {
        let is_polled = self.polled.as_ref() == Some(object);
        is_polled.then(|| self.next_to_poll(Instant::now()))?
    }

    /// Returns the object to wake: the next one in the order of the names for which the answer is too old. An object whose
    /// ref has no commit is tried again by its own passes.
    fn next_to_poll(&mut self, now: Instant) -> Option<ObjectKey> {
        let answer = self.answer.borrow().clone()?;
        let age = now.duration_since(answer.began);
        let due = self.interests.iter().filter(|(_, interest)| {
            let has_commit = |git_ref| answer.commit(git_ref).is_some();
            let is_due = interest.interval.is_some_and(|interval| interval <= age);
            is_due && interest.refs.iter().any(has_commit)
        });
        let due = due.map(|(object, _)| object);
        let later = due
            .clone()
            .filter(|object| Some(*object) > self.polled.as_ref());
        let next = later.min().or_else(|| due.min()).cloned()?;
        self.polled = Some(next.clone());
        Some(next)
    }
}

/// Returns a random part of a tenth of an interval, so that the polls of many remotes are spread over the time.
fn jitter(interval: Duration) -> Duration {
    // Each has random keys.
    let random = RandomState::new().hash_one(interval);
    let thousandths = u32::try_from(random % 1000).unwrap_or_default();
    interval / 10_000 * thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_are_spread_over_a_tenth_of_the_interval() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        let added: Vec<_> = (0..1000).map(|_| jitter(minute)).collect();
        assert!(added.iter().all(|added| *added < 6 * second));
        assert!(added.iter().any(|added| *added < second));
        assert!(added.iter().any(|added| *added > 5 * second));
    }
}
