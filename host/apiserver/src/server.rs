//! The HTTP server: it listens, reads requests and writes answers. No other module uses the web framework.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query as AxumQuery, Request as AxumRequest, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::serve::ListenerExt as _;
use futures::stream;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api::{Answer, Api};
use crate::request::{Query, Request};
use crate::status::Failure;
use crate::webhooks;

/// Maximum size of a request's body in bytes.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// Serves until the server is stopped and the connections have ended.
pub(crate) fn spawn(listener: TcpListener, api: Arc<Api>) -> JoinHandle<()> {
    let stop = api.stop.clone();
    let router = Router::new().fallback(handle).with_state(api);
    tokio::spawn(async move {
        // Without this, each small piece of a watch would be delayed by 40 ms.
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap_or_default());
        let serving = axum::serve(listener, router)
            .with_graceful_shutdown(async move { stop.cancelled().await });
        if let Err(error) = serving.await {
            tracing::warn!(%error, "the embedded API server stopped");
        }
    })
}

async fn handle(State(api): State<Arc<Api>>, request: AxumRequest) -> Response {
    let head = request.method() == "HEAD";
    let answer = match read(request).await {
        Ok(request) => match webhooks::review(&api, request).await {
            Ok(request) => api.answer(&request),
            Err(failure) => failure.into(),
        },
        Err(failure) => failure.into(),
    };
    let mut response = respond(answer);
    if head {
        *response.body_mut() = Body::empty();
    }
    response
}

async fn read(request: AxumRequest) -> Result<Request, Failure> {
    let (parts, body) = request.into_parts();
    check_caller(&parts.headers)?;
    let query = AxumQuery::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|error| Failure::bad_request(error.to_string()))?;
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| {
        let message = format!("Request entity too large: limit is {BODY_LIMIT}");
        Failure::new(413, "RequestEntityTooLarge", message)
    })?;
    let text = |name: HeaderName| {
        let values = parts
            .headers
            .get_all(name)
            .into_iter()
            .filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(",")
    };
    Ok(Request {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: Query(query.0),
        accept: text(header::ACCEPT),
        content_type: text(header::CONTENT_TYPE),
        user_agent: text(header::USER_AGENT),
        body: body.to_vec(),
    })
}

/// A page in a browser on the same machine can also connect to loopback addresses. The page cannot choose the `Host`
/// header or hide its origin, so both must be local.
fn check_caller(headers: &HeaderMap) -> Result<(), Failure> {
    let refuse = |what: &str| {
        Err(Failure::new(
            403,
            "Forbidden",
            format!("the {what} of the request is not this machine"),
        ))
    };
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    if !host.is_some_and(is_local) {
        return refuse("host");
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    if origin.is_some_and(|(_, host)| is_local(host)) {
        Ok(())
    } else {
        refuse("origin")
    }
}

/// Returns whether `host`, with or without a port, names this machine.
fn is_local(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.is_loopback();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost")
}

fn respond(answer: Answer) -> Response {
    match answer {
        Answer::Json {
            code,
            media,
            body,
            warnings,
        } => {
            let mut text = body.to_string();
            text.push('\n');
            let mut response = response(code, media, Body::from(text));
            for warning in warnings {
                let escaped = warning.replace('\\', "\\\\").replace('"', "\\\"");
                if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{escaped}\"")) {
                    response.headers_mut().append(header::WARNING, value);
                }
            }
            response
        }
        Answer::Text { media, text } => response(200, media, Body::from(text)),
        Answer::Watch(watch) => {
            let lines = stream::unfold(watch, |mut watch| async move {
                let line = watch.next().await?;
                Some((Ok::<_, Infallible>(line), watch))
            });
            response(200, "application/json", Body::from_stream(lines))
        }
    }
}

fn response(code: u16, media: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for host in [
            "localhost",
            "localhost:80",
            "LOCALHOST:1",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com:80",
            "10.0.0.1",
            "0.0.0.0:80",
            "127.0.0.1.example.com",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn foreign_origins_are_refused() {
        let headers = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:1"));
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            headers
        };
        assert_eq!(check_caller(&headers("http://localhost:3000")), Ok(()));
        for origin in ["http://example.com", "null"] {
            assert_eq!(check_caller(&headers(origin)).expect_err(origin).code, 403);
        }
        assert_eq!(
            check_caller(&HeaderMap::new()).expect_err("no host").code,
            403
        );
    }
}
