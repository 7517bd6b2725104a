//! A client of the Kubernetes API that tries each request once, and says how long the API server asks to wait.
//!
//! The usual client of `kube` repeats a request that the API server refuses for now, and waits as long as the API server
//! asks. Whoever has a deadline must know of the wait: it may end after the deadline, and it is not a connection that
//! hangs.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{Either, Full};
use kube::client::ClientBuilder;
use kube::{Client, Config};
use serde_json::json;
use tower::util::MapResponseLayer;

/// Returns a client that tries each request once.
///
/// The errors of the client contain the time for which the API server asks to wait, as `details.retryAfterSeconds`.
pub(crate) fn client(mut config: Config) -> kube::Result<Client> {
    config.default_retry = false;
    let layer = MapResponseLayer::new(with_wait);
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

/// Moves the time of `Retry-After` from the header to the body of a refusal. An API server that has too much to do
/// sends only the header (API Priority and Fairness), and `kube` passes on only the body.
fn with_wait<B>(response: Response<B>) -> Response<Either<B, Full<Bytes>>> {
    let status = response.status();
    let is_temporary = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    let seconds = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse::<u32>().ok())
        .filter(|_| is_temporary);
    let Some(seconds) = seconds else {
        return response.map(Either::Left);
    };
    let body = json!({
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "message": "the API server asks to try again later",
        "reason": "TooManyRequests",
        "code": status.as_u16(),
        "details": { "retryAfterSeconds": seconds },
    });
    let (mut parts, _) = response.into_parts();
    drop(parts.headers.remove(header::CONTENT_LENGTH));
    drop(parts.headers.remove(header::CONTENT_ENCODING));
    let body = Full::from(body.to_string());
    Response::from_parts(parts, Either::Right(body))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::core::v1::Secret;
    use kube::Api;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers every request in the same way. Returns the client, and the number of requests when it ends.
    async fn refusal(answer: &'static str) -> (kube::Error, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config::new(format!("http://{address}").parse().unwrap());
        let api: Api<Secret> = Api::namespaced(client(config).unwrap(), "plants");
        let mut requests = 0;
        let serving = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                if stream.read(&mut request).await.unwrap() > 0 {
                    requests += 1;
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        };
        let error = tokio::select! {
            answer = api.get("hook") => answer.unwrap_err(),
            () = serving => panic!("the server ended"),
            () = tokio::time::sleep(Duration::from_mins(1)) => panic!("no answer"),
        };
        (error, requests)
    }

    #[tokio::test]
    async fn a_refusal_is_returned_at_once_with_the_time_to_wait() {
        for (answer, code, seconds) in [
            (
                "HTTP/1.1 429 x\r\nretry-after: 30\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy",
                429,
                30,
            ),
            (
                "HTTP/1.1 503 x\r\nretry-after: 7\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                503,
                7,
            ),
            (
                "HTTP/1.1 503 x\r\nretry-after: Fri, 01 Jan 2027 00:00:00 GMT\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy",
                503,
                0,
            ),
            (
                "HTTP/1.1 403 x\r\nretry-after: 7\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy",
                403,
                0,
            ),
        ] {
            let (error, requests) = refusal(answer).await;
            let kube::Error::Api(status) = error else {
                panic!("{error:?}")
            };
            let details = status.details.as_ref();
            let found = details.map_or(0, |details| details.retry_after_seconds);
            assert_eq!(
                (status.code, found, requests),
                (code, seconds, 1),
                "{answer}"
            );
        }
    }
}
