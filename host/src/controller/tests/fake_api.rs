//! An API server for tests. It stores objects by their path, applies the patches that the controller sends, and records
//! every call. It deletes only with the UID and the version as preconditions.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::fake_client;

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// A change in the API server just before it answers.
type Interruption = Box<dyn FnOnce(&FakeApi) + Send>;

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    calls: Vec<String>,
    refusals: BTreeMap<String, (u16, String)>,
    interruptions: BTreeMap<String, Interruption>,
    version: u64,
    /// The fields of a status that are not stored.
    unknown: Vec<&'static str>,
    /// Wakes the watches, so that they end.
    expired: Arc<Notify>,
}

/// An API server for tests.
#[derive(Clone, Default)]
pub(in crate::controller) struct FakeApi(Arc<Mutex<State>>);

impl FakeApi {
    pub(in crate::controller) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request| {
            let api = api.clone();
            async move { Ok::<_, tower::BoxError>(api.answer(request).await) }
        });
        Client::new(service, "default")
    }

    /// Stores an object as a new version.
    pub(in crate::controller) fn put(&self, path: &str, mut object: Value) {
        let mut state = self.0.lock().unwrap();
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.objects.insert(path.to_owned(), object);
    }

    pub(in crate::controller) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(path).cloned()
    }

    pub(in crate::controller) fn remove(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.remove(path)
    }

    /// Refuses a call, such as `GET /api/v1/…`, until [`Self::allow`].
    pub(in crate::controller) fn refuse(&self, line: &str, code: u16, message: &str) {
        self.0
            .lock()
            .unwrap()
            .refusals
            .insert(line.to_owned(), (code, message.to_owned()));
    }

    /// Drops these fields of a status, as with a definition that does not have them.
    pub(in crate::controller) fn drop_from_status(&self, fields: &[&'static str]) {
        self.0.lock().unwrap().unknown = fields.to_vec();
    }

    /// Ends all watches, because the API server no longer has the changes since their beginning.
    pub(in crate::controller) fn expire_watches(&self) {
        self.0.lock().unwrap().expired.notify_waiters();
    }

    /// Ends a refusal.
    pub(in crate::controller) fn allow(&self, line: &str) {
        self.0.lock().unwrap().refusals.remove(line);
    }

    /// Runs a function once, just before a call is answered.
    pub(in crate::controller) fn before(
        &self,
        line: &str,
        interruption: impl FnOnce(&Self) + Send + 'static,
    ) {
        self.0
            .lock()
            .unwrap()
            .interruptions
            .insert(line.to_owned(), Box::new(interruption));
    }

    /// Returns the calls since the last time. Consecutive reads are sorted, because they are
    /// made in parallel.
    pub(in crate::controller) fn calls(&self) -> Vec<String> {
        let mut calls = std::mem::take(&mut self.0.lock().unwrap().calls);
        let is_read = |call: &String| call.starts_with("GET ");
        for run in calls.chunk_by_mut(|one, next| is_read(one) && is_read(next)) {
            run.sort();
        }
        calls
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let (head, body) = request.into_parts();
        let body: Value =
            serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap_or_default();
        let path = head.uri.path().to_owned();
        let line = format!("{} {path}", head.method);
        let refusal = self.0.lock().unwrap().refusals.get(&line).cloned();
        let is_collection = ["/gatewaysyncs", "/configmaps", "/pods", "/rolebindings"]
            .iter()
            .any(|plural| path.ends_with(plural));
        if is_collection && head.method == Method::GET {
            if let Some((code, message)) = refusal {
                return fail(code, &message);
            }
            return self.collection(&head.uri.to_string(), path.rsplit('/').next().unwrap());
        }
        let interruption = self.0.lock().unwrap().interruptions.remove(&line);
        if let Some(interruption) = interruption {
            interruption(self);
        }
        self.0.lock().unwrap().calls.push(line.clone());
        if let Some((code, message)) = refusal {
            return fail(code, &message);
        }
        let stored = path.trim_end_matches("/status");
        match head.method {
            Method::GET => self
                .get(&path)
                .map_or_else(|| missing(&path), |object| respond(200, &object)),
            Method::POST => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                self.put(&path, body);
                respond(201, &self.get(&path).unwrap())
            }
            Method::PATCH => {
                let type_ = head.headers["content-type"].to_str().unwrap();
                self.patch(stored, type_, &body)
            }
            Method::DELETE => self.delete(&path, &body["preconditions"]),
            method => panic!("unexpected {method}"),
        }
    }

    fn delete(&self, path: &str, preconditions: &Value) -> Answer {
        let Some(object) = self.get(path) else {
            return missing(path);
        };
        let holds = |name: &str| preconditions[name] == object["metadata"][name];
        if !holds("uid") || !holds("resourceVersion") {
            return fail(409, "the object has been modified");
        }
        self.remove(path);
        let done = json!({"kind": "Status", "apiVersion": "v1", "status": "Success"});
        respond(200, &done)
    }

    /// A list of the objects, or a watch without events until it expires.
    fn collection(&self, uri: &str, plural: &str) -> Answer {
        if uri.contains("watch=true") {
            let expired = Arc::clone(&self.0.lock().unwrap().expired);
            let end = async move {
                expired.notified().await;
                let event =
                    json!({"type": "ERROR", "object": failure(410, "too old resource version")});
                Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{event}\n"))))
            };
            let events = futures::stream::once(end);
            return Response::new(StreamBody::new(events).boxed());
        }
        let state = self.0.lock().unwrap();
        let of_kind = |path: &&String| path.contains(&format!("/{plural}/"));
        let items: Vec<_> = state
            .objects
            .keys()
            .filter(of_kind)
            .map(|path| state.objects[path].clone())
            .collect();
        let version = state.version.to_string();
        respond(
            200,
            &json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items}),
        )
    }

    fn patch(&self, path: &str, type_: &str, changes: &Value) -> Answer {
        let Some(mut object) = self.get(path) else {
            return missing(path);
        };
        match type_ {
            "application/json-patch+json" => {
                let operations: json_patch::Patch =
                    serde_json::from_value(changes.clone()).unwrap();
                if json_patch::patch(&mut object, &operations).is_err() {
                    return fail(
                        422,
                        "the server rejected our request due to an error in our request",
                    );
                }
            }
            "application/merge-patch+json" => {
                for precondition in ["uid", "resourceVersion"] {
                    let wanted = &changes["metadata"][precondition];
                    if !wanted.is_null() && *wanted != object["metadata"][precondition] {
                        return fail(409, "the object has been modified");
                    }
                }
                json_patch::merge(&mut object, changes);
                if let Some(status) = object["status"].as_object_mut() {
                    let state = self.0.lock().unwrap();
                    status.retain(|name, _| !state.unknown.contains(&name.as_str()));
                }
            }
            other => panic!("unexpected {other}"),
        }
        let deleted = !object["metadata"]["deletionTimestamp"].is_null();
        let held = object["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|finalizers| !finalizers.is_empty());
        if deleted && !held {
            self.remove(path);
            return respond(200, &object);
        }
        self.put(path, object);
        respond(200, &self.get(path).unwrap())
    }
}

fn missing(path: &str) -> Answer {
    let name = path.rsplit('/').next().unwrap();
    fail(404, &format!("{name:?} not found"))
}

fn fail(code: u16, message: &str) -> Answer {
    respond(code, &failure(code, message))
}

fn failure(code: u16, message: &str) -> Value {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        422 => "Invalid",
        _ => "InternalError",
    };
    fake_client::status(code, reason, message).1
}

fn respond(code: u16, body: &Value) -> Answer {
    Response::builder()
        .status(code)
        .body(Full::from(serde_json::to_vec(body).unwrap()).boxed())
        .unwrap()
}
