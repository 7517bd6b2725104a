//! The API of the Ignition gateway on this machine: designers, and scans of changed files.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use reqwest::Client;
use serde::Deserialize;
use stoker_http_client::HttpClientError;

const KEY_HEADER: HeaderName = HeaderName::from_static("x-ignition-api-token");
/// The largest list of designers, in bytes.
const ANSWER_BYTES: usize = 1 << 20;
/// The largest file with an API key, in bytes.
const KEY_BYTES: u64 = 64 << 10;
/// The waits between the tries of a scan.
const SCAN_RETRIES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(4)];

const DESIGNERS: &str = "/data/api/v1/designers";
const INFO: &str = "/data/api/v1/gateway-info";
const PAGE: &str = "/system/gwinfo";
const SCAN_PROJECTS: &str = "/data/api/v1/scan/projects";
const SCAN_CONFIGURATION: &str = "/data/api/v1/scan/config";

/// Where the gateway's API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayAddress {
    /// The port on this machine.
    pub port: u16,
    /// Whether the gateway is reached over TLS. Its certificate is not checked, because the connection does not leave the
    /// machine.
    pub tls: bool,
    /// The file with the API key. It is read before each call. Without a key, calls are made without the header.
    pub key_file: Option<PathBuf>,
}

/// The gateway did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    /// The gateway answered with another status than expected.
    #[error("HTTP {}", .0.as_u16())]
    Status(StatusCode),
    /// The gateway did not answer.
    #[error("the gateway does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// The answer has an unknown format.
    #[error("the gateway's answer is not understood")]
    Answer(#[source] serde_json::Error),
    /// The answer is too large.
    #[error("the gateway's answer has more than {ANSWER_BYTES} bytes")]
    TooLarge,
    /// The API key contains characters that no header may contain.
    #[error("the API key contains a character that is not allowed in a header")]
    Key,
}

impl GatewayError {
    /// Returns what the error says about the gateway.
    pub(crate) fn availability(&self) -> Availability {
        match self {
            Self::Status(StatusCode::SERVICE_UNAVAILABLE) | Self::Unreachable(_) | Self::Key => {
                Availability::Down
            }
            Self::Status(_) | Self::Answer(_) | Self::TooLarge => Availability::Refusing,
        }
    }

    /// Returns what is wrong with the API key, or `None` if the error has another reason.
    pub(crate) fn refused_key(&self) -> Option<String> {
        match self {
            Self::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Some(format!("the gateway refuses the API key ({self})"))
            }
            Self::Key => Some(self.to_string()),
            _ => None,
        }
    }
}

/// What is known about the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Availability {
    /// It does not answer, or says that it is not ready.
    #[default]
    Down,
    /// It has started, and does not do what the agent asks for, for example because it does not know the API key. At
    /// its first start, a gateway replaces files that contain the key.
    Refusing,
    /// It answers, and accepts the API key.
    Running,
}

/// The files that the gateway must read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Scans {
    /// The projects.
    pub(crate) projects: bool,
    /// The configuration.
    pub(crate) configuration: bool,
}

impl Scans {
    /// Both.
    pub(crate) const ALL: Self = Self {
        projects: true,
        configuration: true,
    };

    /// Returns whether nothing must be read again.
    #[must_use]
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Returns what one of both needs.
    #[must_use]
    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            projects: self.projects || other.projects,
            configuration: self.configuration || other.configuration,
        }
    }
}

/// A designer that is open on the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Designer {
    /// The user.
    pub(crate) user: String,
    /// The project.
    pub(crate) project: String,
}

/// The gateway's answer. Each item is a designer, whatever is known about it.
#[derive(Deserialize)]
struct Designers {
    #[serde(default)]
    items: Option<Vec<serde_json::Value>>,
}

impl From<Designers> for Vec<Designer> {
    fn from(designers: Designers) -> Self {
        let name = |item: &serde_json::Value, field: &str, unknown: &str| {
            let name = item.get(field).and_then(serde_json::Value::as_str);
            name.unwrap_or(unknown).to_owned()
        };
        let items = designers.items.unwrap_or_default();
        items
            .iter()
            .map(|item| Designer {
                user: name(item, "user", "unknown user"),
                project: name(item, "project", "unknown project"),
            })
            .collect()
    }
}

/// A client of the gateway's API.
#[derive(Debug, Clone)]
pub(crate) struct GatewayClient {
    http: Client,
    base: String,
    key_file: Option<PathBuf>,
    scan_retries: [Duration; 2],
}

impl GatewayClient {
    /// Returns a client. No connection is opened.
    pub(crate) fn new(address: GatewayAddress) -> Result<Self, HttpClientError> {
        let scheme = if address.tls { "https" } else { "http" };
        Ok(Self {
            http: stoker_http_client::client_of_this_machine()?,
            base: format!("{scheme}://localhost:{}", address.port),
            key_file: address.key_file,
            scan_retries: SCAN_RETRIES,
        })
    }

    /// Returns whether the gateway answers, and accepts the API key.
    ///
    /// A gateway that does not know the call is asked for its page instead.
    ///
    /// # Errors
    ///
    /// Returns why the gateway is not ready.
    pub(crate) async fn check(&self) -> Result<(), GatewayError> {
        match self.call(Method::GET, INFO).await {
            Err(GatewayError::Status(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)) => {
                self.call(Method::GET, PAGE).await.map(drop)
            }
            answer => answer.map(drop),
        }
    }

    /// Returns the designers that are open.
    pub(crate) async fn designers(&self) -> Result<Vec<Designer>, GatewayError> {
        let mut response = self.call(Method::GET, DESIGNERS).await?;
        if response.status() != StatusCode::OK {
            return Err(GatewayError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > ANSWER_BYTES {
                return Err(GatewayError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let found: Designers = serde_json::from_slice(&body).map_err(GatewayError::Answer)?;
        Ok(found.into())
    }

    /// Tells the gateway to read changed files: first the projects, then the configuration. Each call is tried three
    /// times. Returns the answers as a text, such as `projects=200 config=200`.
    ///
    /// # Errors
    ///
    /// Fails if the last try of a call fails. The configuration is not read again if the projects were not.
    pub(crate) async fn scan(&self, scans: Scans) -> Result<String, ScanError> {
        let calls = [
            (scans.projects, "projects", SCAN_PROJECTS),
            (scans.configuration, "config", SCAN_CONFIGURATION),
        ];
        let mut answers = Vec::new();
        for (_, what, path) in calls.into_iter().filter(|(is_wanted, ..)| *is_wanted) {
            let status = self
                .scan_with_retries(path)
                .await
                .map_err(|source| ScanError { what, source })?;
            answers.push(format!("{what}={}", status.as_u16()));
        }
        Ok(answers.join(" "))
    }

    async fn scan_with_retries(&self, path: &str) -> Result<StatusCode, GatewayError> {
        let mut retries = self.scan_retries.into_iter();
        loop {
            let error = match self.call(Method::POST, path).await {
                Ok(response) => return Ok(response.status()),
                Err(error) => error,
            };
            match retries.next() {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    /// Makes a call, and returns the answer if its status is one of success.
    async fn call(&self, method: Method, path: &str) -> Result<reqwest::Response, GatewayError> {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method.clone(), url);
        if method == Method::POST {
            request = request.body("");
        }
        if path != PAGE
            && let Some(key) = self.key()?
        {
            request = request.header(KEY_HEADER, key);
        }
        let response = request.send().await.map_err(unreachable)?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(GatewayError::Status(response.status()))
        }
    }

    /// Reads the API key. A file that cannot be read counts as no key: the gateway's answer then tells what is missing.
    fn key(&self) -> Result<Option<HeaderValue>, GatewayError> {
        let Some(path) = &self.key_file else {
            return Ok(None);
        };
        let text = stoker_process::read_regular_text(path, KEY_BYTES).unwrap_or_default();
        if text.trim().is_empty() {
            return Ok(None);
        }
        let mut key = HeaderValue::from_str(text.trim()).map_err(|_| GatewayError::Key)?;
        key.set_sensitive(true);
        Ok(Some(key))
    }
}

fn unreachable(error: reqwest::Error) -> GatewayError {
    GatewayError::Unreachable(error.without_url())
}

/// A scan failed three times. The text is that of the Go agent.
#[derive(Debug, thiserror::Error)]
#[error("scan/{what}: after 3 retries")]
pub(crate) struct ScanError {
    what: &'static str,
    source: GatewayError,
}

#[cfg(test)]
mod tests;
