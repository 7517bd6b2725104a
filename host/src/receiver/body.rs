use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::Bounds;
use super::answer::Answer;

/// Reads a body within its bounds.
pub(super) async fn read(headers: &HeaderMap, body: Body, bounds: Bounds) -> Result<Bytes, Answer> {
    let too_large = || {
        let error = format!("the body is larger than {} bytes", bounds.body_bytes);
        Answer::refused(StatusCode::PAYLOAD_TOO_LARGE, error)
    };
    if announced_length(headers).is_some_and(|length| length > bounds.body_bytes as u64) {
        return Err(too_large());
    }
    let collected = Limited::new(body, bounds.body_bytes).collect();
    match tokio::time::timeout(bounds.body_time, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Answer::refused(
            StatusCode::BAD_REQUEST,
            "the body ended before its announced length",
        )),
        Err(_) => {
            let error = format!("the body did not arrive within {:?}", bounds.body_time);
            Err(Answer::refused(StatusCode::REQUEST_TIMEOUT, error))
        }
    }
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
