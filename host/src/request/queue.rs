//! The order of requests: those for one object that arrive while a write is under way are decided together, and the
//! next write stores them. It also stores which deliveries were accepted, even if none of them needs a request.
//!
//! A write applies only to the state that was decided on. After a conflict, the object is read, and the decision is made
//! again. If the API server does not answer, the write is tried again until the deadline of the deliveries. If several
//! refs arrive during a write, the last one is stored, and supersedes the others.

mod answered;
mod pauses;
mod plan;
mod turn;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::Client;
use stoker_api::detection::{GitRef, ObjectKey};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::events;
use super::objects::ObjectCache;
use super::writer::{Change, Failure, Writer};
use crate::cluster::events::{EventQueue, Subject};
use crate::cluster::written::{WrittenObjects, is_as_late};
use crate::delivery::Fingerprint;

use super::{Announcement, RequestError, Requests, Snapshot, Submitted, Target, Unannounced};
use answered::Answered;
use pauses::{Pauses, try_until};
use plan::{Plan, plan, repeats};
use turn::{Submission, Turn};

/// The maximum number of objects whose last write is stored. When it is exceeded, all objects without an active write
/// are dropped.
const MAX_REMEMBERED: usize = 4096;

/// The maximum number of objects that are written at a time: as many as the controller reconciles, so that under load
/// requests are not stored faster than they are handled. More would also make each write slower, until the tries end
/// before their answers. What arrives for an object while it waits for a permit is stored by the same write.
const PERMITS: usize = 16;

/// Is told the object, the ref and the time of each request before it is written, so that the ref can be looked up during
/// the write. The time is the value of the annotation. The write may fail; then there was no request.
type Prefetch = Box<dyn Fn(&ObjectKey, &GitRef, &str) + Send + Sync>;

/// Stores requests on the objects.
pub struct Requester {
    cache: Arc<ObjectCache>,
    queue: Arc<Queue>,
    events: EventQueue,
}

impl Requester {
    /// Returns a requester that finds objects in the cache and writes with the client. With a namespace, objects
    /// outside of it do not exist. What it has written is added to `written`. Each request is passed to `prefetch` before
    /// it is written.
    #[must_use]
    pub fn new(
        client: Client,
        cache: Arc<ObjectCache>,
        events: EventQueue,
        namespace: Option<String>,
        written: WrittenObjects,
        prefetch: impl Fn(&ObjectKey, &GitRef, &str) + Send + Sync + 'static,
    ) -> Self {
        let queue = Queue {
            writer: Writer::new(client, namespace, written),
            permits: Semaphore::new(PERMITS),
            objects: Mutex::default(),
            prefetch: Box::new(prefetch),
        };
        Self {
            cache,
            queue: Arc::new(queue),
            events,
        }
    }

    fn report_outcome(
        &self,
        subject: Subject,
        plugin: &str,
        outcome: &Result<Submitted, RequestError>,
    ) {
        if let Some(event) = events::submitted(plugin, outcome) {
            self.events.add(subject, &event);
        }
    }
}

impl Requests for Requester {
    fn find(&self, key: &ObjectKey) -> Option<Target> {
        self.cache.find(key)
    }

    fn read<'a>(
        &'a self,
        key: &'a ObjectKey,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Target, RequestError>> {
        self.queue.read(key, deadline).boxed()
    }

    fn submit(
        &self,
        target: Target,
        announcement: Announcement,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<Submitted, RequestError>> {
        let subject = events::subject(&target);
        let announcement = self.queue.as_accepted(&target, announcement);
        if let Some(repeated) = self.queue.repeated(&target, &announcement) {
            let outcome = Ok(repeated);
            self.report_outcome(subject, &announcement.plugin, &outcome);
            self.queue
                .with(&target.key, |object| object.answered.add(announcement));
            return std::future::ready(outcome).boxed();
        }
        let key = target.key.clone();
        let (submission, stored) = Submission::new(target, announcement.clone(), deadline);
        self.queue.push(submission);
        async move {
            // The sender of the answer is dropped only where a panic ended its task.
            let stored = timeout_at(deadline, stored).await.ok().and_then(Result::ok);
            let outcome = stored.unwrap_or(Err(RequestError::Unavailable(None)));
            self.report_outcome(subject, &announcement.plugin, &outcome);
            if outcome.is_ok() {
                self.queue
                    .with(&key, |object| object.answered.add(announcement));
            }
            outcome
        }
        .boxed()
    }

    fn recall(
        &self,
        target: &Target,
        fingerprint: &Fingerprint,
        may_answer: &dyn Fn(u64) -> bool,
    ) -> Option<(u64, Submitted)> {
        let mut answered = self.queue.with(&target.key, |object| {
            object.answered.find(fingerprint).cloned()
        })?;
        if !may_answer(answered.plugin_number) {
            return None;
        }
        // A body that only names a ref is another delivery where its id is another.
        answered.fingerprint = fingerprint.clone();
        let repeated = self.queue.repeated(target, &answered)?;
        let outcome = Ok(repeated.clone());
        self.report_outcome(events::subject(target), &answered.plugin, &outcome);
        Some((answered.plugin_number, repeated))
    }

    fn report(&self, target: &Target, unannounced: Unannounced, why: &str) {
        let event = events::unannounced(unannounced, why);
        self.events.add(events::subject(target), &event);
    }
}

/// The announcements of one object, and what the watch does not provide of it.
#[derive(Default)]
struct ObjectQueue {
    /// Announcements that wait for the write that is under way.
    waiting: Vec<Submission>,
    /// Whether a task stores announcements for this object.
    is_active: bool,
    /// The object after the last write of this process, which the watch may not have reported yet.
    last_write: Option<Snapshot>,
    /// The announcements that were answered last.
    answered: Answered,
}

struct Queue {
    writer: Writer,
    /// The permits of tasks that use the API server.
    permits: Semaphore,
    objects: Mutex<HashMap<ObjectKey, ObjectQueue>>,
    prefetch: Prefetch,
}

impl Queue {
    /// Returns the outcome of an announcement that repeats a delivery which is remembered.
    fn repeated(&self, target: &Target, announcement: &Announcement) -> Option<Submitted> {
        let known = self.known(&target.key, &target.snapshot);
        let repeats = repeats(&known, [announcement], self.writer.stamp());
        repeats.into_iter().next().flatten()
    }

    /// Returns an announcement with the refs for which its delivery was accepted before, if that is remembered. The plugin
    /// may have changed and find other refs in it now, which were not requested and will not be.
    fn as_accepted(&self, target: &Target, announcement: Announcement) -> Announcement {
        let repeated = self.repeated(target, &announcement);
        if !matches!(repeated, Some(Submitted::Duplicate(_))) {
            return announcement;
        }
        self.with(&target.key, |object| {
            let accepted = object.answered.find(&announcement.fingerprint);
            let accepted = accepted.map(|accepted| accepted.detections.clone());
            Announcement {
                detections: accepted.unwrap_or(announcement.detections),
                ..announcement
            }
        })
    }

    /// Adds an announcement, and starts the task that stores it unless one runs for its object.
    fn push(self: &Arc<Self>, submission: Submission) {
        let key = submission.target.key.clone();
        let was_active = self.with(&key, |object| {
            object.waiting.push(submission);
            std::mem::replace(&mut object.is_active, true)
        });
        if !was_active {
            self.start(key);
        }
    }

    /// Starts the task that stores what waits for an object until nothing waits.
    fn start(self: &Arc<Self>, key: ObjectKey) {
        let queue = Arc::clone(self);
        tokio::spawn(async move {
            let task = ActiveTask { queue, key };
            while let Some(batch) = task.queue.take(&task.key) {
                task.queue.store(&task.key, batch).await;
            }
        });
    }

    /// Takes the announcements that wait for an object, without those that were already answered. The object is no
    /// longer active if there are none.
    fn take(&self, key: &ObjectKey) -> Option<Vec<Submission>> {
        let batch = self.with(key, |object| {
            let mut batch = std::mem::take(&mut object.waiting);
            batch.retain(Submission::is_awaited);
            object.is_active = !batch.is_empty();
            batch
        });
        (!batch.is_empty()).then_some(batch)
    }

    /// Stores what a batch announces, and answers all. Tries again until the deadlines of the senders.
    async fn store(&self, key: &ObjectKey, batch: Vec<Submission>) {
        let mut turn = Turn::new(batch);
        let mut pauses = Pauses::new();
        while turn.is_awaited() {
            let permit = self.permits.acquire().await;
            turn.join(self.with(key, |object| std::mem::take(&mut object.waiting)));
            turn.answer_due(Instant::now(), None);
            let (error, again_in) = match self.answer(key, &mut turn).await {
                Ok(()) => return,
                Err(Failure::Final(error)) => return turn.answer_all(&error),
                Err(Failure::Transient { error, again_in }) => {
                    turn.had_no_answer |= error.is_none();
                    (error, again_in)
                }
                Err(Failure::Conflict) => (None, None),
            };
            drop(permit);
            let again_at = Instant::now() + pauses.next(again_in);
            turn.answer_due(again_at, error.as_ref());
            tokio::time::sleep_until(again_at).await;
        }
    }

    /// Answers a batch, until a try fails.
    async fn answer(&self, key: &ObjectKey, turn: &mut Turn) -> Result<(), Failure> {
        while turn.is_awaited() {
            self.advance(key, turn).await?;
        }
        Ok(())
    }

    /// Decides about a batch by what is known of the object, and answers it, or learns what is needed for that.
    ///
    /// A write is stored only if the object is as it was known, because the watch may be behind. Every answer without a
    /// write, except to a repetition, requires a read that began after all announcements arrived.
    async fn advance(&self, key: &ObjectKey, turn: &mut Turn) -> Result<(), Failure> {
        let stamp = self.writer.stamp();
        let known = turn.present.clone();
        let known = known.unwrap_or_else(|| self.known(key, turn.latest()));
        turn.answer_stored(&known);
        turn.answer_repeated(&known, stamp);
        if turn.batch.is_empty() {
            return Ok(());
        }
        if turn.had_no_answer && turn.present.is_none() {
            // A write without an answer may be stored. The next one would then only be in conflict with it.
            turn.present = Some(self.writer.read(key, turn.limit()).await?.snapshot);
            return Ok(());
        }
        let Plan {
            outcomes,
            change,
            after,
        } = plan(key, &known, &turn.batch, stamp);
        let Some(change) = change else {
            if turn.present.is_some() {
                turn.answer_each(outcomes);
            } else {
                turn.present = Some(self.writer.read(key, turn.limit()).await?.snapshot);
            }
            return Ok(());
        };
        if let Change::Request(request) = &change {
            turn.note_try(stamp, &outcomes);
            (self.prefetch)(key, &request.git_ref, &stamp.to_string());
        }
        let version = known.version.as_deref();
        match self.writer.write(key, &change, version, turn.limit()).await {
            Ok(version) => {
                let written = Snapshot { version, ..after };
                self.with(key, |object| object.last_write = Some(written));
                turn.answer_each(outcomes);
                Ok(())
            }
            Err(Failure::Conflict) => {
                self.with(key, |object| object.last_write = None);
                turn.present = None;
                turn.present = Some(self.writer.read(key, turn.limit()).await?.snapshot);
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Returns the object as the watch reported it, or after the last write of this process if that is later.
    fn known(&self, key: &ObjectKey, watched: &Snapshot) -> Snapshot {
        self.with(key, |object| {
            // A write to an object that was deleted since says nothing about its successor.
            let is_past = |written: &Snapshot| {
                written.uid != watched.uid
                    || is_as_late(watched.version.as_deref(), written.version.as_deref())
            };
            if object.last_write.as_ref().is_some_and(is_past) {
                object.last_write = None;
            }
            object.last_write.as_ref().unwrap_or(watched).clone()
        })
    }

    /// Reads an object, and tries again until the deadline.
    async fn read(&self, key: &ObjectKey, deadline: Instant) -> Result<Target, RequestError> {
        let mut pauses = Pauses::new();
        let mut had_no_answer = false;
        loop {
            let limit = try_until(deadline, had_no_answer);
            let (error, again_in) = match self.writer.read(key, limit).await {
                Ok(target) => return Ok(target),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Transient { error, again_in }) => {
                    had_no_answer |= error.is_none();
                    (error, again_in)
                }
                Err(Failure::Conflict) => (None, None),
            };
            let again_at = Instant::now() + pauses.next(again_in);
            if again_at >= deadline {
                return Err(RequestError::Unavailable(error));
            }
            tokio::time::sleep_until(again_at).await;
        }
    }

    /// Accesses the state of an object.
    fn with<R>(&self, key: &ObjectKey, access: impl FnOnce(&mut ObjectQueue) -> R) -> R {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if objects.len() >= MAX_REMEMBERED && !objects.contains_key(key) {
            // A forgotten write causes at most one conflict.
            objects.retain(|_, object| object.is_active);
        }
        access(objects.entry(key.clone()).or_default())
    }
}

/// The task of an object. If it panics, another task continues with what waits for the object.
struct ActiveTask {
    queue: Arc<Queue>,
    key: ObjectKey,
}

impl Drop for ActiveTask {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(sync = %self.key, "a task that stores requests panicked");
            self.queue.start(self.key.clone());
        }
    }
}

#[cfg(test)]
mod tests;
