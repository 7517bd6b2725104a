//! The route of the webhook: from the request of the API server to its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use stoker_report::excerpt;

use super::inject::{Decision, Settings, inject, wanted};
use super::metrics::{Fault, InjectorMetrics, Outcome};
use super::objects::{Objects, ReadError};
use super::permits::{NoPermit, Permits};
use super::review::{AdmissionRequest, Invalid, ReviewError};
use crate::sampling::Sampler;
use crate::server::Peer;

/// The maximum size of a body in bytes, that of controller-runtime, which serves the webhook of the Go operator. The API
/// server accepts pods of 3 MiB, and writes each `<`, `>` and `&` in a review as six bytes.
const BODY_BYTES: usize = 7 << 20;
/// The time limit for a body.
const BODY_TIME: Duration = Duration::from_secs(5);
/// The number of log lines per second about bodies that are not read. Everybody who reaches the port can cause them.
static UNREAD: Sampler = Sampler::per_second(1);

/// Answers the requests of the API server about pods.
pub struct Injector {
    objects: Objects,
    settings: Settings,
    metrics: InjectorMetrics,
    permits: Permits,
}

impl Injector {
    /// Returns an injector that reads the objects of pods.
    #[must_use]
    pub fn new(objects: Objects, settings: Settings, metrics: InjectorMetrics) -> Self {
        Self {
            objects,
            settings,
            metrics,
            permits: Permits::new(),
        }
    }

    /// Reads the body of a request. The body is dropped before the object of the pod is read.
    async fn read_request(
        &self,
        peer: Option<Peer>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<AdmissionRequest, Refusal> {
        if !is_json(headers) {
            return Err(Refusal::Invalid(ReviewError::ContentType.into()));
        }
        let full =
            |error: NoPermit| Refusal::Unread(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        let _permit = self.permits.take(peer).await.map_err(full)?;
        let body = read(body).await?;
        AdmissionRequest::read(&body).map_err(Refusal::Invalid)
    }

    async fn decide(&self, request: &AdmissionRequest) -> Result<Decision, ReadError> {
        let wanted = match wanted(&request.pod) {
            Ok(wanted) => wanted,
            Err(unchanged) => return Ok(Decision::Unchanged(unchanged)),
        };
        let found = self.objects.find(&request.namespace, wanted).await?;
        let injected = found.and_then(|object| inject(&request.pod, &object, &self.settings));
        Ok(injected.into())
    }

    /// Counts and logs that a body was not read. The pod may get no agent, and nobody else says so.
    fn report_unread(&self, peer: Option<Peer>, why: &str) {
        self.metrics.failed(Fault::Body);
        if UNREAD.allows() {
            let omitted = UNREAD.take_omitted();
            let client = peer.map(|Peer(address)| tracing::field::display(address.ip()));
            tracing::warn!(client, omitted, why, "a review was not read");
        }
    }

    /// Counts and logs a decision.
    fn report(&self, request: &AdmissionRequest, decision: &Decision) {
        let namespace = request.namespace.as_str();
        // Neither the name nor what an annotation names was checked by anybody.
        let pod = request.pod.name().map(excerpt);
        let outcome = match decision {
            Decision::Unchanged(why) => {
                tracing::debug!(namespace, pod, %why, "the pod gets no agent");
                Outcome::Skipped
            }
            Decision::Injected(_) => {
                tracing::info!(namespace, pod, "the pod gets an agent");
                Outcome::Injected
            }
            Decision::Denied(why) => {
                let why = excerpt(&why.to_string());
                tracing::warn!(namespace, pod, why, "the pod was refused");
                Outcome::Denied
            }
        };
        self.metrics.reviewed(namespace, outcome);
    }
}

/// The reason why a request is answered without a decision.
enum Refusal {
    /// The body was not read. The failure policy of the webhook decides about the pod.
    Unread(StatusCode, String),
    /// The request is not a review of a pod. The pod is refused.
    Invalid(Invalid),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Unread(status, message) => (status, message).into_response(),
            Self::Invalid(invalid) => Json(invalid.answer()).into_response(),
        }
    }
}

/// The route of the webhook, `/mutate-v1-pod`, as in the Go operator.
pub fn router(injector: Arc<Injector>) -> Router {
    Router::new()
        .route("/mutate-v1-pod", post(review))
        .with_state(injector)
}

async fn review(
    State(injector): State<Arc<Injector>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let peer = peer.map(|Extension(peer)| peer);
    let request = match injector.read_request(peer, &headers, body).await {
        Ok(request) => request,
        Err(refusal) => {
            if let Refusal::Unread(_, why) = &refusal {
                injector.report_unread(peer, why);
            }
            return refusal.into_response();
        }
    };
    let answer = match injector.decide(&request).await {
        Ok(decision) => {
            injector.report(&request, &decision);
            request.answer(&decision)
        }
        Err(error) => {
            injector.metrics.failed(Fault::Lookup);
            let message = stoker_report::chain(&error).to_string();
            tracing::error!(
                namespace = request.namespace,
                error = message,
                "a pod cannot be decided about"
            );
            request.fail(&message)
        }
    };
    Json(answer).into_response()
}

/// Returns whether the body is sent as JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next());
    media_type.is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"))
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    let refused = |status, why: &str| Err(Refusal::Unread(status, why.to_owned()));
    match tokio::time::timeout(BODY_TIME, to_bytes(body, BODY_BYTES)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is too large, or did not arrive",
        ),
        Err(_) => refused(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive in time",
        ),
    }
}

#[cfg(test)]
mod tests;
