//! An API server in memory, with one object, and others that never change. Its answers can be held back, fail, or get lost.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, StatusCode};
use kube::Client;
use kube::client::Body;
use kube::runtime::reflector;
use serde_json::{Value, json};
use stoker_api::detection::{GitRef, ObjectKey};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::cluster::events::EventQueue;
use crate::cluster::watch_backoff::WatchMetrics;
use crate::cluster::written::WrittenObjects;
use crate::delivery::{Fingerprint, Signed};
use crate::fake_client;
use crate::request::objects::{self, ObjectCache};
use crate::request::{Announcement, Requester, Target, detection};

/// What happens to a request instead of its usual answer.
pub(super) enum Fault {
    /// It fails with this status, which asks to wait for some seconds.
    Status(StatusCode, u32),
    /// It is forbidden, with this message.
    Refused(&'static str),
    /// It is lost, and has no answer.
    Lost,
    /// It has its effect, and no answer.
    LostAnswer,
    /// It has its effect after these seconds, unless it is given up.
    Slow(f64),
    /// It has its effect, and its answer after these seconds.
    SlowAnswer(f64),
    /// Another process requests a ref before it has its effect.
    Overtaken(&'static str),
}

/// One object, and how the API server answers.
pub(super) struct FakeApi {
    pub(super) object: Mutex<Value>,
    /// Permits for answers. Without one, a request waits.
    pub(super) answers: Semaphore,
    /// The faults of the next requests.
    pub(super) faults: Mutex<VecDeque<Fault>>,
    requests: Mutex<Vec<(Method, Instant)>>,
}

impl FakeApi {
    pub(super) fn new(answers: usize) -> Arc<Self> {
        let object = json!({
            "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
            "metadata": {"namespace": "plants", "name": "north", "generation": 1, "resourceVersion": "1"},
            "spec": {"git": {"repo": "https://example.com/config.git", "ref": "main"}},
        });
        Arc::new(Self {
            object: Mutex::new(object),
            answers: Semaphore::new(answers),
            faults: Mutex::default(),
            requests: Mutex::default(),
        })
    }

    /// Returns an API server with faults at its next requests.
    pub(super) fn with_faults(faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        let api = Self::new(1000);
        api.faults.lock().unwrap().extend(faults);
        api
    }

    pub(super) fn client(self: &Arc<Self>) -> Client {
        let api = Arc::clone(self);
        fake_client::client(move |request| {
            let api = Arc::clone(&api);
            async move { api.answer(request).await }
        })
    }

    pub(super) async fn answer(&self, request: http::Request<Body>) -> (u16, Value) {
        let method = request.method().clone();
        let is_other = !request.uri().path().ends_with("/north");
        self.requests
            .lock()
            .unwrap()
            .push((method.clone(), Instant::now()));
        self.answers.acquire().await.unwrap().forget();
        let patch = request.into_body().collect_bytes().await.unwrap();
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            Some(Fault::Lost) => return std::future::pending().await,
            Some(Fault::Status(status, seconds)) => return failure(status, seconds, "no"),
            Some(Fault::Refused(why)) => return failure(StatusCode::FORBIDDEN, 0, why),
            Some(Fault::Overtaken(git_ref)) => self.change(&json!({
                "stoker.io/requested-ref": git_ref, "stoker.io/requested-at": "2026-01-01T00:00:00Z",
            })),
            Some(Fault::Slow(seconds)) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
            Some(Fault::LostAnswer | Fault::SlowAnswer(_)) | None => {}
        }
        if method == Method::PATCH && !is_other {
            let patch: Value = serde_json::from_slice(&patch).unwrap();
            let metadata = &patch["metadata"];
            let present = self.version();
            if !metadata["resourceVersion"].is_null() && metadata["resourceVersion"] != present {
                return failure(StatusCode::CONFLICT, 0, "no");
            }
            self.change(&metadata["annotations"]);
        }
        match fault {
            Some(Fault::LostAnswer) => std::future::pending().await,
            Some(Fault::SlowAnswer(seconds)) => {
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            }
            _ => {}
        }
        (200, self.object.lock().unwrap().clone())
    }

    fn version(&self) -> Value {
        self.object.lock().unwrap()["metadata"]["resourceVersion"].clone()
    }

    /// Merges annotations, as any client of the API server does.
    pub(super) fn change(&self, annotations: &Value) {
        let mut object = self.object.lock().unwrap();
        let metadata = &mut object["metadata"];
        let mut merged = metadata["annotations"].take();
        json_patch::merge(&mut merged, annotations);
        metadata["annotations"] = merged;
        let version: u64 = metadata["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        metadata["resourceVersion"] = (version + 1).to_string().into();
    }

    pub(super) fn count(&self, method: &Method) -> usize {
        self.times(method).len()
    }

    /// Returns when the requests with a method arrived.
    pub(super) fn times(&self, method: &Method) -> Vec<Instant> {
        let requests = self.requests.lock().unwrap();
        let of_method = requests.iter().filter(|(other, _)| other == method);
        of_method.map(|(_, time)| *time).collect()
    }

    pub(super) fn annotation(&self, name: &str) -> Value {
        self.object.lock().unwrap()["metadata"]["annotations"][name].clone()
    }

    pub(super) fn requested_ref(&self) -> Value {
        self.annotation("stoker.io/requested-ref")
    }

    /// Makes the object one that has resolved a requested tag.
    pub(super) fn settle(&self, tag: &str) {
        self.change(&json!({"stoker.io/requested-ref": tag, "stoker.io/requested-at": "2026-01-01T00:00:00Z"}));
        self.object.lock().unwrap()["status"] = json!({
            "observedGeneration": 1, "refResolutionStatus": "Resolved", "lastSyncRef": tag,
            "lastSyncRefKind": "Tag", "lastHandledRequestedAt": "2026-01-01T00:00:00Z",
        });
    }

    /// The object as a watch would report it now.
    pub(super) fn target(&self) -> Target {
        let object = self.object.lock().unwrap().clone();
        objects::target(&key(), &serde_json::from_value(object).unwrap()).unwrap()
    }
}

fn failure(status: StatusCode, seconds: u32, why: &str) -> (u16, Value) {
    let (code, mut body) = fake_client::status(status.as_u16(), "", why);
    if seconds > 0 {
        body["details"] = json!({ "retryAfterSeconds": seconds });
    }
    (code, body)
}

pub(super) fn key() -> ObjectKey {
    ObjectKey::new("plants", "north").unwrap()
}

pub(super) fn requester(api: &Arc<FakeApi>) -> Requester {
    requester_with(api, |_, _, _| {})
}

/// Returns a requester that passes its requests to `prefetch`.
pub(super) fn requester_with(
    api: &Arc<FakeApi>,
    prefetch: impl Fn(&ObjectKey, &GitRef, &str) + Send + Sync + 'static,
) -> Requester {
    let store = reflector::store::Writer::default().as_reader();
    let (events, _) = EventQueue::new("test");
    Requester::new(
        api.client(),
        Arc::new(ObjectCache::new(store, WatchMetrics::default())),
        events,
        None,
        WrittenObjects::default(),
        prefetch,
    )
}

pub(super) fn announcement(git_ref: &str) -> Announcement {
    Announcement {
        plugin: "generic".into(),
        plugin_number: 0,
        detections: vec![detection(git_ref)],
        fingerprint: Fingerprint::default(),
    }
}

/// An announcement in a delivery whose signed id has this digest.
pub(super) fn delivery(git_ref: &str, digest: u8) -> Announcement {
    Announcement {
        fingerprint: Fingerprint {
            signed: Some(Signed::Id([digest; 32])),
            sent: None,
        },
        ..announcement(git_ref)
    }
}

pub(super) fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}
