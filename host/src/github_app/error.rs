//! The errors of exchanges.

use std::time::Duration;

use stoker_http_client::HttpClientError;

/// The reason why there is no installation token. No message contains the key or a token.
#[derive(Debug, thiserror::Error)]
pub enum GitHubAppError {
    /// The HTTP client cannot be set up.
    #[error("the GitHub App cannot be used")]
    Client(#[source] HttpClientError),
    /// `apiBaseURL` is not the address of an API.
    #[error("the GitHub App's apiBaseURL is invalid: {why}")]
    ApiUrl {
        /// The reason.
        why: &'static str,
    },
    /// The private key cannot be used.
    #[error("the GitHub App's private key is unusable: {why}")]
    Key {
        /// The reason.
        why: String,
    },
    /// GitHub cannot be reached, or does not answer.
    #[error("cannot get a token for the GitHub App from {api_url}")]
    Unreachable {
        /// The address of the API.
        api_url: String,
        /// The cause, without the address.
        #[source]
        source: reqwest::Error,
    },
    /// GitHub does not accept the signature.
    #[error(
        "GitHub does not accept the key of the GitHub App {app_id} (HTTP 401: {message}); the key belongs to another app or was revoked, or the clock of this machine is wrong"
    )]
    Unauthorized {
        /// The id of the app.
        app_id: i64,
        /// The message of GitHub.
        message: String,
    },
    /// There is no such installation.
    #[error(
        "the GitHub App {app_id} has no installation {installation_id} (HTTP 404: {message}); check installationId, apiBaseURL, and that the app is still installed"
    )]
    NoInstallation {
        /// The id of the app.
        app_id: i64,
        /// The id of the installation.
        installation_id: i64,
        /// The message of GitHub.
        message: String,
    },
    /// GitHub refuses with another status.
    #[error("GitHub issues no token for the GitHub App {app_id} (HTTP {status}: {message})")]
    Refused {
        /// The id of the app.
        app_id: i64,
        /// The status of the answer.
        status: u16,
        /// The message of GitHub.
        message: String,
        /// How long GitHub asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is not that of GitHub's API.
    #[error("the answer to the request for a GitHub App token is not one of GitHub's API: {why}")]
    Malformed {
        /// The reason.
        why: String,
    },
}
