//! The HTTP endpoints for the people and programs that run Stoker: probes, the state of the plugins, metrics.

use std::borrow::Cow;
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

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, Cow<'static, str>) {
    let not_ready = |why: &'static str| (StatusCode::SERVICE_UNAVAILABLE, why.into());
    if !readiness.objects.is_listed() {
        let (code, why) = not_ready("the objects were not listed yet");
        return match readiness.objects.last_error() {
            Some(error) => (code, format!("{why}: {error}").into()),
            None => (code, why),
        };
    }
    if !readiness.chain.is_complete() {
        return not_ready("the plugins were not loaded yet");
    }
    match readiness.auth.state() {
        AuthState::Unusable(_) => not_ready("the webhook secret cannot be used"),
        AuthState::Open | AuthState::Required => (StatusCode::OK, "ok".into()),
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

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use stoker_api::detection::ObjectKey;

    use super::*;
    use crate::auth::AuthConfig;
    use crate::cluster::watch_backoff::WatchMetrics;
    use crate::plugin::{Capacity, Sandbox};
    use crate::{fake_client, request};

    #[tokio::test]
    async fn readiness_says_why_the_objects_are_not_listed() {
        let undefined = fake_client::status(404, "NotFound", "404 page not found");
        let client = fake_client::client(move |_| std::future::ready(undefined.clone()));
        let forget = |_: &dyn Fn(&ObjectKey) -> bool| {};
        let (objects, follow) = request::follow(&client, None, &WatchMetrics::default(), forget);
        let sandbox = Sandbox::new(Capacity::default()).unwrap();
        let readiness = Readiness {
            objects: Arc::clone(&objects),
            auth: Arc::new(Authenticator::new(AuthConfig::default())),
            chain: Arc::new(Chain::new(Arc::new(sandbox))),
        };
        let answer = async || ready(State(readiness.clone())).await;
        let unknown = (
            StatusCode::SERVICE_UNAVAILABLE,
            "the objects were not listed yet".into(),
        );
        assert_eq!(answer().await, unknown);
        let failed = async {
            while objects.last_error().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = pin!(follow) => panic!("the watch ended"),
            () = failed => {}
        }
        let (code, why) = answer().await;
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        let expected = "the objects were not listed yet: the API server has no GatewaySync objects: install the definition";
        assert!(why.starts_with(expected), "{why}");
    }
}
