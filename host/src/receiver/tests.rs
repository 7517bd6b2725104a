//! The routes with the built-in plugins, and objects in memory instead of an API server.

mod announced;
mod answers;
mod bodies;
mod disconnects;
mod handshake;
mod limits;
mod log;
mod memory;
mod repositories;
mod verify;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use stoker_api::detection::{DetectorSelection, ObjectKey};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::*;
use crate::auth::{AuthConfig, SIGNATURE_HEADER, sign};
use crate::delivery::Fingerprint;
use crate::plugin::{self, Capacity, Catalog, Chain, PluginMetrics, Sandbox, SettingsSource};
use crate::request::{Announcement, Ignored, Policy, RequestError, Submitted, Target, Unannounced};
use crate::secrets::SecretSource;

const SECRET: &str = "key";

/// Objects in memory.
#[derive(Default)]
struct FakeRequests {
    /// Objects that the watch has reported.
    watched: HashMap<ObjectKey, Policy>,
    /// Objects that only a read finds.
    unwatched: HashMap<ObjectKey, Policy>,
    /// Whether the API server does not answer.
    is_down: bool,
    reads: Mutex<Vec<ObjectKey>>,
    submitted: Mutex<Vec<(ObjectKey, Announcement)>>,
    /// Told of each submission.
    submitting: Notify,
    /// Has a permit for each submission that may be stored, or is `None` if all may be.
    storing: Option<Arc<Semaphore>>,
    reported: Mutex<Vec<(Unannounced, String)>>,
}

impl Requests for FakeRequests {
    fn find(&self, key: &ObjectKey) -> Option<Target> {
        let policy = self.watched.get(key)?;
        Some(Target::for_tests(key.clone(), policy.clone()))
    }

    fn read<'a>(
        &'a self,
        key: &'a ObjectKey,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Target, RequestError>> {
        self.reads.lock().unwrap().push(key.clone());
        let found = match self.unwatched.get(key).or(self.watched.get(key)) {
            _ if self.is_down => {
                return async move {
                    tokio::time::sleep_until(deadline).await;
                    Err(RequestError::Unavailable(None))
                }
                .boxed();
            }
            Some(policy) => Ok(Target::for_tests(key.clone(), policy.clone())),
            None => Err(RequestError::NotFound(key.clone())),
        };
        std::future::ready(found).boxed()
    }

    fn recall(
        &self,
        _target: &Target,
        _fingerprint: &Fingerprint,
        _may_answer: &dyn Fn(u64) -> bool,
    ) -> Option<(u64, Submitted)> {
        None
    }

    fn submit(
        &self,
        target: Target,
        announcement: Announcement,
        _deadline: Instant,
    ) -> BoxFuture<'_, Result<Submitted, RequestError>> {
        let outcome = match announcement.detections.first() {
            _ if self.is_down => Err(RequestError::Unavailable(None)),
            Some(detection) => Ok(Submitted::Written(detection.git_ref.clone())),
            None => Ok(Submitted::Ignored(Ignored::NotFollowed { count: 0 })),
        };
        self.submitted
            .lock()
            .unwrap()
            .push((target.key, announcement));
        self.submitting.notify_one();
        let storing = self.storing.clone();
        async move {
            if let Some(storing) = storing {
                storing.acquire().await.unwrap().forget();
            }
            outcome
        }
        .boxed()
    }

    fn report(&self, _target: &Target, unannounced: Unannounced, why: &str) {
        let mut reported = self.reported.lock().unwrap();
        reported.push((unannounced, why.to_owned()));
    }
}

fn key() -> ObjectKey {
    ObjectKey::new("plants", "north").unwrap()
}

fn with_object(policy: Policy) -> FakeRequests {
    FakeRequests {
        watched: HashMap::from([(key(), policy)]),
        ..FakeRequests::default()
    }
}

/// Returns a chain without plugins.
fn chain() -> Arc<Chain> {
    let sandbox = Arc::new(Sandbox::new(Capacity::default()).unwrap());
    Arc::new(Chain::new(sandbox))
}

/// A receiver that requires signatures.
struct Fixture {
    router: axum::Router,
    receiver: Arc<Receiver>,
    metrics: ReceiverMetrics,
    registry: Registry,
    requests: Arc<FakeRequests>,
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Fixture {
    async fn new(requests: FakeRequests) -> Self {
        Self::with_limits(requests, plugin::Limits::default()).await
    }

    async fn with_bounds(requests: FakeRequests, bounds: Bounds) -> Self {
        Self::with(requests, plugin::Limits::default(), bounds).await
    }

    async fn with_limits(requests: FakeRequests, limits: plugin::Limits) -> Self {
        Self::with(requests, limits, Bounds::default()).await
    }

    async fn with(requests: FakeRequests, limits: plugin::Limits, bounds: Bounds) -> Self {
        let chain = chain();
        let catalog = Catalog::open(
            Arc::clone(&chain),
            PluginMetrics::register(&mut Registry::default()),
            Vec::new(),
            SettingsSource {
                limits,
                ..SettingsSource::default()
            },
        );
        drop(catalog.await.unwrap());
        let auth = AuthConfig {
            hmac: Some(SecretSource::Inline(SECRET.to_owned())),
            ..AuthConfig::default()
        };
        Self::with_parts(requests, chain, Authenticator::new(auth), bounds)
    }

    fn with_auth(requests: FakeRequests, chain: Arc<Chain>, auth: Authenticator) -> Self {
        Self::with_parts(requests, chain, auth, Bounds::default())
    }

    fn with_parts(
        requests: FakeRequests,
        chain: Arc<Chain>,
        auth: Authenticator,
        bounds: Bounds,
    ) -> Self {
        let requests = Arc::new(requests);
        let mut registry = Registry::default();
        let metrics = ReceiverMetrics::register(&mut registry);
        let receiver = Receiver {
            auth: Arc::new(auth),
            chain,
            requests: Arc::clone(&requests) as Arc<dyn Requests>,
            refusal_reads: RefusalReads::default(),
            metrics: metrics.clone(),
            limits: Limits::new(bounds, metrics.clone()),
            deliveries: TaskTracker::new(),
        };
        let receiver = Arc::new(receiver);
        Self {
            router: router(Arc::clone(&receiver)),
            receiver,
            metrics,
            registry,
            requests,
        }
    }

    async fn send(&self, mut request: Request<Body>) -> Reply {
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().entry(header::HOST).or_insert(host);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    /// Sends a signed webhook.
    async fn post(&self, path: &str, body: &Value) -> Reply {
        let body = body.to_string();
        let request = Request::post(path)
            .header(SIGNATURE_HEADER, sign(SECRET.as_bytes(), body.as_bytes()))
            .body(Body::from(body));
        self.send(request.unwrap()).await
    }

    /// Returns the metrics of the receiver as text.
    fn metrics_text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    fn reads(&self) -> usize {
        self.requests.reads.lock().unwrap().len()
    }

    fn submitted(&self) -> usize {
        self.requests.submitted.lock().unwrap().len()
    }
}

const PATH: &str = "/webhook/plants/north";

#[tokio::test]
async fn a_signed_webhook_for_a_watched_object_is_submitted_without_a_read() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let reply = fixture.post(PATH, &json!({"ref": "v1"})).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    let expected = json!({"accepted": true, "reason": "requested", "ref": "v1", "plugin": "generic", "message": "ref requested"});
    assert_eq!(reply.body, expected);
    assert_eq!((fixture.reads(), fixture.submitted()), (0, 1));
    let submitted = fixture.requests.submitted.lock().unwrap();
    assert_eq!(submitted[0].0, key());
    assert_eq!(&*submitted[0].1.plugin, "generic");
}

#[tokio::test]
async fn an_object_that_the_watch_has_not_reported_is_read() {
    let requests = FakeRequests {
        unwatched: HashMap::from([(key(), Policy::default())]),
        ..FakeRequests::default()
    };
    let fixture = Fixture::new(requests).await;
    let reply = fixture.post(PATH, &json!({"ref": "v1"})).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    assert_eq!((fixture.reads(), fixture.submitted()), (1, 1));
}

#[tokio::test]
async fn an_authenticated_sender_is_told_that_an_object_does_not_exist() {
    let fixture = Fixture::new(FakeRequests::default()).await;
    let long = format!("/webhook/plants/{}", "x".repeat(5000));
    let cut = format!("{:?}", "x".repeat(64));
    for (path, code, expected) in [
        (PATH, "not-found", "\"north\""),
        (
            "/webhook/No_Name/x",
            "not-found",
            "\"No_Name\" is not the name",
        ),
        (
            "/webhook/plants/x%E2%80%AEy",
            "not-found",
            r#""x\u{202e}y" is not the name"#,
        ),
        (&long, "not-found", &cut),
        ("/webhook/plants", "no-route", "/webhook/{namespace}/{name}"),
        (
            "/webhook/plants/north/x",
            "no-route",
            "/webhook/{namespace}/{name}",
        ),
        ("/webhook/%ff/x", "no-route", "/webhook/{namespace}/{name}"),
    ] {
        let reply = fixture.post(path, &json!({"ref": "v1"})).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(reply.body["reason"], code, "{path}");
        let message = reply.body["message"].as_str().unwrap();
        assert!(
            message.contains(expected) && message.len() < 300,
            "{message}"
        );
    }
    assert_eq!(fixture.reads(), 1, "only a valid name is read");
}

#[tokio::test]
async fn the_body_of_a_webhook_without_a_proof_is_not_read() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let body = futures::stream::pending::<Result<&'static str, std::io::Error>>();
    let request = Request::post(PATH).body(Body::from_stream(body)).unwrap();
    let reply = fixture.send(request).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_the_plugins_that_an_object_names_answer_for_it() {
    let policy = Policy {
        detectors: DetectorSelection::only(["github".to_owned()]),
        ..Policy::default()
    };
    let fixture = Fixture::new(with_object(policy)).await;
    let reply = fixture.post(PATH, &json!({"ref": "v1"})).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(fixture.submitted(), 0);
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_is_a_503_with_retry_after() {
    for (requests, is_read) in [
        (with_object(Policy::default()), false),
        (FakeRequests::default(), true),
    ] {
        let fixture = Fixture::new(FakeRequests {
            is_down: true,
            ..requests
        })
        .await;
        if is_read {
            // The read is tried again until the deadline, and no plugin is called.
            tokio::time::pause();
        }
        let reply = fixture.post(PATH, &json!({"ref": "v1"})).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.headers["retry-after"], "5");
        // A plugin recognised what could not be stored.
        assert_eq!(reply.body["plugin"] == "generic", !is_read);
    }
}

#[tokio::test]
async fn health_checks_on_the_port_of_the_receiver_need_no_secret() {
    let fixture = Fixture::new(FakeRequests::default()).await;
    for path in ["/", "/healthz"] {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            let request = Request::builder().method(method).uri(path);
            let reply = fixture.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}");
        }
    }
    let elsewhere = Request::get("/other").body(Body::empty()).unwrap();
    assert_eq!(fixture.send(elsewhere).await.status, StatusCode::NOT_FOUND);
}
