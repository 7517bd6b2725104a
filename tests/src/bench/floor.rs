//! A minimal receiver for comparison. It reads the body, checks its signature and answers.

use std::sync::Arc;

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use stoker::auth::sign;
use tokio::net::TcpListener;

/// Serves until the process is killed.
pub async fn serve(port: u16, secret: String) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let router = Router::new()
        .fallback(post(receive))
        .with_state(Arc::new(secret));
    axum::serve(listener, router).await?;
    Ok(())
}

async fn receive(
    State(secret): State<Arc<String>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let claimed = headers
        .get("x-hub-signature-256")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if is_signed(&secret, claimed, &body) {
        (StatusCode::ACCEPTED, Json(json!({"accepted": true})))
    } else {
        (StatusCode::UNAUTHORIZED, Json(json!({"accepted": false})))
    }
}

fn is_signed(secret: &str, claimed: &str, body: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return false;
    };
    mac.update(body);
    let mut bytes = [0; 32];
    let digits = claimed.strip_prefix("sha256=").unwrap_or_default();
    hex::decode_to_slice(digits, &mut bytes).is_ok() && mac.verify_slice(&bytes).is_ok()
}

/// Returns a signed request with a release of GitHub.
#[must_use]
pub fn signed_request(path: &str, secret: &str, body: &[u8]) -> Vec<u8> {
    signed_request_with(path, secret, "x-github-event: release", body)
}

/// Returns a signed request with one more header.
#[must_use]
pub fn signed_request_with(path: &str, secret: &str, header: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{header}\r\nx-hub-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
        sign(secret.as_bytes(), body),
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}
