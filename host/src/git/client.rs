//! The HTTP client: TLS, and the proxies of the environment.
//!
//! It knows nothing of git.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy};
use rustls::crypto::{CryptoProvider, ring};

use super::{AGENT, GitError, Limits};

/// What no proxy reaches: this machine itself.
const LOCAL: &str = "localhost,127.0.0.0/8,::1";

/// A client for any HTTP, with the TLS and the proxies that git servers are asked with. It follows no redirect, since
/// what is sent may be signed, and waits no longer than a git server is waited for.
pub fn http_client() -> Result<Client, GitError> {
    let limits = Limits::default();
    let settings = |builder: ClientBuilder| builder.redirect(Policy::none()).timeout(limits.total);
    build(limits.connect, settings).map(|(client, _)| client)
}

/// A client with more settings, and whether it can use https: a machine without certificates, as a small container
/// image may be, still has http.
pub(super) fn build(
    connect: Duration,
    settings: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<(Client, bool), GitError> {
    if CryptoProvider::get_default().is_none() {
        // It fails if another thread was quicker, which is as good.
        ring::default_provider().install_default().ok();
    }
    let failed = |error: reqwest::Error| GitError::Client(error.without_url().into());
    let proxies = proxies(|name| std::env::var(name).ok()).map_err(failed)?;
    let builder = || {
        let builder = Client::builder()
            .user_agent(AGENT)
            .connect_timeout(connect)
            .no_proxy();
        settings(proxies.iter().cloned().fold(builder, ClientBuilder::proxy))
    };
    if let Ok(client) = builder().build() {
        return Ok((client, true));
    }
    builder()
        .tls_certs_only([])
        .build()
        .map(|client| (client, false))
        .map_err(failed)
}

type MakeProxy = fn(String) -> reqwest::Result<Proxy>;

/// The proxies that these variables name, each for its kind of address.
fn proxies(variable: impl Fn(&str) -> Option<String>) -> reqwest::Result<Vec<Proxy>> {
    let value = |name: &str| {
        let text = variable(name).or_else(|| variable(&name.to_ascii_lowercase()))?;
        (!text.trim().is_empty()).then(|| text.trim().to_owned())
    };
    let exceptions =
        value("NO_PROXY").map_or_else(|| LOCAL.to_owned(), |names| format!("{names},{LOCAL}"));
    let kinds: [(_, MakeProxy); 3] = [
        ("HTTPS_PROXY", Proxy::https),
        ("HTTP_PROXY", Proxy::http),
        ("ALL_PROXY", Proxy::all),
    ];
    let mut found = Vec::new();
    for (name, make) in kinds {
        match value(name) {
            Some(address) if address.starts_with("socks") => {
                tracing::warn!(
                    variable = name,
                    "SOCKS proxies are not supported; this one is not used"
                );
            }
            Some(address) => found.push(make(address)?.no_proxy(NoProxy::from_string(&exceptions))),
            None => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::fake::{Fake, reply};
    use super::*;

    fn client(variables: &[(&str, String)]) -> Client {
        http_client().unwrap();
        let variable = |name: &str| Some(variables.iter().find(|(key, _)| *key == name)?.1.clone());
        let proxies = proxies(variable).unwrap();
        proxies
            .into_iter()
            .fold(Client::builder().no_proxy(), ClientBuilder::proxy)
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn the_proxy_of_the_environment_is_used_except_for_this_machine_and_the_exceptions() {
        let proxy = Fake::start(|_| Some(reply("200 OK", "text/plain", b"proxied"))).await;
        let site = Fake::start(|_| Some(reply("200 OK", "text/plain", b"direct"))).await;
        let variables = [
            ("http_proxy", proxy.url("")),
            ("NO_PROXY", "git.plant.invalid".to_owned()),
        ];
        let client = client(&variables);
        let get = async |url: String| client.get(url).send().await?.text().await;
        assert_eq!(
            get("http://git.example.invalid/r".to_owned())
                .await
                .unwrap(),
            "proxied"
        );
        assert!(proxy.seen()[0].starts_with("GET http://git.example.invalid/r "));
        assert_eq!(get(site.url("/r")).await.unwrap(), "direct");
        assert!(get("http://git.plant.invalid/r".to_owned()).await.is_err());
    }

    #[test]
    fn no_variable_and_a_socks_proxy_mean_no_proxy() {
        assert!(proxies(|_| None).unwrap().is_empty());
        assert!(proxies(|_| Some(" ".to_owned())).unwrap().is_empty());
        assert!(
            proxies(|_| Some("socks5://h:1".to_owned()))
                .unwrap()
                .is_empty()
        );
    }
}
