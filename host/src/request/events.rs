//! Kubernetes events about webhooks, which `kubectl describe` shows.
//!
//! They are written after the answer, and are dropped if there are too many. The controller reads only the annotations.

mod fold;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Resource as _};
use serde_json::json;
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use stoker_api::names::reason;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::{RequestError, Submitted, Target, Unannounced};
use fold::{Fold, Repeated};

/// The reporting controller of the events, with the name that the Go operator uses.
const COMPONENT: &str = "webhook-receiver";
/// The maximum number of events that wait for being written.
const QUEUE: usize = 256;
/// The pause between two writes, which limits the load of the API server.
const PAUSE: Duration = Duration::from_millis(100);
/// The interval between two updates of the counts.
const UPDATE: Duration = Duration::from_secs(10);
/// The maximum length of a note in bytes (`Event` of events.k8s.io/v1).
const MAX_NOTE: usize = 1024;

/// The object that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    key: ObjectKey,
    uid: Option<String>,
}

impl Subject {
    pub(super) fn of(target: &Target) -> Self {
        Self {
            key: target.key.clone(),
            uid: target.snapshot.uid.clone(),
        }
    }
}

/// An event that is not written yet.
#[derive(Debug)]
struct NewEvent {
    kind: Kind,
    name: String,
    note: String,
    at: Timestamp,
}

/// What is reported as one event if it happens repeatedly.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    subject: Subject,
    reason: &'static str,
    /// The code of the outcome, or for an accepted webhook its note, which contains the ref.
    detail: String,
}

/// A queue of events. Adding an event never waits. An event that happens repeatedly is only counted, which wakes no task.
#[derive(Clone)]
pub struct EventQueue {
    fold: Arc<Mutex<Fold>>,
    new: mpsc::Sender<NewEvent>,
}

impl EventQueue {
    /// Adds an event about the outcome of an announcement. An outcome that is not about the object has none.
    pub(super) fn submitted(
        &self,
        subject: Subject,
        plugin: &str,
        outcome: &Result<Submitted, RequestError>,
    ) {
        match outcome {
            Ok(
                Submitted::Written(git_ref)
                | Submitted::AlreadySet(git_ref)
                | Submitted::Duplicate(git_ref),
            ) => {
                let note = format!("Webhook from {plugin}, ref \"{git_ref}\"");
                self.add(subject, reason::WEBHOOK_RECEIVED, note.clone(), &note);
            }
            Ok(Submitted::Ignored(why)) => {
                let note = format!("Webhook from {plugin} ignored: {why}");
                self.add(
                    subject,
                    reason::WEBHOOK_IGNORED,
                    why.code().to_owned(),
                    &note,
                );
            }
            Err(error @ RequestError::Invalid { why, .. }) => {
                let note = format!("Webhook from {plugin} refused: {why}");
                self.add(
                    subject,
                    reason::WEBHOOK_REFUSED,
                    error.code().to_owned(),
                    &note,
                );
            }
            Err(
                RequestError::NotFound(_) | RequestError::Unavailable(_) | RequestError::Refused(_),
            ) => {}
        }
    }

    /// Adds an event about a delivery that announces nothing.
    pub(super) fn unannounced(&self, subject: Subject, unannounced: Unannounced, why: &str) {
        let (reason, end) = match unannounced {
            Unannounced::Ignored => (reason::WEBHOOK_IGNORED, "ignored"),
            Unannounced::Refused => (reason::WEBHOOK_REFUSED, "refused"),
        };
        let note = format!("Webhook {end}: {why}");
        self.add(subject, reason, "unannounced".to_owned(), &note);
    }

    fn add(&self, subject: Subject, reason: &'static str, detail: String, note: &str) {
        let mut note = stoker_report::escape(note);
        note.truncate(note.floor_char_boundary(MAX_NOTE));
        let kind = Kind {
            subject,
            reason,
            detail,
        };
        let at = Timestamp::now();
        let name = || format!("{}.{:x}", kind.subject.key.name(), at.as_nanosecond());
        let Some(name) = lock(&self.fold).add(&kind, name, Instant::now()) else {
            return;
        };
        let new = NewEvent {
            kind,
            name,
            note,
            at,
        };
        if let Err(error) = self.new.try_send(new) {
            tracing::debug!("an event was dropped because the queue is full");
            // The next occurrence is a new event again.
            lock(&self.fold).forget(&error.into_inner().kind);
        }
    }
}

fn lock(fold: &Mutex<Fold>) -> MutexGuard<'_, Fold> {
    fold.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a queue, and the task that writes its events.
pub fn publish(client: Client) -> (EventQueue, impl Future<Output = ()> + Send) {
    let (new, events) = mpsc::channel(QUEUE);
    let fold = Arc::default();
    let queue = EventQueue {
        fold: Arc::clone(&fold),
        new,
    };
    (queue, write_all(client, fold, events))
}

/// Writes each new event, and at intervals the counts of those that happened repeatedly.
async fn write_all(client: Client, fold: Arc<Mutex<Fold>>, mut events: mpsc::Receiver<NewEvent>) {
    let mut update = tokio::time::interval(UPDATE);
    update.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // A count is written after its event.
            biased;
            new = events.recv() => {
                let Some(new) = new else {
                    return;
                };
                create(&client, event(new)).await;
                tokio::time::sleep(PAUSE).await;
            }
            _ = update.tick() => {
                let repeated = lock(&fold).repeated(Instant::now());
                for repeated in repeated {
                    count(&client, &repeated).await;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn create(client: &Client, event: Event) {
    let namespace = event.metadata.namespace.clone().unwrap_or_default();
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    if let Err(error) = api.create(&PostParams::default(), &event).await {
        tracing::debug!(error = %stoker_report::chain(&error), "cannot write an event");
    }
}

/// Writes how often an event happened.
async fn count(client: &Client, repeated: &Repeated) {
    let api: Api<Event> = Api::namespaced(client.clone(), &repeated.namespace);
    let series = json!({"count": repeated.count, "lastObservedTime": MicroTime(Timestamp::now())});
    let patch = Patch::Merge(json!({ "series": series }));
    let params = PatchParams::default();
    if let Err(error) = api.patch(&repeated.name, &params, &patch).await {
        tracing::debug!(error = %stoker_report::chain(&error), "cannot update an event");
    }
}

fn event(new: NewEvent) -> Event {
    let NewEvent {
        kind,
        name,
        note,
        at,
    } = new;
    let key = &kind.subject.key;
    let is_warning = kind.reason == reason::WEBHOOK_REFUSED;
    let namespace = Some(key.namespace().to_owned());
    Event {
        metadata: ObjectMeta {
            namespace: namespace.clone(),
            name: Some(name),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(at)),
        type_: Some(if is_warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(kind.reason.to_owned()),
        action: Some("RequestRef".to_owned()),
        note: Some(note),
        reporting_controller: Some(COMPONENT.to_owned()),
        reporting_instance: Some(COMPONENT.to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(GatewaySync::api_version(&()).into_owned()),
            kind: Some(GatewaySync::kind(&()).into_owned()),
            name: Some(key.name().to_owned()),
            namespace,
            uid: kind.subject.uid.clone(),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests;
