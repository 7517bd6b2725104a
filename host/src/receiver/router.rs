use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::{MethodRouter, get, post};

use super::Receiver;
use super::answer::{Answer, Reason};
use super::handler;

/// The routes of the receiver.
///
/// `GET /` and `GET /healthz` answer 200 without a secret: the load balancers of GKE and AWS check the health of a
/// backend on its serving port, by default at `/`.
pub fn router(receiver: Arc<Receiver>) -> Router {
    Router::new()
        .route(
            "/webhook/{namespace}/{name}",
            post(handler::receive).fallback(wrong_method),
        )
        .route("/", healthy())
        .route("/healthz", healthy())
        .fallback(no_route)
        .with_state(receiver)
}

fn healthy() -> MethodRouter<Arc<Receiver>> {
    get(async || "ok").fallback(no_route)
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

async fn no_route(State(receiver): State<Arc<Receiver>>) -> Answer {
    let error = "webhooks are received at /webhook/{namespace}/{name}";
    counted(&receiver, Reason::NoRoute, error)
}

/// Returns an answer to a request that is no delivery. It is counted, and has no log line.
fn counted(receiver: &Receiver, reason: Reason, error: &str) -> Answer {
    receiver.metrics.outcome(reason.code());
    Answer::refused(reason, error)
}
