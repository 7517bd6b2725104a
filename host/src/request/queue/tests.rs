//! Requests against an API server in memory, whose answers can be held back.

use std::time::Duration;

use futures::future::join_all;
use http::Method;
use kube::client::Body;
use kube::runtime::reflector;
use serde_json::{Value, json};
use stoker_api::detection::GitRef;
use tokio::sync::Semaphore;

use super::*;
use crate::request::events::publish;
use crate::request::objects;

/// One object, and how the API server answers.
struct FakeApi {
    object: Mutex<Value>,
    /// Permits for answers. Without one, a request waits.
    answers: Semaphore,
    requests: Mutex<Vec<Method>>,
}

impl FakeApi {
    fn new(answers: usize) -> Arc<Self> {
        let object = json!({
            "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
            "metadata": {"namespace": "plants", "name": "north", "generation": 1},
            "spec": {"git": {"repo": "https://example.com/config.git", "ref": "main"}},
        });
        Arc::new(Self {
            object: Mutex::new(object),
            answers: Semaphore::new(answers),
            requests: Mutex::default(),
        })
    }

    fn client(self: &Arc<Self>) -> Client {
        let api = Arc::clone(self);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let api = Arc::clone(&api);
            async move { api.answer(request).await }
        });
        Client::new(service, "plants")
    }

    async fn answer(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, tower::BoxError> {
        let method = request.method().clone();
        if method == Method::POST {
            // An Event.
            return Ok(http::Response::new(Body::from(b"{}".to_vec())));
        }
        self.requests.lock().unwrap().push(method.clone());
        self.answers.acquire().await?.forget();
        let patch = request.into_body().collect_bytes().await?;
        let mut object = self.object.lock().unwrap();
        if method == Method::PATCH {
            let patch: Value = serde_json::from_slice(&patch)?;
            object["metadata"]["annotations"] = patch["metadata"]["annotations"].clone();
        }
        Ok(http::Response::new(Body::from(
            object.to_string().into_bytes(),
        )))
    }

    fn count(&self, method: &Method) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|other| *other == method).count()
    }

    fn requested_ref(&self) -> Value {
        self.object.lock().unwrap()["metadata"]["annotations"]["stoker.io/requested-ref"].clone()
    }

    /// Makes the object one that has resolved a requested tag.
    fn settle(&self, tag: &str) {
        let mut object = self.object.lock().unwrap();
        object["metadata"]["annotations"] = json!({"stoker.io/requested-ref": tag, "stoker.io/requested-at": "2026-01-01T00:00:00Z"});
        object["status"] = json!({
            "observedGeneration": 1, "refResolutionStatus": "Resolved", "lastSyncRef": tag,
            "lastSyncRefKind": "Tag", "lastHandledRequestedAt": "2026-01-01T00:00:00Z",
        });
    }

    /// The object as a watch would report it now.
    fn target(&self) -> Target {
        let object = self.object.lock().unwrap().clone();
        objects::target(&key(), &serde_json::from_value(object).unwrap()).unwrap()
    }
}

fn key() -> ObjectKey {
    ObjectKey::new("plants", "north").unwrap()
}

fn requester(api: &Arc<FakeApi>) -> Requester {
    let store = reflector::store::Writer::default().as_reader();
    let (events, _) = publish(api.client());
    Requester::new(
        api.client(),
        Arc::new(ObjectCache::new(store)),
        events,
        None,
    )
}

fn announcement(git_ref: &str) -> Announcement {
    Announcement {
        plugin: "generic".into(),
        detections: vec![Detection {
            git_ref: GitRef::parse(git_ref).unwrap(),
            commit: None,
            repositories: Vec::new(),
            event: None,
            occurred_at: None,
            delivery_id: None,
        }],
    }
}

fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn every_sender_is_answered_at_its_deadline_where_the_api_server_hangs() {
    let api = FakeApi::new(0);
    let requester = requester(&api);
    let started = Instant::now();
    let submissions =
        (0..8).map(|_| requester.submit(api.target(), announcement("v1"), in_seconds(8)));
    let answers = join_all(submissions).await;
    assert_eq!(started.elapsed().as_secs(), 8);
    for answer in answers {
        assert!(matches!(answer, Err(RequestError::Unavailable(None))));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_with_an_error_is_not_written_later() {
    let api = FakeApi::new(0);
    let requester = requester(&api);
    let first = requester.submit(api.target(), announcement("v1"), in_seconds(20));
    tokio::task::yield_now().await;
    let second = requester
        .submit(api.target(), announcement("v2"), in_seconds(5))
        .await;
    assert!(matches!(second, Err(RequestError::Unavailable(None))));
    api.answers.add_permits(100);
    assert_eq!(
        first.await.unwrap(),
        Submitted::Written(GitRef::parse("v1").unwrap())
    );
    tokio::task::yield_now().await;
    assert_eq!(api.requested_ref(), "v1");
    assert_eq!(api.count(&Method::PATCH), 1);
}

#[tokio::test(start_paused = true)]
async fn refs_that_arrive_during_a_write_are_stored_by_the_next_one() {
    let api = FakeApi::new(0);
    let requester = requester(&api);
    let first = requester.submit(api.target(), announcement("v0"), in_seconds(8));
    tokio::task::yield_now().await;
    let others = (1..=10).map(|number| {
        let announcement = announcement(&format!("v{number}"));
        requester.submit(api.target(), announcement, in_seconds(8))
    });
    let others: Vec<_> = others.collect();
    api.answers.add_permits(100);
    first.await.unwrap();
    for answer in join_all(others).await {
        assert!(matches!(answer, Ok(Submitted::Written(_))));
    }
    assert_eq!(api.requested_ref(), "v10");
    assert_eq!(api.count(&Method::PATCH), 2);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_behind_does_not_keep_a_request_from_being_written() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    api.settle("v1.0.1");
    let behind = api.target();
    // Another replica stores another ref.
    api.settle("v1.0.2");
    let answer = requester
        .submit(behind, announcement("v1.0.1"), in_seconds(8))
        .await;
    assert_eq!(
        answer.unwrap(),
        Submitted::Written(GitRef::parse("v1.0.1").unwrap())
    );
    assert_eq!(api.requested_ref(), "v1.0.1");
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_write_rests_on_one_read() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    api.settle("v1");
    let submissions =
        (0..5).map(|_| requester.submit(api.target(), announcement("v1"), in_seconds(8)));
    for answer in join_all(submissions).await {
        assert!(matches!(answer, Ok(Submitted::AlreadySet(_))));
    }
    assert_eq!(api.count(&Method::GET), 1);
    assert_eq!(api.count(&Method::PATCH), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_just_written_is_recognised_before_the_watch_reports_it() {
    let api = FakeApi::new(100);
    let requester = requester(&api);
    let behind = api.target();
    let first = requester
        .submit(behind.clone(), announcement("v1"), in_seconds(8))
        .await;
    assert!(matches!(first, Ok(Submitted::Written(_))));
    let stamp = api.object.lock().unwrap()["metadata"]["annotations"].clone();
    // The controller handles it, and the watch has reported neither.
    api.settle("v1");
    api.object.lock().unwrap()["metadata"]["annotations"] = stamp.clone();
    api.object.lock().unwrap()["status"]["lastHandledRequestedAt"] =
        stamp["stoker.io/requested-at"].clone();
    let again = requester
        .submit(behind, announcement("v1"), in_seconds(8))
        .await;
    assert!(matches!(again, Ok(Submitted::AlreadySet(_))));
}

#[tokio::test(start_paused = true)]
async fn objects_do_not_wait_for_one_another() {
    let api = FakeApi::new(0);
    let requester = requester(&api);
    let held = requester.submit(api.target(), announcement("v1"), in_seconds(8));
    tokio::task::yield_now().await;
    let other = Target {
        key: ObjectKey::new("plants", "south").unwrap(),
        ..api.target()
    };
    let also = requester.submit(other, announcement("v1"), in_seconds(8));
    tokio::task::yield_now().await;
    assert_eq!(api.count(&Method::PATCH), 2);
    api.answers.add_permits(2);
    assert!(held.await.is_ok() && also.await.is_ok());
}
