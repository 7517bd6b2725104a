//! Events on the object. They are those of the core API, because the role of the agents allows only these.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{self, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Error};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Cluster, ClusterError, within};
use crate::events::Event;

/// The name of the reporter, by which tools filter events.
const COMPONENT: &str = "stoker-agent";
/// The number of events whose repetitions are counted.
const COUNTED: usize = 64;
/// The longest message. The API server accepts 1 KiB.
const MESSAGE_BYTES: usize = 1000;
/// The time limit of a write.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// Writes events.
pub(crate) struct Events {
    cluster: Cluster,
    waiting: mpsc::Receiver<Event>,
    target: Option<ObjectReference>,
    written: VecDeque<Written>,
}

struct Written {
    event: Event,
    name: String,
    count: i32,
}

impl Events {
    pub(crate) fn new(cluster: Cluster, waiting: mpsc::Receiver<Event>) -> Self {
        Self {
            cluster,
            waiting,
            target: None,
            written: VecDeque::new(),
        }
    }

    /// Writes events until the sender is dropped. An event that cannot be written is logged.
    pub(crate) async fn run(mut self) {
        while let Some(event) = self.waiting.recv().await {
            if let Err(error) = within(WRITE_TIME, self.write(event)).await {
                tracing::warn!(error = %stoker_report::chain(&error), "an event is not written");
            }
        }
    }

    async fn write(&mut self, event: Event) -> Result<(), ClusterError> {
        if self.target.is_none() {
            self.target = Some(self.cluster.reference().await?);
        }
        let api: Api<v1::Event> =
            Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace);
        let now = Timestamp::now();
        if let Some(known) = self.written.iter_mut().find(|known| known.event == event) {
            let count = known.count.saturating_add(1);
            let patch = Patch::Merge(json!({"count": count, "lastTimestamp": Time(now)}));
            match api
                .patch(&known.name, &PatchParams::default(), &patch)
                .await
            {
                // The API server deletes events after some time.
                Err(Error::Api(status)) if status.is_not_found() => {}
                outcome => {
                    outcome?;
                    known.count = count;
                    return Ok(());
                }
            }
        }
        self.written.retain(|known| known.event != event);
        let created = api_event(
            &self.cluster,
            self.target.clone().unwrap_or_default(),
            &event,
            now,
        );
        let created = api.create(&PostParams::default(), &created).await?;
        self.written.push_back(Written {
            event,
            name: created.metadata.name.unwrap_or_default(),
            count: 1,
        });
        if self.written.len() > COUNTED {
            self.written.pop_front();
        }
        Ok(())
    }
}

fn api_event(
    cluster: &Cluster,
    target: ObjectReference,
    event: &Event,
    now: Timestamp,
) -> v1::Event {
    let mut message = event.message.clone();
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
    let type_ = if event.is_warning {
        "Warning"
    } else {
        "Normal"
    };
    v1::Event {
        metadata: ObjectMeta {
            // The form of the names that other clients choose: the object, and the time in nanoseconds.
            name: Some(format!("{}.{:x}", cluster.object, now.as_nanosecond())),
            namespace: Some(cluster.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: target,
        reason: Some(event.reason.to_owned()),
        message: Some(message),
        type_: Some(type_.to_owned()),
        source: Some(EventSource {
            component: Some(COMPONENT.to_owned()),
            host: None,
        }),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        ..v1::Event::default()
    }
}
