use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::Bounds;
use super::answer::Answer;

/// The maximum time for reading and discarding the rest of a refused delivery's body.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// Refuses a body whose announced length exceeds the limit, before the body is read.
pub(super) fn check_length(headers: &HeaderMap, bounds: Bounds) -> Result<(), Answer> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > bounds.body_bytes as u64) {
        Err(too_large(bounds))
    } else {
        Ok(())
    }
}

/// Reads a body within its bounds.
pub(super) async fn read(body: Body, bounds: Bounds) -> Result<Bytes, Answer> {
    let collected = Limited::new(body, bounds.body_bytes).collect();
    match tokio::time::timeout(bounds.body_time, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(bounds)),
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

/// Reads the rest of a refused delivery for a while, and drops it.
///
/// If the connection were closed on a sender that still writes, TCP would reset it, and the sender would lose the
/// answer that says what is wrong.
pub(super) fn discard(mut body: Body) {
    tokio::spawn(async move {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        tokio::time::timeout(DISCARD_TIME, rest).await.ok();
    });
}

fn too_large(bounds: Bounds) -> Answer {
    let error = format!("the body is larger than {} bytes", bounds.body_bytes);
    Answer::refused(StatusCode::PAYLOAD_TOO_LARGE, error)
}
