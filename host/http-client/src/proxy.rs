//! The proxies of the environment, and the hosts that are reached without one.

use std::net::IpAddr;

use ipnet::IpNet;
use reqwest::Url;

use crate::HttpClientError;

/// The addresses of this machine, which are never reached through a proxy.
const LOCAL: &str = "localhost,127.0.0.0/8,::1";

/// The addresses that a proxy is for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Https,
    Http,
    All,
}

impl Kind {
    fn includes(self, url: &Url) -> bool {
        match self {
            Self::Https => url.scheme() == "https",
            Self::Http => url.scheme() == "http",
            Self::All => true,
        }
    }
}

/// The hosts of `NO_PROXY`, and this machine. The HTTP library has a parser for them, but it does not know ports, and a
/// proxy that is chosen by a function ignores it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Exceptions(Vec<Exception>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Exception {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    All,
    Network(IpNet),
    /// A name, and all names below it, as curl and the libraries of Go and Python read it.
    Domain(String),
}

impl Exceptions {
    /// Parses a list that is separated by commas or spaces: hosts, domains (`.example.com`, `*.example.com`), addresses,
    /// networks (`10.0.0.0/8`), and `*`, each with an optional port.
    fn parse(text: &str) -> Self {
        let entries = LOCAL.split(',').chain(text.split([',', ' ', '\t']));
        let parsed = entries.filter(|entry| !entry.is_empty()).map(|entry| {
            let (host, port) = match port_of(entry) {
                Some((host, port)) => (host, Some(port)),
                None => (entry, None),
            };
            Exception {
                hosts: Hosts::parse(host.trim_matches(['[', ']'])),
                port,
            }
        });
        Self(parsed.collect())
    }

    fn include(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let host = host.strip_suffix('.').unwrap_or(host);
        self.0.iter().any(|exception| {
            let has_port =
                exception.port.is_none() || exception.port == url.port_or_known_default();
            has_port && exception.hosts.include(host)
        })
    }
}

impl Hosts {
    fn parse(text: &str) -> Self {
        if text == "*" {
            return Self::All;
        }
        if let Ok(network) = text.parse() {
            return Self::Network(network);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Self::Network(address.into());
        }
        let name = text.trim_start_matches('*').trim_matches('.');
        Self::Domain(name.to_ascii_lowercase())
    }

    /// Returns whether a host, in lower case, is one of these.
    fn include(&self, host: &str) -> bool {
        match self {
            Self::All => true,
            Self::Network(network) => host
                .parse::<IpAddr>()
                .is_ok_and(|address| network.contains(&address)),
            Self::Domain(name) => host
                .strip_suffix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        }
    }
}

/// Splits `HOST:PORT` and `[IPV6]:PORT`. An IPv6 address without brackets has no port.
fn port_of(entry: &str) -> Option<(&str, u16)> {
    let (host, port) = entry.rsplit_once(':')?;
    let is_address = host.contains(':') && !host.ends_with(']');
    let port = port.parse().ok().filter(|_| !is_address)?;
    Some((host.trim_matches(['[', ']']), port))
}

/// One proxy, and the addresses that are reached through it.
#[derive(Debug, Clone)]
pub(crate) struct Configured {
    address: Url,
    kind: Kind,
    exceptions: Exceptions,
}

impl Configured {
    /// Returns the address of the proxy if it is for an address.
    pub(crate) fn for_url(&self, url: &Url) -> Option<Url> {
        let is_used = self.kind.includes(url) && !self.exceptions.include(url);
        is_used.then(|| self.address.clone())
    }
}

/// Returns the proxy of the environment through which an address is reached, or `None` if it is reached without one. The
/// address of the proxy may contain credentials.
///
/// # Errors
///
/// Fails if a variable is not the address of a proxy.
pub fn proxy_of(url: &Url) -> Result<Option<Url>, HttpClientError> {
    let configured = proxies(|name| std::env::var(name).ok())?;
    Ok(configured.iter().find_map(|proxy| proxy.for_url(url)))
}

/// Returns the proxies of the environment variables, one for each kind of address.
pub(crate) fn proxies(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Configured>, HttpClientError> {
    let value = |name: &str| {
        let text = variable(name).or_else(|| variable(&name.to_ascii_lowercase()))?;
        (!text.trim().is_empty()).then(|| text.trim().to_owned())
    };
    let exceptions = Exceptions::parse(&value("NO_PROXY").unwrap_or_default());
    let mut found = Vec::new();
    for (name, kind) in [
        ("HTTPS_PROXY", Kind::Https),
        ("HTTP_PROXY", Kind::Http),
        ("ALL_PROXY", Kind::All),
    ] {
        match value(name) {
            Some(address) if address.starts_with("socks") => {
                tracing::warn!(
                    variable = name,
                    "SOCKS proxies are not supported; this one is not used"
                );
            }
            Some(address) => found.push(Configured {
                address: parse(name, &address)?,
                kind,
                exceptions: exceptions.clone(),
            }),
            None => {}
        }
    }
    Ok(found)
}

/// Returns the address of a proxy. One without a scheme means http.
fn parse(variable: &'static str, address: &str) -> Result<Url, HttpClientError> {
    let text = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or(HttpClientError::Proxy { variable })
}

#[cfg(test)]
mod tests {
    use reqwest::{Client, ClientBuilder, Proxy};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Starts a server that answers every request with `answer`, its target and its proxy credentials, and returns its
    /// address.
    async fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let read = stream.read(&mut request).await.unwrap();
                let head = std::str::from_utf8(&request[..read]).unwrap();
                let target = head.split(' ').nth(1).unwrap();
                let credentials = head
                    .lines()
                    .find_map(|line| line.strip_prefix("proxy-authorization: "))
                    .unwrap_or_default();
                let body = format!("{answer} {target} {credentials}");
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
                let response = format!("{head} {}\r\n\r\n{}", body.trim().len(), body.trim());
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        address.to_string()
    }

    fn client(variables: &[(&str, &str)]) -> Client {
        crate::http_client().unwrap();
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        };
        proxies(variable)
            .unwrap()
            .into_iter()
            .map(|configured| Proxy::custom(move |url| configured.for_url(url)))
            .fold(Client::builder().no_proxy(), ClientBuilder::proxy)
            .build()
            .unwrap()
    }

    async fn get(client: &Client, url: &str) -> Option<String> {
        client.get(url).send().await.ok()?.text().await.ok()
    }

    #[tokio::test]
    async fn the_proxy_of_the_environment_is_used_except_for_this_machine_and_the_exceptions() {
        let (proxy, site) = (server("proxied").await, server("direct").await);
        let exceptions = "git.plant.invalid *.star.invalid,.dot.invalid,10.0.0.0/8,h.invalid:8080,[fd00::7]:81,*.p.invalid:8080";
        for address in [
            proxy.clone(),
            format!("http://{proxy}"),
            format!(" http://{proxy}/ "),
        ] {
            let client = client(&[("http_proxy", &address), ("NO_PROXY", exceptions)]);
            for url in [
                "http://git.example.invalid/r",
                "http://h.invalid/r",
                "http://h.invalid:8081/r",
                "http://evil-star.invalid/r",
                "http://11.0.0.1/r",
                "http://[fd00::7]/r",
                "http://badp.invalid:8080/r",
            ] {
                assert_eq!(get(&client, url).await, Some(format!("proxied {url}")));
            }
            assert_eq!(
                get(&client, &format!("http://{site}/r")).await.unwrap(),
                "direct /r"
            );
            // Without a proxy, these names are not found.
            for url in [
                "http://git.plant.invalid/r",
                "http://a.star.invalid/r",
                "http://a.dot.invalid/r",
                "http://h.invalid:8080/r",
                "http://a.p.invalid:8080/r",
            ] {
                assert_eq!(get(&client, url).await, None, "{url}");
            }
        }
    }

    #[tokio::test]
    async fn the_credentials_of_a_proxy_are_sent_to_it() {
        let proxy = format!("http://me:s3cret@{}", server("proxied").await);
        let client = client(&[("ALL_PROXY", &proxy)]);
        let answer = get(&client, "http://h.invalid/r").await.unwrap();
        assert_eq!(answer, "proxied http://h.invalid/r Basic bWU6czNjcmV0");
    }

    #[test]
    fn exceptions_match_hosts_domains_networks_and_ports() {
        for (list, url, expected) in [
            ("", "http://localhost/", true),
            ("", "http://127.1.2.3:80/", true),
            ("", "http://[::1]/", true),
            ("", "http://a/", false),
            ("*", "http://a/", true),
            ("*:81", "http://a/", false),
            ("a", "http://A./", true),
            ("A", "http://b.a/", true),
            ("a", "http://ba/", false),
            (".a", "http://b.a/", true),
            ("*.a", "http://b.a/", true),
            ("b *.a", "http://c.b.a/", true),
            ("a:80", "http://a/", true),
            ("a:80", "https://a/", false),
            ("a:443", "https://a/", true),
            ("10.0.0.7", "http://10.0.0.7/", true),
            ("10.0.0.0/8", "http://10.1.2.3/", true),
            ("10.0.0.0/8", "http://11.1.2.3/", false),
            ("10.0.0.7:8080", "http://10.0.0.7:8080/", true),
            ("fd00::/8", "http://[fd00::7]/", true),
            ("fd00::7", "http://[fd00::7]/", true),
            ("[fd00::7]:81", "http://[fd00::7]:81/", true),
            ("[fd00::7]:81", "http://[fd00::7]/", false),
            (",,", "http://a/", false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(
                Exceptions::parse(list).include(&url),
                expected,
                "{list} {url}"
            );
        }
    }

    #[test]
    fn an_invalid_proxy_is_an_error_without_its_credentials() {
        for address in ["http://", "ftp://u:s3cret@h", "http://u:s3cret@:x"] {
            let error = proxies(|name| (name == "HTTPS_PROXY").then(|| address.to_owned()));
            let error = error.unwrap_err().to_string();
            assert_eq!(
                error,
                "the value of HTTPS_PROXY is not the address of a proxy"
            );
        }
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
