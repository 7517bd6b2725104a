//! What the platform asks: is it alive, is it ready, what does it count.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use axum::{Json, Router};
use tokio::sync::watch;

use crate::auth::{Authenticator, DoorState};
use crate::metrics::Metrics;
use crate::plugin::{Detector, PluginStatus};

/// The media type of the OpenMetrics text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether webhooks can be taken.
#[derive(Clone)]
pub struct Readiness {
    /// Whether the objects were listed once.
    pub objects_known: watch::Receiver<bool>,
    /// Whether somebody can be let in at all.
    pub auth: Arc<Authenticator>,
    /// Who knows the plugins.
    pub detector: Arc<Detector>,
}

/// `/healthz`: the process answers. `/readyz`: it can take webhooks. `/plugins`: how each plugin stands, as JSON.
pub fn probe_router(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/plugins", get(plugins))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if !*readiness.objects_known.borrow() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the objects were not listed yet",
        );
    }
    if !readiness.detector.is_complete() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the plugins were not looked at yet",
        );
    }
    match readiness.auth.state() {
        DoorState::Closed(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the webhook secret cannot be used",
        ),
        DoorState::Open | DoorState::Locked => (StatusCode::OK, "ok"),
    }
}

async fn plugins(State(readiness): State<Readiness>) -> Json<Vec<PluginStatus>> {
    Json(readiness.detector.status())
}

/// `/metrics` in the OpenMetrics text format.
pub fn metrics_router(metrics: Arc<Metrics>) -> Router {
    let encode = async |State(metrics): State<Arc<Metrics>>| match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "cannot encode the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    Router::new()
        .route("/metrics", get(encode))
        .with_state(metrics)
}
