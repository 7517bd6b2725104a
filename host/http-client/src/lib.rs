//! The HTTP client, with the CA certificates of the machine, the proxies of the environment, and time limits.
//!
//! The proxies of `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` are used, except for the hosts in `NO_PROXY` and for
//! this machine.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy};
use rustls::crypto::{CryptoProvider, ring};

/// The `User-Agent` of requests that are not sent to a git server.
const USER_AGENT: &str = concat!("stoker/", env!("CARGO_PKG_VERSION"));
/// The addresses of this machine, which are never reached through a proxy.
const LOCAL: &str = "localhost,127.0.0.0/8,::1";
/// The time limit of a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit of a request, from the connection to the last byte of the answer.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// The HTTP client could not be set up: a proxy variable is not an address, or TLS could not be initialised.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client")]
pub struct HttpClientError(#[source] reqwest::Error);

/// Returns a client for the requests of the command line.
///
/// It does not follow redirects, because a request may be signed for one receiver.
pub fn http_client() -> Result<Client, HttpClientError> {
    let settings = |builder: ClientBuilder| {
        builder
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
    };
    build(settings).map(|built| built.client)
}

/// A client, and whether it supports https.
#[derive(Debug)]
pub struct BuiltClient {
    /// The client.
    pub client: Client,
    /// Whether the machine has CA certificates. Without them, as in a minimal container image, only http works.
    pub has_certificates: bool,
}

/// Builds a client with the proxies and certificates of the machine, and the given settings.
///
/// Installs `ring` as the default cryptography provider of TLS if the process has none.
pub fn build(
    settings: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<BuiltClient, HttpClientError> {
    if CryptoProvider::get_default().is_none() {
        // An error means that another thread has installed one.
        ring::default_provider().install_default().ok();
    }
    let failed = |error: reqwest::Error| HttpClientError(error.without_url());
    let proxies = proxies(|name| std::env::var(name).ok()).map_err(failed)?;
    let builder = || {
        let builder = proxies
            .iter()
            .cloned()
            .fold(Client::builder().no_proxy(), ClientBuilder::proxy);
        settings(builder)
    };
    if let Ok(client) = builder().build() {
        return Ok(BuiltClient {
            client,
            has_certificates: true,
        });
    }
    let client = builder().tls_certs_only([]).build().map_err(failed)?;
    Ok(BuiltClient {
        client,
        has_certificates: false,
    })
}

type MakeProxy = fn(String) -> reqwest::Result<Proxy>;

/// Returns the proxies of the environment variables, one for each kind of address.
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Starts a server that answers every request with `answer`, and returns its address.
    async fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let read = stream.read(&mut request).await.unwrap();
                let target = std::str::from_utf8(&request[..read])
                    .unwrap()
                    .split(' ')
                    .nth(1)
                    .unwrap()
                    .to_owned();
                let body = format!("{answer} {target}");
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
                let response = format!("{head} {}\r\n\r\n{body}", body.len());
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        format!("http://{address}")
    }

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
        let proxy = server("proxied").await;
        let site = server("direct").await;
        let variables = [
            ("http_proxy", proxy),
            ("NO_PROXY", "git.plant.invalid".to_owned()),
        ];
        let client = client(&variables);
        let get = async |url: String| client.get(url).send().await?.text().await;
        assert_eq!(
            get("http://git.example.invalid/r".to_owned())
                .await
                .unwrap(),
            "proxied http://git.example.invalid/r"
        );
        assert_eq!(get(format!("{site}/r")).await.unwrap(), "direct /r");
        assert!(get("http://git.plant.invalid/r".to_owned()).await.is_err());
    }

    #[test]
    fn without_a_variable_and_with_a_socks_proxy_no_proxy_is_used() {
        assert!(proxies(|_| None).unwrap().is_empty());
        assert!(proxies(|_| Some(" ".to_owned())).unwrap().is_empty());
        assert!(
            proxies(|_| Some("socks5://h:1".to_owned()))
                .unwrap()
                .is_empty()
        );
    }
}
