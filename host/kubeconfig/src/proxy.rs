//! The proxy to the API server of a kubeconfig.
//!
//! The client library compares `NO_PROXY` with the host of the proxy instead of the API server's, and does not know the
//! loopback addresses. So the proxy of the environment is chosen by the rules of all other connections.

use http::Uri;
use kube::Config;
use reqwest::Url;
use stoker_http_client::{HttpClientError, proxy_of};

/// A proxy cannot be used for the API server. The texts have no credentials.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// A variable is not the address of a proxy.
    #[error(transparent)]
    Environment(#[from] HttpClientError),
    /// The proxy of the kubeconfig has another protocol than HTTP.
    #[error(
        "the kubeconfig has a proxy of the scheme {scheme:?}; only http and https are supported"
    )]
    Scheme {
        /// The scheme.
        scheme: String,
    },
}

/// Returns the configuration of a kubeconfig with its proxy: that of the file, or that of the environment.
///
/// # Errors
///
/// Fails if the proxy cannot be used.
pub(crate) fn with_proxy(config: Config) -> Result<Config, ProxyError> {
    let variables = ["HTTPS_PROXY", "https_proxy"].map(|name| std::env::var(name).ok());
    choose(config, &variables, proxy_of)
}

fn choose(
    mut config: Config,
    variables: &[Option<String>],
    proxy_of: impl Fn(&Url) -> Result<Option<Url>, HttpClientError>,
) -> Result<Config, ProxyError> {
    // The library has already read the variables.
    let is_of_file = config.proxy_url.as_ref().is_some_and(|proxy| {
        let mut read = variables.iter().flatten();
        !read.any(|text| text.parse::<Uri>().is_ok_and(|uri| uri == *proxy))
    });
    if !is_of_file {
        let server = Url::parse(&config.cluster_url.to_string()).ok();
        let proxy = server.map_or(Ok(None), |server| proxy_of(&server))?;
        config.proxy_url = proxy.and_then(|proxy| proxy.as_str().parse().ok());
    }
    let scheme = config.proxy_url.as_ref().map(|proxy| proxy.scheme_str());
    match scheme {
        None | Some(Some("http" | "https")) => Ok(config),
        Some(scheme) => Err(ProxyError::Scheme {
            scheme: scheme.unwrap_or_default().to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "http://bob:pr0xyPASS@proxy.invalid:3128";

    /// Chooses the proxy for a server, where the library has read one, and the rules of the environment have another.
    fn chosen(
        server: &str,
        read: Option<&str>,
        ruled: Option<&str>,
    ) -> Result<Option<String>, ProxyError> {
        let mut config = Config::new(server.parse().unwrap());
        config.proxy_url = read.map(|proxy| proxy.parse().unwrap());
        let variables = [Some(PROXY.to_owned()), None];
        let of_environment = |_: &Url| Ok(ruled.map(|proxy| Url::parse(proxy).unwrap()));
        let config = choose(config, &variables, of_environment)?;
        Ok(config.proxy_url.map(|proxy| proxy.to_string()))
    }

    #[tokio::test]
    async fn the_rules_of_all_connections_decide_about_the_proxy_of_the_environment() {
        let server = "https://127.0.0.1:6443";
        // `NO_PROXY`, or an address of this machine.
        assert_eq!(chosen(server, Some(PROXY), None).unwrap(), None);
        // The library has compared `NO_PROXY` with the proxy.
        let proxy = chosen(server, None, Some(PROXY)).unwrap();
        assert_eq!(proxy, Some(format!("{PROXY}/")));
        let without_scheme = chosen(server, Some("proxy.invalid:3128"), None);
        assert!(without_scheme.is_err());
    }

    #[tokio::test]
    async fn the_proxy_of_the_file_is_used_and_an_error_shows_no_credentials() {
        let server = "https://k8s.invalid:6443";
        let other = "http://bob:pr0xyPASS@other.invalid:3128/";
        let chosen_proxy = chosen(server, Some(other), None).unwrap();
        assert_eq!(chosen_proxy.as_deref(), Some(other));
        let error = chosen(server, Some("socks5://bob:pr0xyPASS@other.invalid"), None);
        let text = format!("{:?} {0}", error.unwrap_err());
        assert!(
            text.contains("socks5") && !text.contains("pr0xyPASS"),
            "{text}"
        );
    }
}
