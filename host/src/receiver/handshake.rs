//! The handshake that a sender of CloudEvents makes before its first event (CloudEvents, HTTP 1.1 Web Hooks, section
//! 4): may it send to this address, and how fast?
//!
//! The answer is the same for every path, so it needs no authentication. It only permits to send: each event is
//! authenticated. A callback address in the request is not used, because a sender could otherwise choose an address to
//! which Stoker connects.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::Receiver;
use super::answer::Reason;
use super::router::{counted, wrong_method};

/// The name of the sending system.
const REQUEST_ORIGIN: &str = "webhook-request-origin";
/// The number of events per minute that the sender asks for.
const REQUEST_RATE: &str = "webhook-request-rate";
const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";
const ALLOWED_RATE: &str = "webhook-allowed-rate";
/// The maximum length of an origin in bytes, as of a DNS name (RFC 1035 §2.3.4).
const MAX_ORIGIN_BYTES: usize = 255;

/// Answers an OPTIONS request to the address of a webhook. Without an origin, it is no handshake, and a wrong method.
pub(super) async fn permit(State(receiver): State<Arc<Receiver>>, headers: HeaderMap) -> Response {
    let mut origins = headers.get_all(REQUEST_ORIGIN).iter();
    let mut response = match (origins.next(), origins.next()) {
        (None, _) => return wrong_method(State(receiver)).await.into_response(),
        (Some(origin), None) if is_origin(origin.as_bytes()) => {
            let mut response = StatusCode::OK.into_response();
            let allowed = response.headers_mut();
            drop(allowed.insert(ALLOWED_ORIGIN, origin.clone()));
            if headers.contains_key(REQUEST_RATE) {
                // The receiver's own limits apply to each delivery.
                drop(allowed.insert(ALLOWED_RATE, HeaderValue::from_static("*")));
            }
            response
        }
        _ => {
            let error = "WebHook-Request-Origin is not one host name";
            counted(&receiver, Reason::InvalidOrigin, error).into_response()
        }
    };
    let methods = HeaderValue::from_static("POST");
    drop(response.headers_mut().insert(header::ALLOW, methods));
    response
}

/// Returns whether a text is a host name, perhaps with a port. It is sent back, so only a host name is accepted.
fn is_origin(text: &[u8]) -> bool {
    let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:".contains(byte);
    (1..=MAX_ORIGIN_BYTES).contains(&text.len()) && text.iter().all(is_fit)
}
