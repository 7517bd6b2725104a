//! The smart HTTP transport (gitprotocol-http): a GET for the advertisement, and a POST for each request.
//!
//! This module handles HTTP. It does not depend on the protocol that HTTP carries.

use std::error::Error;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode};
use stoker_http_client::{BuiltClient, build};
use stoker_report::chain;
use url::Url;

use super::AGENT;
use super::address::{
    advertisement_address, lacks_password, redirected, request_address, server, shown,
};
use super::error::{Cause, GitError, plain};
use super::packet::PacketSource;
use super::request::{Request, Version};

const ADVERTISEMENT_TYPE: &str = "application/x-git-upload-pack-advertisement";
const REQUEST_TYPE: &str = "application/x-git-upload-pack-request";
const RESULT_TYPE: &str = "application/x-git-upload-pack-result";
const MAX_REDIRECTS: usize = 5;
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// The maximum wait for the end of an answer. The wait only keeps the connection for the next request.
const MAX_FINISH: Duration = Duration::from_millis(100);

/// The HTTP client. Clones share its connections.
#[derive(Debug, Clone)]
pub(super) struct Http {
    client: Client,
    has_certificates: bool,
    connect_limit: Duration,
}

impl Http {
    pub(super) fn new(connect_limit: Duration) -> Result<Self, GitError> {
        let settings = |builder: ClientBuilder| {
            builder
                .user_agent(AGENT)
                .redirect(Policy::none())
                .connect_timeout(connect_limit)
        };
        let BuiltClient {
            client,
            has_certificates,
        } = build(settings).map_err(|error| GitError::Client(error.into()))?;
        Ok(Self {
            client,
            has_certificates,
            connect_limit,
        })
    }

    /// Requests the advertisement, and follows redirects.
    pub(super) async fn open(&self, repo: &Url) -> Result<HttpConnection, GitError> {
        self.request_advertisement(repo)
            .await
            .map_err(|error| match error {
                GitError::AccessDenied { status } if lacks_password(repo) => {
                    GitError::PasswordMissing { status }
                }
                error => error,
            })
    }

    async fn request_advertisement(&self, repo: &Url) -> Result<HttpConnection, GitError> {
        let mut target = advertisement_address(repo);
        for redirects in 0..=MAX_REDIRECTS {
            let response = self
                .send(&target, || with_version_2(self.client.get(target.clone())))
                .await?;
            if !response.status().is_redirection() {
                check(&response, &target, ADVERTISEMENT_TYPE)?;
                let address = request_address(&target).ok_or(GitError::Redirect {
                    why: "it leads to an address that is not that of a git repository",
                })?;
                return Ok(HttpConnection {
                    http: self.clone(),
                    address,
                    was_redirected: redirects > 0,
                    response: Some(response),
                });
            }
            let location = response.headers().get(LOCATION);
            target = redirected(&target, location.and_then(|value| value.to_str().ok()))?;
        }
        Err(GitError::Redirect {
            why: "there are more than five in a row",
        })
    }

    /// Returns a connection without requesting the advertisement. Requests fail if the server would redirect the
    /// advertisement.
    pub(super) fn resume(&self, repo: &Url) -> Option<HttpConnection> {
        Some(HttpConnection {
            http: self.clone(),
            address: request_address(&advertisement_address(repo))?,
            was_redirected: false,
            response: None,
        })
    }

    /// Sends a request, and repeats it once if the connection breaks, because the server may have closed an idle
    /// connection. All requests are idempotent.
    async fn send(
        &self,
        target: &Url,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, GitError> {
        if target.scheme() == "https" && !self.has_certificates {
            return Err(GitError::NoCertificates);
        }
        let is_broken = |error: &reqwest::Error| {
            !error.is_connect() && !error.is_timeout() && !error.is_builder()
        };
        let outcome = match request().send().await {
            Err(error) if is_broken(&error) => request().send().await,
            outcome => outcome,
        };
        outcome.map_err(|error| {
            let limit = self.connect_limit;
            match (error.is_connect(), error.is_timeout()) {
                (true, true) => GitError::ConnectTimeout {
                    host: server(target),
                    limit,
                },
                (true, false) => GitError::Unreachable {
                    host: server(target),
                    source: cause(&error),
                },
                _ => GitError::Interrupted(cause(&error)),
            }
        })
    }
}

/// A connection to the repository at one address.
#[derive(Debug)]
pub(super) struct HttpConnection {
    http: Http,
    /// The address of requests.
    address: Url,
    was_redirected: bool,
    /// The answer that is being read.
    response: Option<Response>,
}

impl HttpConnection {
    /// Returns whether the repository was found at another address than its own.
    pub(super) fn was_redirected(&self) -> bool {
        self.was_redirected
    }

    /// Sends a request.
    pub(super) async fn send(&mut self, request: &Request) -> Result<(), GitError> {
        self.finish().await;
        let post = || {
            let post = self.http.client.post(self.address.clone());
            let post = match request.version {
                Version::V2 => with_version_2(post),
                Version::V0 => post,
            };
            post.header(CONTENT_TYPE, REQUEST_TYPE)
                .header(ACCEPT, RESULT_TYPE)
                .body(request.body.clone())
        };
        let response = self.http.send(&self.address, post).await?;
        if response.status().is_redirection() {
            return Err(GitError::Redirect {
                why: "only the first request may be redirected",
            });
        }
        check(&response, &self.address, RESULT_TYPE)?;
        self.response = Some(response);
        Ok(())
    }

    /// Waits briefly for the end of the answer, so that the connection can be reused.
    pub(super) async fn finish(&mut self) {
        let Some(mut response) = self.response.take() else {
            return;
        };
        let rest = async { while let Ok(Some(_)) = response.chunk().await {} };
        tokio::time::timeout(MAX_FINISH, rest).await.ok();
    }
}

impl PacketSource for HttpConnection {
    async fn read(&mut self, buffer: &mut BytesMut) -> Result<usize, GitError> {
        let Some(response) = &mut self.response else {
            return Ok(0);
        };
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if chunk.is_empty() => {}
                Ok(Some(chunk)) => {
                    buffer.extend_from_slice(&chunk);
                    return Ok(chunk.len());
                }
                Ok(None) => return Ok(0),
                Err(error) => return Err(GitError::Interrupted(cause(&error))),
            }
        }
    }
}

/// Returns the innermost cause of an error of the HTTP libraries. The outer errors only state that a request failed,
/// and contain the address, which may contain credentials.
fn cause(error: &reqwest::Error) -> Cause {
    let library = error.source();
    match library.and_then(Error::source).or(library) {
        Some(cause) => chain(cause).to_string().into(),
        None => "the request failed".into(),
    }
}

fn with_version_2(request: RequestBuilder) -> RequestBuilder {
    request.header(HeaderName::from_static("git-protocol"), "version=2")
}

/// Returns the seconds of `Retry-After`, at most an hour.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = Duration::from_secs(text.trim().parse().ok()?);
    Some(seconds.min(MAX_RETRY_AFTER))
}

/// Returns an error if an answer is not from a git server. A login page also has a success status.
fn check(response: &Response, target: &Url, expected: &str) -> Result<(), GitError> {
    match response.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(GitError::AccessDenied {
                status: response.status().as_u16(),
            });
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            return Err(GitError::RepositoryNotFound { url: shown(target) });
        }
        status if !status.is_success() => {
            return Err(GitError::Status {
                status: status.as_u16(),
                retry_after: retry_after(response),
            });
        }
        _ => {}
    }
    let content = response
        .headers()
        .get(CONTENT_TYPE)
        .map_or(&b""[..], |value| value.as_bytes());
    let essence = content
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    if essence.eq_ignore_ascii_case(expected.as_bytes()) {
        return Ok(());
    }
    let content = if essence.is_empty() {
        "no content type".to_owned()
    } else {
        plain(essence)
    };
    Err(GitError::NotGit {
        url: shown(target),
        content,
    })
}
