//! The routes of the receiver.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, any, get, post};

use super::Receiver;
use super::answer::{Answer, Reason};
use super::body;
use super::handler;
use super::handshake;

/// The message about a path that is not the address of a webhook.
pub(super) const NO_ROUTE: &str = "webhooks are received at /webhook/{namespace}/{name}";

/// The routes of the receiver.
///
/// `GET /` and `GET /healthz` answer 200 without a secret: the load balancers of GKE and AWS check the health of a
/// backend on its serving port, by default at `/`. `HAProxy` does so with `OPTIONS /`, by default.
pub fn router(receiver: Arc<Receiver>) -> Router {
    Router::new()
        .route(
            "/webhook/{namespace}/{name}",
            post(handler::receive)
                .options(handshake::permit)
                .fallback(wrong_method),
        )
        .route("/{webhook}/{namespace}/{name}", any(encoded))
        .route("/", healthy())
        .route("/healthz", healthy())
        .fallback(elsewhere)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&receiver),
            check_host,
        ))
        .with_state(receiver)
}

fn healthy() -> MethodRouter<Arc<Receiver>> {
    get(async || "ok").options(async || "ok").fallback(no_route)
}

/// Answers a request with another method than that of a webhook.
pub(super) async fn wrong_method(
    State(receiver): State<Arc<Receiver>>,
) -> ([(axum::http::HeaderName, &'static str); 1], Answer) {
    let answer = counted(
        &receiver,
        Reason::WrongMethod,
        "a webhook is sent with POST",
    );
    ([(axum::http::header::ALLOW, "POST")], answer)
}

/// Answers a request for another path. A webhook for a path that names no object is answered as one for an unknown
/// object, so that the answer does not show which names are possible.
async fn elsewhere(State(receiver): State<Arc<Receiver>>, request: Request) -> Answer {
    let is_webhook = request.uri().path().starts_with("/webhook/");
    if is_webhook && request.method() == Method::POST {
        handler::receive_elsewhere(receiver, request).await
    } else {
        no_route(State(receiver)).await
    }
}

/// Answers a request for a path with three parts, the first of which may be `webhook` in percent-encoding. The router
/// compares it before it decodes.
async fn encoded(
    state: State<Arc<Receiver>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    request: Request,
) -> Response {
    match path {
        Ok(Path((first, namespace, name))) if first == "webhook" => match *request.method() {
            Method::POST => {
                let path = Ok(Path((namespace, name)));
                let answer = handler::receive(state, path, request).await;
                answer.into_response()
            }
            Method::OPTIONS => handshake::permit(state, request.headers().clone()).await,
            _ => wrong_method(state).await.into_response(),
        },
        Ok(_) | Err(_) => elsewhere(state, request).await.into_response(),
    }
}

/// Refuses a request without a valid `Host` (RFC 9112 §3.2). HTTP/1.0 does not require it, and HTTP/2 has `:authority`.
async fn check_host(
    State(receiver): State<Arc<Receiver>>,
    request: Request,
    next: Next,
) -> Response {
    let is_required = request.version() == Version::HTTP_11;
    if has_host(request.headers(), is_required) {
        return next.run(request).await;
    }
    body::discard(request.into_body());
    let error = "the header Host is missing, repeated or invalid";
    counted(&receiver, Reason::InvalidHost, error)
        .closing()
        .into_response()
}

fn has_host(headers: &HeaderMap, is_required: bool) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => !is_required,
        (Some(host), None) => is_host(host),
        (Some(_), Some(_)) => false,
    }
}

/// Returns whether a text is a host, perhaps with a port. A request for something without a host has an empty one.
fn is_host(text: &HeaderValue) -> bool {
    let is_authority = |text: &[u8]| Authority::try_from(text).is_ok() && !text.contains(&b'@');
    text.is_empty() || is_authority(text.as_bytes())
}

async fn no_route(State(receiver): State<Arc<Receiver>>) -> Answer {
    counted(&receiver, Reason::NoRoute, NO_ROUTE)
}

/// Returns an answer to a request that is no delivery. It is counted, and has no log line.
pub(super) fn counted(receiver: &Receiver, reason: Reason, error: &str) -> Answer {
    receiver.metrics.outcome(reason.code());
    receiver.metrics.misdirected(reason.status().as_u16());
    Answer::refused(reason, error)
}
