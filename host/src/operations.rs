//! The HTTP endpoints for the people and programs that run Stoker: probes, the state of the plugins, metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use axum::{Json, Router};

use crate::auth::{AuthState, Authenticator};
use crate::metrics::{Format, Metrics};
use crate::plugin::{Chain, PluginStatus};
use crate::request::ObjectCache;

/// The inputs of the readiness probe.
#[derive(Clone)]
pub struct Readiness {
    /// The objects, which must be listed once.
    pub objects: Arc<ObjectCache>,
    /// The state of the secrets.
    pub auth: Arc<Authenticator>,
    /// The state of the plugins.
    pub chain: Arc<Chain>,
}

/// The routes of the probes. `/healthz` answers while the process runs, `/readyz` once it can receive webhooks, and
/// `/plugins` returns the state of each plugin as JSON.
pub fn probe_router(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/plugins", get(plugins))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    let not_ready = |why| (StatusCode::SERVICE_UNAVAILABLE, why);
    if !readiness.objects.is_listed() {
        return not_ready("the objects were not listed yet");
    }
    if !readiness.chain.is_complete() {
        return not_ready("the plugins were not loaded yet");
    }
    match readiness.auth.state() {
        AuthState::Unusable(_) => not_ready("the webhook secret cannot be used"),
        AuthState::Open | AuthState::Required => (StatusCode::OK, "ok"),
    }
}

async fn plugins(State(readiness): State<Readiness>) -> Json<Vec<PluginStatus>> {
    Json(readiness.chain.status())
}

/// The route of the metrics: `/metrics`, in the text format that the client accepts.
pub fn metrics_router(metrics: Arc<Metrics>) -> Router {
    let encode = async |State(metrics): State<Arc<Metrics>>, headers: HeaderMap| {
        let format = Format::accepted(&headers);
        match metrics.encode(format) {
            Ok(text) => ([(header::CONTENT_TYPE, format.media_type())], text).into_response(),
            Err(error) => {
                tracing::error!(error = %error, "cannot encode the metrics");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    };
    Router::new()
        .route("/metrics", get(encode))
        .with_state(metrics)
}
