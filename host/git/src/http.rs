//! The smart HTTP transport (gitprotocol-http): a GET for the advertisement, and a POST for each request.
//!
//! This module handles HTTP. It does not depend on the protocol that HTTP carries.

mod answer;

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode};
use stoker_http_client::{Trust, build, is_tls_error, proxy_of, tls_remedy};
use stoker_report::chain;
use url::Url;

use super::address::{self, advertisement_address, redirected, request_address, server};
use super::authorization::Authorization;
use super::error::{Cause, GitError};
use super::hosts::{AllowedHosts, Forbidden, ResolveError, Resolver};
use super::logins::UserLogins;
use super::packet::PacketSource;
use super::remote::Remote;
use super::request::{Request, Version};
use answer::check;

/// The `User-Agent`. Servers and firewalls recognise git by its beginning, and some answer 404 to everything else.
pub(super) const USER_AGENT: &str = concat!("git/2.0 (stoker/", env!("CARGO_PKG_VERSION"), ")");
const ADVERTISEMENT_TYPE: &str = "application/x-git-upload-pack-advertisement";
const REQUEST_TYPE: &str = "application/x-git-upload-pack-request";
const RESULT_TYPE: &str = "application/x-git-upload-pack-result";
const MAX_REDIRECTS: usize = 10;
/// The maximum wait for the end of an answer. The wait only keeps the connection for the next request.
const MAX_FINISH: Duration = Duration::from_millis(100);
/// The maximum number of CA bundles whose clients are kept.
const MAX_BUNDLES: usize = 64;

/// What to do if a server ends a connection of plain HTTP without an answer, as servers of TLS do.
const MAYBE_TLS: &str = "if the server speaks TLS at this port, use https://";

/// The HTTP clients, one for each CA bundle. Clones share their connections.
#[derive(Debug, Clone)]
pub(super) struct Http(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    trust: Trust,
    hosts: Arc<AllowedHosts>,
    connect_limit: Duration,
    /// The client for remotes without a CA bundle.
    client: HttpClient,
    with_bundle: Mutex<HashMap<Arc<str>, HttpClient>>,
    users: UserLogins,
}

impl Http {
    pub(super) fn new(connect_limit: Duration, hosts: Arc<AllowedHosts>) -> Result<Self, GitError> {
        let trust = Trust::of_this_machine();
        let client = HttpClient::new(&trust, connect_limit, &hosts)
            .map_err(|error| GitError::Client(error.into()))?;
        Ok(Self(Arc::new(Shared {
            trust,
            hosts,
            connect_limit,
            client,
            with_bundle: Mutex::default(),
            users: UserLogins::default(),
        })))
    }

    /// Returns the client for the CA bundle of a remote.
    fn client(&self, remote: &Remote) -> Result<HttpClient, GitError> {
        let Some(bundle) = remote.ca_bundle() else {
            return Ok(self.0.client.clone());
        };
        let lock = || {
            self.0
                .with_bundle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = lock().get(bundle) {
            return Ok(known.clone());
        }
        let made = self
            .0
            .trust
            .with_bundle(bundle)
            .and_then(|trust| HttpClient::new(&trust, self.0.connect_limit, &self.0.hosts))
            .map_err(|error| GitError::Client(error.into()))?;
        let mut clients = lock();
        if clients.len() >= MAX_BUNDLES {
            clients.clear();
        }
        clients.insert(bundle.into(), made.clone());
        Ok(made)
    }

    /// Requests the advertisement, and follows redirects. If the server refuses the credentials, the next ones are sent,
    /// and none after the last ones, because servers refuse wrong credentials also for a public repository. If none are
    /// configured, none are sent first.
    pub(super) async fn open(&self, remote: &Remote) -> Result<HttpConnection, GitError> {
        let client = self.client(remote)?;
        let open = |authorization| Self::open_with(client.clone(), remote, authorization);
        let mut refusal = None;
        let mut tried_without = false;
        for (login, authorization) in self.0.users.logins(remote, Instant::now())? {
            let is_sent = authorization.is_sent();
            let outcome = open(authorization).await;
            self.0.users.record(remote, login, &outcome, Instant::now());
            match outcome {
                // A user is sent alone only to a server that asks for Basic.
                Err(error @ GitError::AuthenticationScheme { .. }) if !is_sent => {
                    return Err(refusal.unwrap_or(error));
                }
                Err(error) if login.is_refused(&error) => {
                    tried_without |= !is_sent;
                    refusal = Some(login.refusal(error, refusal));
                }
                outcome => return outcome,
            }
        }
        if tried_without && let Some(error) = refusal {
            return Err(error);
        }
        match open(Authorization::anonymous()).await {
            Ok(connection) => Ok(HttpConnection {
                can_resume: false,
                ..connection
            }),
            Err(error) if error.retry_after().is_some() => Err(error),
            Err(error) => Err(refusal.unwrap_or(error)),
        }
    }

    async fn open_with(
        client: HttpClient,
        remote: &Remote,
        mut authorization: Authorization,
    ) -> Result<HttpConnection, GitError> {
        let mut target = advertisement_address(remote.url().url());
        for redirects in 0..=MAX_REDIRECTS {
            let get = || authorization.add_to(with_version_2(client.client.get(target.clone())));
            let mut response = client.send(&target, get).await?;
            if !response.status().is_redirection() {
                check(&mut response, &target, ADVERTISEMENT_TYPE, &authorization).await?;
                let address = request_address(&target).ok_or(GitError::Redirect {
                    why: "it leads to an address that is not that of a git repository",
                })?;
                return Ok(HttpConnection {
                    client,
                    authorization,
                    address,
                    can_resume: redirects == 0,
                    response: Some(response),
                });
            }
            let location = response.headers().get(LOCATION);
            let next = redirected(&target, location.map(HeaderValue::as_bytes))?;
            authorization.redirect(&target, &next);
            target = next;
        }
        Err(GitError::Redirect {
            why: "there are more than ten in a row",
        })
    }

    /// Returns a connection without requesting the advertisement. Requests fail if the server would redirect the
    /// advertisement.
    pub(super) fn resume(&self, remote: &Remote) -> Option<HttpConnection> {
        Some(HttpConnection {
            client: self.client(remote).ok()?,
            authorization: self
                .0
                .users
                .logins(remote, Instant::now())
                .ok()?
                .swap_remove(0)
                .1,
            address: request_address(&advertisement_address(remote.url().url()))?,
            can_resume: true,
            response: None,
        })
    }
}

/// A client with the certificates of one CA bundle.
#[derive(Debug, Clone)]
struct HttpClient {
    client: Client,
    hosts: Arc<AllowedHosts>,
    has_certificates: bool,
    connect_limit: Duration,
}

impl HttpClient {
    fn new(
        trust: &Trust,
        connect_limit: Duration,
        hosts: &Arc<AllowedHosts>,
    ) -> Result<Self, stoker_http_client::HttpClientError> {
        let settings = |builder: ClientBuilder| {
            builder
                .user_agent(USER_AGENT)
                .redirect(Policy::none())
                .dns_resolver(Resolver(Arc::clone(hosts)))
                .connect_timeout(connect_limit)
        };
        Ok(Self {
            client: build(trust, settings)?,
            hosts: Arc::clone(hosts),
            has_certificates: !trust.is_empty(),
            connect_limit,
        })
    }

    /// Sends a request, and repeats it once if the connection breaks, because the server may have closed an idle
    /// connection. All requests are idempotent.
    async fn send(
        &self,
        target: &Url,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, GitError> {
        self.hosts.check(target, 0)?;
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
        let response = outcome.map_err(|error| self.explained(target, &error))?;
        if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(GitError::Unreachable {
                host: way(target),
                source:
                    "the proxy requires credentials, or refuses those of its address (HTTP 407)"
                        .into(),
            });
        }
        Ok(response)
    }

    /// Returns the error of a request without an answer.
    fn explained(&self, target: &Url, error: &reqwest::Error) -> GitError {
        if let Some(Forbidden { host, address }) = forbidden(error) {
            let (host, address) = (host.clone(), *address);
            return GitError::AddressForbidden { host, address };
        }
        match (error.is_connect(), error.is_timeout()) {
            (true, true) => GitError::ConnectTimeout {
                host: way(target),
                limit: self.connect_limit,
            },
            (true, false) if is_tls_error(error) => GitError::Tls {
                host: server(target),
                source: cause(error),
            },
            (true, false) => GitError::Unreachable {
                host: way(target),
                source: cause(error),
            },
            (false, false) if target.scheme() == "http" => {
                let cause = cause(error);
                GitError::Interrupted(format!("{cause}; {MAYBE_TLS}").into())
            }
            _ => GitError::Interrupted(cause(error)),
        }
    }
}

/// Returns the server of an address, and the proxy through which it is reached.
fn way(target: &Url) -> String {
    let server = server(target);
    match proxy_of(target) {
        Ok(Some(proxy)) => format!("{server} through the proxy {}", address::server(&proxy)),
        _ => server,
    }
}

/// A connection to the repository at one address.
#[derive(Debug)]
pub(super) struct HttpConnection {
    client: HttpClient,
    authorization: Authorization,
    /// The address of requests.
    address: Url,
    /// Whether the next requests to the address of the repository can omit the advertisement.
    can_resume: bool,
    /// The answer that is being read.
    response: Option<Response>,
}

impl HttpConnection {
    /// Returns whether the repository was found at its own address and with its own credentials.
    pub(super) fn can_resume(&self) -> bool {
        self.can_resume
    }

    /// Sends a request.
    pub(super) async fn send(&mut self, request: &Request) -> Result<(), GitError> {
        self.finish().await;
        let post = || {
            let post = self.client.client.post(self.address.clone());
            let post = self.authorization.add_to(post);
            let post = match request.version {
                Version::V2 => with_version_2(post),
                Version::V0 => post,
            };
            post.header(CONTENT_TYPE, REQUEST_TYPE)
                .header(ACCEPT, RESULT_TYPE)
                .body(request.body.clone())
        };
        let mut response = self.client.send(&self.address, post).await?;
        if response.status().is_redirection() {
            return Err(GitError::Redirect {
                why: "only the first request may be redirected",
            });
        }
        check(
            &mut response,
            &self.address,
            RESULT_TYPE,
            &self.authorization,
        )
        .await?;
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
    if let Some(remedy) = tls_remedy(error) {
        return remedy.into();
    }
    let library = error.source();
    match library.and_then(Error::source).or(library) {
        Some(cause) => chain(cause).to_string().into(),
        None => "the request failed".into(),
    }
}

fn with_version_2(request: RequestBuilder) -> RequestBuilder {
    request.header(HeaderName::from_static("git-protocol"), "version=2")
}

/// Returns the address that was refused, if this is the cause of an error.
fn forbidden(error: &reqwest::Error) -> Option<&Forbidden> {
    let mut cause = error.source();
    while let Some(found) = cause {
        // The library wraps the resolver's error, which shows its own cause in its place.
        if let Some(ResolveError::Forbidden(found)) = found.downcast_ref() {
            return Some(found);
        }
        cause = found.source();
    }
    None
}
