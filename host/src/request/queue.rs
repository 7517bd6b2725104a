//! The order of requests: those for one object that arrive while a write is under way are decided together, and the
//! next write stores them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::Client;
use stoker_api::detection::{Detection, ObjectKey};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::choose::choose;
use super::events::EventQueue;
use super::objects::ObjectCache;
use super::state::{Decision, RequestState};
use super::writer::{Stamp, Writer};
use super::{Announcement, RequestError, Requests, Submitted, Target};

/// The maximum number of objects whose last write is stored. When it is exceeded, all objects without an active write
/// are dropped.
const MAX_REMEMBERED: usize = 4096;

/// Stores requests on the objects.
pub struct Requester {
    cache: Arc<ObjectCache>,
    queue: Arc<Queue>,
}

impl Requester {
    /// Returns a requester that finds objects in the cache and writes with the client. With a namespace, objects
    /// outside of it do not exist.
    #[must_use]
    pub fn new(
        client: Client,
        cache: Arc<ObjectCache>,
        events: EventQueue,
        namespace: Option<String>,
    ) -> Self {
        let queue = Queue {
            writer: Writer::new(client, events, namespace),
            objects: Mutex::default(),
        };
        Self {
            cache,
            queue: Arc::new(queue),
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
        self.queue.writer.read(key, deadline).boxed()
    }

    fn submit(
        &self,
        target: Target,
        announcement: Announcement,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<Submitted, RequestError>> {
        let (answer, stored) = oneshot::channel();
        let submission = Submission {
            target,
            announcement,
            deadline,
            answer,
        };
        self.queue.push(submission);
        async move {
            // The sender of the answer is dropped only where a panic ended its task.
            let stored = timeout_at(deadline, stored).await.ok().and_then(Result::ok);
            stored.unwrap_or(Err(RequestError::Unavailable(None)))
        }
        .boxed()
    }
}

/// An announcement that waits for its answer.
struct Submission {
    target: Target,
    announcement: Announcement,
    deadline: Instant,
    answer: oneshot::Sender<Result<Submitted, RequestError>>,
}

/// The state of one object that the watch does not provide.
#[derive(Default)]
struct ObjectState {
    /// Announcements that wait for the write that is under way.
    waiting: Vec<Submission>,
    /// Whether a task stores announcements for this object.
    is_active: bool,
    /// The last write of this process, which the watch may not have reported yet.
    last_write: Option<LastWrite>,
}

#[derive(Clone)]
struct LastWrite {
    requested_at: Stamp,
    git_ref: String,
}

struct Queue {
    writer: Writer,
    objects: Mutex<HashMap<ObjectKey, ObjectState>>,
}

impl Queue {
    /// Adds an announcement, and starts the task that stores it unless one runs for its object.
    fn push(self: &Arc<Self>, submission: Submission) {
        let key = submission.target.key.clone();
        let was_active = self.with(&key, |object| {
            object.waiting.push(submission);
            std::mem::replace(&mut object.is_active, true)
        });
        if !was_active {
            let queue = Arc::clone(self);
            tokio::spawn(async move { queue.store_all(&key).await });
        }
    }

    /// Stores what waits for an object until nothing waits.
    async fn store_all(&self, key: &ObjectKey) {
        while let Some(batch) = self.take(key) {
            self.store(key, batch).await;
        }
    }

    /// Takes the announcements that wait for an object, without those that were already answered.
    fn take(&self, key: &ObjectKey) -> Option<Vec<Submission>> {
        let batch = self.with(key, |object| {
            let mut batch = std::mem::take(&mut object.waiting);
            batch.retain(|submission| !submission.answer.is_closed());
            object.is_active = !batch.is_empty();
            batch
        });
        (!batch.is_empty()).then_some(batch)
    }

    /// Stores the ref of the last announcement of a batch, and answers all: those before it are superseded.
    async fn store(&self, key: &ObjectKey, batch: Vec<Submission>) {
        let chosen = choose_each(batch);
        let Some((last, detection)) = chosen.last() else {
            return;
        };
        let deadlines = chosen.iter().map(|(submission, _)| submission.deadline);
        let deadline = deadlines.fold(last.deadline, Instant::max);
        let outcome = self.request(key, last, detection, &chosen, deadline).await;
        for (submission, detection) in chosen {
            let outcome = outcome.clone().map(|decision| match decision {
                Decision::Write => Submitted::Written(detection.git_ref),
                Decision::Renew | Decision::AlreadyRequested => {
                    Submitted::AlreadySet(detection.git_ref)
                }
            });
            // The receiving end is gone where the deadline has passed.
            submission.answer.send(outcome).ok();
        }
    }

    /// Writes a request where one is needed. Returns what was decided.
    async fn request(
        &self,
        key: &ObjectKey,
        last: &Submission,
        detection: &Detection,
        batch: &[(Submission, Detection)],
        deadline: Instant,
    ) -> Result<Decision, RequestError> {
        let is_one_ref = batch
            .iter()
            .all(|(_, other)| other.git_ref == detection.git_ref);
        let decision = if is_one_ref {
            let watched = &last.target.state;
            self.decide(key, watched, detection, deadline).await?
        } else {
            Decision::Write
        };
        if decision == Decision::AlreadyRequested {
            return Ok(decision);
        }
        let plugin = &last.announcement.plugin;
        let writer = &self.writer;
        let requested_at = writer
            .write(key, &detection.git_ref, plugin, deadline)
            .await?;
        self.remember(key, requested_at, detection);
        Ok(decision)
    }

    /// Decides whether a request is written. The watch may be outdated, so it is never sufficient to decide that the
    /// object already has the request. This decision requires a read that begins after the announcement arrived.
    async fn decide(
        &self,
        key: &ObjectKey,
        watched: &RequestState,
        detection: &Detection,
        deadline: Instant,
    ) -> Result<Decision, RequestError> {
        let may_be_requested = match self.written_since(key, watched) {
            Some(written) => written == detection.git_ref.as_str(),
            None => watched.decide(detection) != Decision::Write,
        };
        if may_be_requested {
            let present = self.writer.read(key, deadline).await?;
            Ok(present.state.decide(detection))
        } else {
            Ok(Decision::Write)
        }
    }

    /// Returns the ref of this process's last write, unless the watch has reported it.
    fn written_since(&self, key: &ObjectKey, watched: &RequestState) -> Option<String> {
        self.with(key, |object| {
            let is_reported = object
                .last_write
                .as_ref()
                .is_some_and(|write| write.requested_at.is_reported_by(watched));
            if is_reported {
                object.last_write = None;
            }
            object
                .last_write
                .as_ref()
                .map(|write| write.git_ref.clone())
        })
    }

    fn remember(&self, key: &ObjectKey, requested_at: Stamp, detection: &Detection) {
        self.with(key, |object| {
            object.last_write = Some(LastWrite {
                requested_at,
                git_ref: detection.git_ref.to_string(),
            });
        });
    }

    /// Accesses the state of an object.
    fn with<R>(&self, key: &ObjectKey, access: impl FnOnce(&mut ObjectState) -> R) -> R {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if objects.len() >= MAX_REMEMBERED && !objects.contains_key(key) {
            // To forget a write costs at most one write more than needed.
            objects.retain(|_, object| object.is_active);
        }
        access(objects.entry(key.clone()).or_default())
    }
}

/// Chooses a ref for each announcement. One without a choice is answered at once.
fn choose_each(batch: Vec<Submission>) -> Vec<(Submission, Detection)> {
    let mut chosen = Vec::with_capacity(batch.len());
    for submission in batch {
        let state = &submission.target.state;
        if let Some(detection) = choose(&submission.announcement.detections, state).cloned() {
            chosen.push((submission, detection));
        } else {
            let count = submission.announcement.detections.len();
            let unchosen = RequestError::NotFollowed { count };
            submission.answer.send(Err(unchosen)).ok();
        }
    }
    chosen
}

#[cfg(test)]
mod tests;
