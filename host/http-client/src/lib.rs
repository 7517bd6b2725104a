//! The HTTP client, with the CA certificates of the machine, the proxies of the environment, and time limits.
//!
//! The proxies of `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` are used, except for the hosts in `NO_PROXY` and for
//! this machine.

mod pem;
mod proxy;
mod tls_error;
mod trust;

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Proxy};
use rustls::crypto::{CryptoProvider, ring};

pub use proxy::proxy_of;
pub use tls_error::{is_tls_error, is_untrusted, tls_remedy};
pub use trust::Trust;

/// The `User-Agent` of requests that are not sent to a git server.
const USER_AGENT: &str = concat!("stoker/", env!("CARGO_PKG_VERSION"));
/// The time limit of a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit of a request, from the connection to the last byte of the answer.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// A variable is not the address of a proxy.
    #[error("the value of {variable} is not the address of a proxy")]
    Proxy {
        /// The name of the variable.
        variable: &'static str,
    },
    /// The text with additional certificates is invalid.
    #[error("the CA bundle is invalid: {0}")]
    Bundle(String),
    /// TLS could not be initialised.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The client could not be created.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// Returns a client for the requests of the command line.
///
/// It does not follow redirects, because a request may be signed for one receiver.
pub fn http_client() -> Result<Client, HttpClientError> {
    client_that_trusts(&Trust::of_this_machine())
}

/// Returns a client as [`http_client`] does, which trusts other certificates.
pub fn client_that_trusts(trust: &Trust) -> Result<Client, HttpClientError> {
    let settings = |builder: ClientBuilder| {
        builder
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
    };
    build(trust, settings)
}

/// The time limit of a request to a server on this machine.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of redirects that a request to this machine follows.
const LOCAL_REDIRECTS: usize = 10;

/// Returns a client for a server on this machine, at the host `localhost`. It uses no proxy and does not check
/// certificates, because the connections do not leave the machine. Redirects to other hosts are not followed.
pub fn client_of_this_machine() -> Result<Client, HttpClientError> {
    install_provider();
    let redirects = Policy::custom(|attempt| {
        let is_local = attempt.url().host_str() == Some("localhost");
        if is_local && attempt.previous().len() <= LOCAL_REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    });
    Client::builder()
        .no_proxy()
        .user_agent(USER_AGENT)
        .tls_danger_accept_invalid_certs(true)
        .redirect(redirects)
        .timeout(LOCAL_TIMEOUT)
        .build()
        .map_err(|error| HttpClientError::Client(error.without_url()))
}

/// Builds a client with the proxies of the environment, the given certificates and the given settings. Without
/// certificates, as in a minimal container image, only http works.
///
/// Installs `ring` as the default cryptography provider of TLS if the process has none.
pub fn build(
    trust: &Trust,
    settings: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<Client, HttpClientError> {
    install_provider();
    let builder = proxy::proxies(|name| std::env::var(name).ok())?
        .into_iter()
        .map(|configured| Proxy::custom(move |url| configured.for_url(url)))
        .fold(Client::builder().no_proxy(), ClientBuilder::proxy)
        .tls_backend_preconfigured(trust.client_config()?);
    settings(builder)
        .build()
        .map_err(|error| HttpClientError::Client(error.without_url()))
}

/// Installs `ring` as the default cryptography provider of TLS if the process has none.
fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // An error means that another thread has installed one.
        ring::default_provider().install_default().ok();
    }
}
