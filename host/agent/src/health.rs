//! The probes and the metrics over HTTP.

use std::convert::Infallible;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use stoker_process::Format;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The number of connections of one server at a time. More wait.
const CONNECTIONS: usize = 32;
/// The time limit for the headers of a request, and for the pause between two requests.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// The time limit of a connection.
const CONNECTION_TIME: Duration = Duration::from_mins(5);
/// The pause after an error of the listener.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Whether the gateway may start, and whether the agent ends.
#[derive(Debug, Default)]
pub(crate) struct Health {
    is_ready: AtomicBool,
    is_ending: AtomicBool,
}

impl Health {
    /// Records that the gateway may start.
    pub(crate) fn set_ready(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// Records that the agent ends.
    pub(crate) fn set_ending(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }
}

/// What a server serves.
#[derive(Clone)]
pub(crate) enum Site {
    /// `/healthz`, `/readyz` and `/startupz`.
    Probes(Arc<Health>),
    /// `/metrics`.
    Metrics(Arc<Registry>),
}

impl Site {
    fn answer(&self, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
        match (self, path) {
            (Self::Probes(_), "/healthz") => text(StatusCode::OK, "ok"),
            (Self::Probes(health), "/readyz" | "/startupz") => {
                if health.is_ending.load(Ordering::Relaxed) {
                    text(StatusCode::SERVICE_UNAVAILABLE, "shutting down")
                } else if health.is_ready() {
                    text(StatusCode::OK, "ok")
                } else {
                    let state = if path == "/readyz" {
                        "not ready"
                    } else {
                        "starting"
                    };
                    text(StatusCode::SERVICE_UNAVAILABLE, state)
                }
            }
            (Self::Metrics(registry), "/metrics") => metrics(registry, Format::accepted(headers)),
            _ => text(StatusCode::NOT_FOUND, "404 page not found"),
        }
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    answer(status, TEXT, Bytes::from_static(text.as_bytes()))
}

fn metrics(registry: &Registry, format: Format) -> Response<Full<Bytes>> {
    match format.encode(registry) {
        Ok(text) => {
            let media_type = HeaderValue::from_static(format.media_type());
            answer(StatusCode::OK, media_type, text.into())
        }
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be encoded");
            answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, Bytes::new())
        }
    }
}

fn answer(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Listens on a port of all IPv6 and IPv4 addresses, or of the IPv4 addresses where there is no IPv6.
pub(crate) async fn listen(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], port))).await,
    }
}

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, site: Site) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection is not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let site = site.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let response = site.answer(request.uri().path(), request.headers());
            std::future::ready(Ok::<_, Infallible>(response))
        });
        tokio::spawn(async move {
            let _place = place;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .serve_connection(TokioIo::new(stream), service);
            // An error of a connection affects only its client.
            drop(tokio::time::timeout(CONNECTION_TIME, connection).await);
        });
    }
}

#[cfg(test)]
mod tests {
    use http::header::ACCEPT;
    use http_body_util::BodyExt as _;

    use super::*;

    async fn get(site: &Site, path: &str) -> (u16, String) {
        let response = site.answer(path, &HeaderMap::new());
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_probes_tell_the_state() {
        let health = Arc::new(Health::default());
        let site = Site::Probes(Arc::clone(&health));
        let expect = async |path: &str, status: u16, body: &str| {
            assert_eq!(get(&site, path).await, (status, body.to_owned()), "{path}");
        };
        expect("/healthz", 200, "ok").await;
        expect("/readyz", 503, "not ready").await;
        expect("/startupz", 503, "starting").await;
        expect("/metrics", 404, "404 page not found").await;
        health.set_ready();
        expect("/readyz", 200, "ok").await;
        expect("/startupz", 200, "ok").await;
        health.set_ending();
        expect("/healthz", 200, "ok").await;
        expect("/readyz", 503, "shutting down").await;
        expect("/startupz", 503, "shutting down").await;
    }

    #[test]
    fn the_format_of_the_metrics_is_what_the_client_accepts() {
        let site = Site::Metrics(Arc::default());
        for format in [Format::OpenMetrics, Format::Prometheus] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(format.media_type()));
            let answer = site.answer("/metrics", &headers);
            assert_eq!(answer.headers()[CONTENT_TYPE], format.media_type());
        }
    }

    #[tokio::test]
    async fn a_server_answers_over_http() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://localhost:{}/healthz",
            listener.local_addr().unwrap().port()
        );
        let server = tokio::spawn(serve(listener, Site::Probes(Arc::default())));
        let client = stoker_http_client::client_of_this_machine().unwrap();
        let response = client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), "ok");
        server.abort();
    }
}
