//! Kubernetes events about objects, which `kubectl describe` shows.
//!
//! They are written in the background, and are dropped if there are too many: nothing depends on them. They are those of
//! the core API, with the fields that `kubectl get events` sorts by.

mod fold;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event as CoreEvent, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Resource as _};
use serde_json::json;
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::{Instant, MissedTickBehavior};

use fold::{Fold, Repeated};

/// The maximum number of events that wait for being written. Half of the places are for warnings only.
const QUEUE: usize = 1024;
/// The pause between two writes, which limits the load of the API server.
const PAUSE: Duration = Duration::from_millis(50);
/// The interval between two updates of the counts.
const UPDATE: Duration = Duration::from_secs(10);
/// The maximum length of a note in bytes. The API server accepts messages of 1 KiB.
const MAX_NOTE: usize = 1000;

/// The object that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Its namespace and name.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: Option<String>,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whether it is of the type `Warning`, not `Normal`.
    pub is_warning: bool,
    /// The reason, in `CamelCase`.
    pub reason: String,
    /// What was done when it happened, in `CamelCase`.
    pub action: &'static str,
    /// What happened, for people. It is cut at [`MAX_NOTE`] bytes, and control characters are escaped.
    pub note: String,
    /// What distinguishes it from other events with this reason. Those with the same detail are counted as one.
    pub detail: String,
}

impl Event {
    /// Returns an event that is counted with those of the same text.
    #[must_use]
    pub fn new(is_warning: bool, reason: &str, action: &'static str, note: String) -> Self {
        Self {
            is_warning,
            reason: reason.to_owned(),
            action,
            detail: note.clone(),
            note,
        }
    }
}

/// Events with the same kind are reported as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    component: &'static str,
    subject: Subject,
    reason: String,
    detail: String,
}

/// An event that is not written yet.
#[derive(Debug)]
struct NewEvent {
    kind: Kind,
    name: String,
    event: Event,
    at: Timestamp,
}

/// A queue of events of one component. Adding an event never waits. An event that happens repeatedly is only counted,
/// which wakes no task.
#[derive(Clone)]
pub struct EventQueue {
    component: &'static str,
    fold: Arc<Mutex<Fold>>,
    new: mpsc::Sender<NewEvent>,
}

impl EventQueue {
    /// Returns the queue for a component of this name, and its end, where the events are written.
    #[must_use]
    pub fn new(component: &'static str) -> (Self, Unwritten) {
        let (new, events) = mpsc::channel(QUEUE);
        let fold = Arc::<Mutex<Fold>>::default();
        let unwritten = Unwritten {
            fold: Arc::clone(&fold),
            events,
        };
        let queue = Self {
            component,
            fold,
            new,
        };
        (queue, unwritten)
    }

    /// Returns the same queue for another component.
    #[must_use]
    pub fn reporting_as(&self, component: &'static str) -> Self {
        Self {
            component,
            ..self.clone()
        }
    }

    /// Adds an event.
    pub fn add(&self, subject: Subject, event: Event) {
        let kind = Kind {
            component: self.component,
            subject,
            reason: event.reason.clone(),
            detail: event.detail.clone(),
        };
        let at = Timestamp::now();
        // The form of the names that other clients choose: the object, and the time in nanoseconds.
        let name = || format!("{}.{:x}", kind.subject.key.name(), at.as_nanosecond());
        let Some(name) = lock(&self.fold).add(&kind, name, Instant::now()) else {
            return;
        };
        let has_place = event.is_warning || self.new.capacity() > QUEUE / 2;
        let mut event = event;
        event.note = stoker_report::escape(&event.note);
        event
            .note
            .truncate(event.note.floor_char_boundary(MAX_NOTE));
        let new = NewEvent {
            kind,
            name,
            event,
            at,
        };
        let dropped = if has_place {
            self.new.try_send(new).err().map(TrySendError::into_inner)
        } else {
            Some(new)
        };
        if let Some(dropped) = dropped {
            tracing::debug!("an event was dropped because the queue is full");
            // The next occurrence is a new event again.
            lock(&self.fold).forget(&dropped.kind);
        }
    }
}

fn lock(fold: &Mutex<Fold>) -> MutexGuard<'_, Fold> {
    fold.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end of the queues, where the events are written.
pub struct Unwritten {
    fold: Arc<Mutex<Fold>>,
    events: mpsc::Receiver<NewEvent>,
}

impl Unwritten {
    /// Writes each new event, and at intervals the counts of those that happened repeatedly. Ends when all queues are
    /// dropped.
    pub async fn write(mut self, client: Client) {
        let mut update = tokio::time::interval(UPDATE);
        update.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // A count is written after its event.
                biased;
                new = self.events.recv() => {
                    let Some(new) = new else {
                        return;
                    };
                    create(&client, core_event(new)).await;
                    tokio::time::sleep(PAUSE).await;
                }
                _ = update.tick() => {
                    let repeated = lock(&self.fold).repeated(Instant::now());
                    for repeated in repeated {
                        count(&client, &repeated).await;
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    /// Returns the events that wait, as type, reason and note.
    #[cfg(test)]
    pub(crate) fn drain(&mut self) -> Vec<String> {
        let mut drained = Vec::new();
        while let Ok(NewEvent { event, .. }) = self.events.try_recv() {
            let type_ = type_name(event.is_warning);
            drained.push(format!("{type_} {}: {}", event.reason, event.note));
        }
        drained
    }
}

async fn create(client: &Client, event: CoreEvent) {
    let namespace = event.metadata.namespace.clone().unwrap_or_default();
    let api: Api<CoreEvent> = Api::namespaced(client.clone(), &namespace);
    if let Err(error) = api.create(&PostParams::default(), &event).await {
        tracing::debug!(error = %stoker_report::chain(&error), "an event is not written");
    }
}

/// Writes how often an event happened.
async fn count(client: &Client, repeated: &Repeated) {
    let api: Api<CoreEvent> = Api::namespaced(client.clone(), &repeated.namespace);
    let patch = json!({"count": repeated.count, "lastTimestamp": Time(Timestamp::now())});
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    if let Err(error) = api.patch(&repeated.name, &params, &patch).await {
        tracing::debug!(error = %stoker_report::chain(&error), "an event is not updated");
    }
}

fn core_event(new: NewEvent) -> CoreEvent {
    let NewEvent {
        kind,
        name,
        event,
        at,
    } = new;
    let key = &kind.subject.key;
    let namespace = Some(key.namespace().to_owned());
    let component = Some(kind.component.to_owned());
    CoreEvent {
        metadata: ObjectMeta {
            namespace: namespace.clone(),
            name: Some(name),
            ..ObjectMeta::default()
        },
        type_: Some(type_name(event.is_warning).to_owned()),
        reason: Some(event.reason),
        action: Some(event.action.to_owned()),
        message: Some(event.note),
        count: Some(1),
        first_timestamp: Some(Time(at)),
        last_timestamp: Some(Time(at)),
        source: Some(EventSource {
            component: component.clone(),
            ..EventSource::default()
        }),
        reporting_instance: component.clone(),
        reporting_component: component,
        involved_object: ObjectReference {
            api_version: Some(GatewaySync::api_version(&()).into_owned()),
            kind: Some(GatewaySync::kind(&()).into_owned()),
            name: Some(key.name().to_owned()),
            namespace,
            uid: kind.subject.uid.clone(),
            ..ObjectReference::default()
        },
        ..CoreEvent::default()
    }
}

fn type_name(is_warning: bool) -> &'static str {
    if is_warning { "Warning" } else { "Normal" }
}

#[cfg(test)]
mod tests;
