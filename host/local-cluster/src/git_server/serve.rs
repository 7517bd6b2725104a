//! The read-only smart HTTP server of the repository.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode, Uri};

use super::repository::Repository;
use super::{GitServerError, REPOSITORY};

/// The maximum size of a request's body in bytes. A fetch request of a client without objects is far smaller.
const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// The served repository, and the number of requests for it.
#[derive(Debug)]
pub(super) struct Site {
    repository: Repository,
    requests: AtomicU64,
}

impl Site {
    pub(super) fn new(repository: Repository) -> Self {
        Self {
            repository,
            requests: AtomicU64::new(0),
        }
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Returns the routes of the git server.
pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .fallback(serve)
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(site)
}

async fn serve(
    State(site): State<Arc<Site>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    site.requests.fetch_add(1, Ordering::Relaxed);
    let Some(service) = service(uri.path()) else {
        return (StatusCode::NOT_FOUND, "repository not found\n").into_response();
    };
    let answer = match (method, service) {
        (Method::GET, "info/refs") if is_fetch(&uri) => advertise(&site.repository, &headers).await,
        (Method::POST, "git-upload-pack") => answer(&site.repository, &headers, &body).await,
        (_, "info/refs" | "git-receive-pack") => {
            return (StatusCode::FORBIDDEN, "this repository is read-only\n").into_response();
        }
        _ => return (StatusCode::NOT_FOUND, "not found\n").into_response(),
    };
    match answer {
        Ok((content_type, bytes)) => (
            [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")],
            bytes,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

type Answer = Result<(&'static str, Vec<u8>), GitServerError>;

async fn advertise(repository: &Repository, headers: &HeaderMap) -> Answer {
    let mut bytes = b"001e# service=git-upload-pack\n0000".to_vec();
    bytes.extend(
        repository
            .upload_pack(protocol(headers), &["--advertise-refs"], b"")
            .await?,
    );
    Ok(("application/x-git-upload-pack-advertisement", bytes))
}

async fn answer(repository: &Repository, headers: &HeaderMap, body: &[u8]) -> Answer {
    let is_compressed = headers
        .get(CONTENT_ENCODING)
        .is_some_and(|value| value == "gzip");
    let uncompressed = if is_compressed {
        Some(repository.gunzip(body).await?)
    } else {
        None
    };
    let bytes = repository
        .upload_pack(
            protocol(headers),
            &[],
            uncompressed.as_deref().unwrap_or(body),
        )
        .await?;
    Ok(("application/x-git-upload-pack-result", bytes))
}

/// Returns the protocol version that the client requests.
fn protocol(headers: &HeaderMap) -> Option<&OsStr> {
    headers
        .get("git-protocol")
        .and_then(|value| value.to_str().ok())
        .map(OsStr::new)
}

/// Returns the part of a path after the name of the repository, or `None` for other paths. The suffix `.git` is
/// optional.
fn service(path: &str) -> Option<&str> {
    let rest = path.strip_prefix('/')?.strip_prefix(REPOSITORY)?;
    rest.strip_prefix(".git").unwrap_or(rest).strip_prefix('/')
}

fn is_fetch(uri: &Uri) -> bool {
    uri.query()
        .unwrap_or_default()
        .split('&')
        .any(|pair| pair == "service=git-upload-pack")
}
