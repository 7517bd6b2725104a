//! The route of the webhook: from the request of the API server to its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};

use super::inject::{Decision, Settings, inject, wanted};
use super::metrics::{Fault, InjectorMetrics, Outcome};
use super::objects::{LookupError, Objects};
use super::places::{NoPlace, Places};
use super::review::Question;
use crate::server::Peer;

/// The maximum size of a body in bytes. The API server accepts pods of 3 MiB, and the review adds little.
const BODY_BYTES: usize = 4 << 20;
/// The time limit for a body.
const BODY_TIME: Duration = Duration::from_secs(5);

/// Answers the questions of the API server about pods.
pub struct Injector {
    objects: Objects,
    settings: Settings,
    metrics: InjectorMetrics,
    places: Places,
}

impl Injector {
    /// Returns an injector that reads the objects of pods.
    #[must_use]
    pub fn new(objects: Objects, settings: Settings, metrics: InjectorMetrics) -> Self {
        Self {
            objects,
            settings,
            metrics,
            places: Places::new(),
        }
    }

    /// Reads the body of a request. The body is dropped before the object of the pod is read.
    async fn question(
        &self,
        peer: Option<Peer>,
        body: Body,
    ) -> Result<Question, (StatusCode, String)> {
        let full = |error: NoPlace| (StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        let _place = self.places.take(peer).await.map_err(full)?;
        let body = read(body).await?;
        Question::read(&body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
    }

    async fn decide(&self, question: &Question) -> Result<Decision, LookupError> {
        let wanted = match wanted(&question.object) {
            Ok(wanted) => wanted,
            Err(unchanged) => return Ok(Decision::Unchanged(unchanged)),
        };
        let found = self.objects.find(&question.namespace, wanted).await?;
        Ok(match found {
            Ok(object) => inject(&question.object, &object, &self.settings),
            Err(denial) => Decision::Denied(denial),
        })
    }

    /// Counts and logs a decision.
    fn report(&self, question: &Question, decision: &Decision) {
        let namespace = question.namespace.as_str();
        let metadata = &question.object.metadata;
        // A pod of a controller gets its name later.
        let pod = metadata.name.as_ref().or(metadata.generate_name.as_ref());
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
                tracing::warn!(namespace, pod, %why, "the pod was refused");
                Outcome::Denied
            }
        };
        self.metrics.reviewed(namespace, outcome);
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
    body: Body,
) -> Response {
    let peer = peer.map(|Extension(peer)| peer);
    let question = match injector.question(peer, body).await {
        Ok(question) => question,
        Err(refusal) => return refusal.into_response(),
    };
    let answer = match injector.decide(&question).await {
        Ok(decision) => {
            injector.report(&question, &decision);
            question.answer(&decision)
        }
        Err(error) => {
            injector.metrics.failed(Fault::Lookup);
            let message = stoker_report::chain(&error).to_string();
            tracing::error!(
                namespace = question.namespace,
                error = message,
                "a pod cannot be decided about"
            );
            question.fail(&message)
        }
    };
    Json(answer).into_response()
}

async fn read(body: Body) -> Result<Bytes, (StatusCode, String)> {
    let refused = |status, why: &str| Err((status, why.to_owned()));
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
