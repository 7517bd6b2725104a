//! The repository's smart HTTP, read-only.
//!
//! It may name the web framework, and knows nothing of how commits come about.

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

/// More than any question of a client that knows none of the objects.
const MAX_QUESTION: usize = 1024 * 1024;

/// What is served, and how often it was asked.
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

/// The site for a server.
pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .fallback(serve)
        .layer(DefaultBodyLimit::max(MAX_QUESTION))
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
        return (StatusCode::NOT_FOUND, "there is no such repository\n").into_response();
    };
    let answer = match (method, service) {
        (Method::GET, "info/refs") if asks_to_read(&uri) => greet(&site.repository, &headers).await,
        (Method::POST, "git-upload-pack") => answer(&site.repository, &headers, &body).await,
        (_, "info/refs" | "git-receive-pack") => {
            return (StatusCode::FORBIDDEN, "this repository is read-only\n").into_response();
        }
        _ => return (StatusCode::NOT_FOUND, "nothing here\n").into_response(),
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

async fn greet(repository: &Repository, headers: &HeaderMap) -> Answer {
    let mut bytes = b"001e# service=git-upload-pack\n0000".to_vec();
    bytes.extend(
        repository
            .upload_pack(protocol(headers), &["--advertise-refs"], b"")
            .await?,
    );
    Ok(("application/x-git-upload-pack-advertisement", bytes))
}

async fn answer(repository: &Repository, headers: &HeaderMap, body: &[u8]) -> Answer {
    let is_packed = headers
        .get(CONTENT_ENCODING)
        .is_some_and(|value| value == "gzip");
    let unpacked = if is_packed {
        Some(repository.gunzip(body).await?)
    } else {
        None
    };
    let bytes = repository
        .upload_pack(protocol(headers), &[], unpacked.as_deref().unwrap_or(body))
        .await?;
    Ok(("application/x-git-upload-pack-result", bytes))
}

/// The version of the protocol, in the words of the client.
fn protocol(headers: &HeaderMap) -> Option<&OsStr> {
    headers
        .get("git-protocol")
        .and_then(|value| value.to_str().ok())
        .map(OsStr::new)
}

/// What is asked of the repository, given a path; none if it is not a path of it. `.git` may be left out.
fn service(path: &str) -> Option<&str> {
    let rest = path.strip_prefix('/')?.strip_prefix(REPOSITORY)?;
    rest.strip_prefix(".git").unwrap_or(rest).strip_prefix('/')
}

fn asks_to_read(uri: &Uri) -> bool {
    uri.query()
        .unwrap_or_default()
        .split('&')
        .any(|pair| pair == "service=git-upload-pack")
}
