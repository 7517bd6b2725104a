//! Kubernetes events about requests, which `kubectl describe` shows.
//!
//! They are written after the answer, and are dropped if there are too many. The controller reads only the annotations.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Resource as _};
use stoker_api::GatewaySync;
use stoker_api::detection::GitRef;
use stoker_api::names::reason;
use tokio::sync::mpsc;

/// The reporting controller of the events, with the name that the Go operator uses.
const COMPONENT: &str = "webhook-receiver";
/// The maximum number of events that wait for being written.
const QUEUE: usize = 64;
/// The pause between two events, which limits the number of event objects.
const PAUSE: Duration = Duration::from_millis(100);

/// A queue of events. Adding an event never waits.
#[derive(Clone)]
pub struct EventQueue(mpsc::Sender<Event>);

impl EventQueue {
    /// Adds an event about a webhook that was accepted for the object.
    pub(super) fn received(&self, object: &ObjectMeta, git_ref: &GitRef, plugin: &str) {
        let now = Timestamp::now();
        let name = object.name.clone().unwrap_or_default();
        let event = Event {
            metadata: ObjectMeta {
                namespace: object.namespace.clone(),
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            type_: Some("Normal".to_owned()),
            reason: Some(reason::WEBHOOK_RECEIVED.to_owned()),
            action: Some("RequestRef".to_owned()),
            note: Some(format!("Webhook from {plugin}, ref \"{git_ref}\"")),
            reporting_controller: Some(COMPONENT.to_owned()),
            reporting_instance: Some(COMPONENT.to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some(GatewaySync::api_version(&()).into_owned()),
                kind: Some(GatewaySync::kind(&()).into_owned()),
                name: Some(name),
                namespace: object.namespace.clone(),
                uid: object.uid.clone(),
                ..ObjectReference::default()
            }),
            ..Event::default()
        };
        if self.0.try_send(event).is_err() {
            tracing::debug!("an event was dropped because the queue is full");
        }
    }
}

/// Returns a queue, and the task that writes its events.
pub fn publish(client: Client) -> (EventQueue, impl Future<Output = ()> + Send) {
    let (sender, mut events) = mpsc::channel::<Event>(QUEUE);
    let write = async move {
        while let Some(event) = events.recv().await {
            let namespace = event.metadata.namespace.clone().unwrap_or_default();
            let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
            if let Err(error) = api.create(&PostParams::default(), &event).await {
                tracing::debug!(error = %stoker_report::chain(&error), "cannot write an event");
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    (EventQueue(sender), write)
}
