//! Clients of the Kubernetes API for tests, which give its answers.

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// Returns a client. `answer` returns the status code and the body of each answer.
pub(crate) fn client<F>(mut answer: impl FnMut(Request<Body>) -> F + Send + 'static) -> Client
where
    F: Future<Output = (u16, Value)> + Send + 'static,
{
    let service = tower::service_fn(move |request| {
        let answer = answer(request);
        async move {
            let (code, body) = answer.await;
            let body = Body::from(body.to_string().into_bytes());
            Ok::<_, tower::BoxError>(Response::builder().status(code).body(body).unwrap())
        }
    });
    Client::new(service, "default")
}

/// Returns the answer to a request that fails: its status code and a `Status`.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> (u16, Value) {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    (code, body)
}
