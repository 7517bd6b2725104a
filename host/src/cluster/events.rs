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

/// The maximum number of events that wait for being written. Half of the queue is for warnings only.
const QUEUE: usize = 1024;
/// The pause between two writes, which limits the load of the API server.
const PAUSE: Duration = Duration::from_millis(50);
/// The interval between two updates of the counts.
const UPDATE: Duration = Duration::from_secs(10);
/// The maximum length of the object's name in the name of an event, which has at most 253 bytes.
const MAX_OBJECT_NAME: usize = 200;
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

/// The type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// Information.
    Normal,
    /// A problem.
    Warning,
}

impl EventType {
    fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The type.
    pub type_: EventType,
    /// The reason, in `CamelCase`.
    pub reason: String,
    /// What was done when it happened, in `CamelCase`.
    pub action: &'static str,
    /// What happened, for people. It is cut at [`MAX_NOTE`] bytes, and control characters are escaped.
    pub note: String,
    /// What distinguishes it from other events with this reason. Those with the same detail are counted as one.
    pub detail: String,
    /// The name of the events to which it belongs, if a client can cause any number of different ones. Beyond some, they
    /// are counted as one.
    pub group: Option<&'static str>,
}

impl Event {
    /// Returns an event that is counted with those of the same text.
    #[must_use]
    pub fn new(type_: EventType, reason: &str, action: &'static str, note: String) -> Self {
        Self {
            type_,
            reason: reason.to_owned(),
            action,
            detail: note.clone(),
            note,
            group: None,
        }
    }
}

/// Events with the same kind are reported as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    subject: Subject,
    reason: String,
    detail: String,
    group: Option<&'static str>,
}

/// An event that is not written yet.
#[derive(Debug)]
struct NewEvent {
    kind: Kind,
    name: String,
    type_: EventType,
    action: &'static str,
    note: String,
    at: Timestamp,
}

/// A queue of events of one component. Adding an event never waits. An event that happens repeatedly is only counted,
/// which wakes no task.
#[derive(Clone)]
pub struct EventQueue {
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
            component,
            fold: Arc::clone(&fold),
            events,
        };
        (Self { fold, new }, unwritten)
    }

    /// Adds an event.
    pub fn add(&self, subject: Subject, event: &Event) {
        let kind = Kind {
            subject,
            reason: event.reason.clone(),
            detail: shortened(&event.detail).to_owned(),
            group: event.group,
        };
        let at = Timestamp::now();
        let mut fold = lock(&self.fold);
        let kind = fold.within_group(kind);
        let Some(name) = fold.add(&kind, || name(&kind, at), Instant::now()) else {
            return;
        };
        drop(fold);
        let note = stoker_report::escape(shortened(&event.note));
        let new = NewEvent {
            kind,
            name,
            type_: event.type_,
            action: event.action,
            note: shortened(&note).to_owned(),
            at,
        };
        let has_room = event.type_ == EventType::Warning || self.new.capacity() > QUEUE / 2;
        let dropped = if has_room {
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

/// Returns the name of a new event, in the form that other clients choose: the object, and the time in nanoseconds.
fn name(kind: &Kind, at: Timestamp) -> String {
    let object = kind.subject.key.name();
    let object = &object[..object.floor_char_boundary(MAX_OBJECT_NAME)];
    let object = object.trim_end_matches(['-', '.']);
    format!("{object}.{:x}", at.as_nanosecond())
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_NOTE)]
}

fn lock(fold: &Mutex<Fold>) -> MutexGuard<'_, Fold> {
    fold.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end of a queue, where the events are written.
pub struct Unwritten {
    component: &'static str,
    fold: Arc<Mutex<Fold>>,
    events: mpsc::Receiver<NewEvent>,
}

impl Unwritten {
    /// Writes each new event, and at intervals the counts of those that happened repeatedly. Ends when the queue is
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
                    self.create(&client, new).await;
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

    async fn create(&self, client: &Client, new: NewEvent) {
        let kind = new.kind.clone();
        let namespace = kind.subject.key.namespace();
        let api: Api<CoreEvent> = Api::namespaced(client.clone(), namespace);
        let event = core_event(self.component, new);
        if let Err(error) = api.create(&PostParams::default(), &event).await {
            // The next occurrence is a new event again.
            lock(&self.fold).forget(&kind);
            tracing::warn!(
                sync.namespace = namespace,
                sync.name = kind.subject.key.name(),
                event.reason = kind.reason,
                error = %stoker_report::chain(&error),
                "an event is not written"
            );
        }
    }

    /// Returns the events that wait, as type, reason and note.
    #[cfg(test)]
    pub(crate) fn drain(&mut self) -> Vec<String> {
        let mut drained = Vec::new();
        while let Ok(new) = self.events.try_recv() {
            let type_ = new.type_.name();
            drained.push(format!("{type_} {}: {}", new.kind.reason, new.note));
        }
        drained
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

fn core_event(component: &'static str, new: NewEvent) -> CoreEvent {
    let NewEvent {
        kind,
        name,
        type_,
        action,
        note,
        at,
    } = new;
    let key = &kind.subject.key;
    let namespace = Some(key.namespace().to_owned());
    let component = Some(component.to_owned());
    CoreEvent {
        metadata: ObjectMeta {
            namespace: namespace.clone(),
            name: Some(name),
            ..ObjectMeta::default()
        },
        type_: Some(type_.name().to_owned()),
        reason: Some(kind.reason),
        action: Some(action.to_owned()),
        message: Some(note),
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

#[cfg(test)]
mod tests;
