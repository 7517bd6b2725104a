//! The routes of the receiver.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::routing::{MethodRouter, get, post};

use super::Receiver;
use super::answer::{Answer, Reason};
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
        .route("/", healthy())
        .route("/healthz", healthy())
        .fallback(elsewhere)
        .with_state(receiver)
}

fn healthy() -> MethodRouter<Arc<Receiver>> {
    get(async || "ok").options(async || "ok").fallback(no_route)
}

async fn wrong_method(
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

async fn no_route(State(receiver): State<Arc<Receiver>>) -> Answer {
    counted(&receiver, Reason::NoRoute, NO_ROUTE)
}

/// Returns an answer to a request that is no delivery. It is counted, and has no log line.
pub(super) fn counted(receiver: &Receiver, reason: Reason, error: &str) -> Answer {
    receiver.metrics.outcome(reason.code());
    receiver.metrics.misdirected(reason.status().as_u16());
    Answer::refused(reason, error)
}
