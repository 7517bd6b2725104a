//! The smart HTTP transport: a GET for the greeting, a POST for each question.
//!
//! It knows requests and answers, and not what is said.

use std::error::Error;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode};
use stoker_http_client::{BuiltClient, build};
use stoker_report::chain;
use url::Url;

use super::AGENT;
use super::address::{greeting_address, question_address, redirected, server, shown};
use super::error::{Cause, GitError, plain};
use super::packet::Incoming;

const GREETING_TYPE: &str = "application/x-git-upload-pack-advertisement";
const QUESTION_TYPE: &str = "application/x-git-upload-pack-request";
const ANSWER_TYPE: &str = "application/x-git-upload-pack-result";
const MAX_REDIRECTS: usize = 5;
/// How long the end of an answer is waited for. It only saves the connection for the next question.
const MAX_FINISH: Duration = Duration::from_millis(100);

/// The client, whose connections its clones share.
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

    /// Asks for the greeting, and follows where it leads.
    pub(super) async fn open(&self, repo: &Url) -> Result<HttpConnection, GitError> {
        let mut target = greeting_address(repo);
        for redirects in 0..=MAX_REDIRECTS {
            let response = self
                .send(&target, || version_2(self.client.get(target.clone())))
                .await?;
            if !response.status().is_redirection() {
                check(&response, &target, GREETING_TYPE)?;
                let question = question_address(&target).ok_or(GitError::Redirect {
                    why: "it leads to an address that is not that of a git repository",
                })?;
                return Ok(HttpConnection {
                    http: self.clone(),
                    question,
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

    /// Is ready to ask without a greeting. Where one would lead elsewhere, the question is refused.
    pub(super) fn resume(&self, repo: &Url) -> Option<HttpConnection> {
        Some(HttpConnection {
            http: self.clone(),
            question: question_address(&greeting_address(repo))?,
            was_redirected: false,
            response: None,
        })
    }

    /// Sends a request; once more if the connection breaks, since the server may have given up an idle one. All that
    /// is sent can be sent twice.
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

/// A conversation by requests and answers.
#[derive(Debug)]
pub(super) struct HttpConnection {
    http: Http,
    question: Url,
    was_redirected: bool,
    /// The answer that is being read.
    response: Option<Response>,
}

impl HttpConnection {
    /// Whether the repository was found elsewhere than at its own address.
    pub(super) fn was_redirected(&self) -> bool {
        self.was_redirected
    }

    /// Asks a question.
    pub(super) async fn ask(&mut self, question: Vec<u8>) -> Result<(), GitError> {
        self.finish().await;
        let request = || {
            let post = self.http.client.post(self.question.clone());
            version_2(post)
                .header(CONTENT_TYPE, QUESTION_TYPE)
                .header(ACCEPT, ANSWER_TYPE)
                .body(question.clone())
        };
        let response = self.http.send(&self.question, request).await?;
        if response.status().is_redirection() {
            return Err(GitError::Redirect {
                why: "only the first request may be redirected",
            });
        }
        check(&response, &self.question, ANSWER_TYPE)?;
        self.response = Some(response);
        Ok(())
    }

    /// Waits for the end of the answer, so that the connection can be used again.
    pub(super) async fn finish(&mut self) {
        let Some(mut response) = self.response.take() else {
            return;
        };
        let rest = async { while let Ok(Some(_)) = response.chunk().await {} };
        tokio::time::timeout(MAX_FINISH, rest).await.ok();
    }
}

impl Incoming for HttpConnection {
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

/// What lies below the words of the HTTP libraries, which say no more than that a request failed. They hold the
/// address, too, and it may hold credentials.
fn cause(error: &reqwest::Error) -> Cause {
    let library = error.source();
    match library.and_then(Error::source).or(library) {
        Some(cause) => chain(cause).to_string().into(),
        None => "the request failed".into(),
    }
}

fn version_2(request: RequestBuilder) -> RequestBuilder {
    request.header(HeaderName::from_static("git-protocol"), "version=2")
}

/// Refuses an answer that does not come from a git server. A sign-in page comes with a status of success, too.
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
