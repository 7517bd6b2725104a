//! The answers of the receiver: their statuses, headers and JSON bodies.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stoker_report::escape;

use crate::plugin::{Declined, Plugin};

pub(super) use crate::reason::Reason;

/// The default time after which a sender may try again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An answer to a webhook.
#[derive(Debug)]
pub(super) struct Answer {
    reason: Reason,
    /// A text for people.
    message: String,
    git_ref: Option<String>,
    plugin: Option<Arc<Plugin>>,
    declined: Vec<Declined>,
    /// Whether the connection is closed.
    closes: bool,
    retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Body<'a> {
    accepted: bool,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#ref: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    message: &'a str,
    /// The message of a refusal. Earlier versions had no `message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// The message of a delivery that is ignored. Earlier versions had no `message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    plugins: Vec<DeclinedBy<'a>>,
}

#[derive(Serialize)]
struct DeclinedBy<'a> {
    plugin: &'a str,
    reason: &'a str,
}

impl Answer {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: escape(&message.into()),
            git_ref: None,
            plugin: None,
            declined: Vec::new(),
            // Only connections of authenticated senders stay open. After the other answers, the rest of the body is not
            // read, so the connection cannot be reused.
            closes: matches!(
                reason.status(),
                StatusCode::UNAUTHORIZED
                    | StatusCode::PAYLOAD_TOO_LARGE
                    | StatusCode::REQUEST_TIMEOUT
            ),
            retry_after: None,
        }
    }

    /// The ref is requested, by this delivery or an earlier one.
    pub(super) fn accepted(
        git_ref: String,
        plugin: Arc<Plugin>,
        reason: Reason,
        message: &'static str,
    ) -> Self {
        Self {
            git_ref: Some(git_ref),
            plugin: Some(plugin),
            ..Self::new(reason, message)
        }
    }

    /// A plugin recognised the delivery, and there is nothing to do.
    pub(super) fn ignored(plugin: Arc<Plugin>, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            plugin: Some(plugin),
            ..Self::new(reason, message)
        }
    }

    /// The request is invalid, or Stoker failed and a repeated delivery would fail too.
    pub(super) fn refused(reason: Reason, error: impl Into<String>) -> Self {
        Self::new(reason, error)
    }

    /// No plugin recognised the format.
    pub(super) fn unrecognised(declined: Vec<Declined>) -> Self {
        // The first words are those of the Go operator.
        let error = "no ref found in payload: no plugin recognises it";
        Self {
            declined,
            ..Self::refused(Reason::Unrecognised, error)
        }
    }

    /// The same delivery may succeed later.
    pub(super) fn unavailable(
        reason: Reason,
        error: impl Into<String>,
        again_in: Option<Duration>,
    ) -> Self {
        Self::again_in(reason, error, again_in.unwrap_or(RETRY_AFTER))
    }

    /// The same delivery may succeed after a while.
    pub(super) fn again_in(reason: Reason, error: impl Into<String>, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..Self::refused(reason, error)
        }
    }

    /// Names the plugin that recognised the delivery.
    pub(super) fn by(mut self, plugin: Arc<Plugin>) -> Self {
        self.plugin = Some(plugin);
        self
    }

    /// Closes the connection after the answer.
    pub(super) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Returns whether the answer has this reason.
    pub(super) fn is(&self, reason: Reason) -> bool {
        self.reason == reason
    }

    /// Returns the value of `Retry-After` in whole seconds, rounded up (RFC 9110 §10.2.3).
    fn retry_after(&self) -> Option<HeaderValue> {
        let wait = self.retry_after?;
        let begun = u64::from(wait.subsec_nanos() > 0);
        Some((wait.as_secs() + begun).max(1).into())
    }

    pub(super) fn status(&self) -> StatusCode {
        self.reason.status()
    }

    /// Returns the code of the reason.
    pub(super) fn code(&self) -> &'static str {
        self.reason.code()
    }

    /// Returns the kind of the answer, for logs.
    pub(super) fn outcome(&self) -> &'static str {
        match self.status() {
            StatusCode::ACCEPTED => "accepted",
            StatusCode::OK => "ignored",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            StatusCode::INTERNAL_SERVER_ERROR => "failed",
            _ if self.is(Reason::Unrecognised) => "unrecognised",
            _ => "refused",
        }
    }

    /// Returns the plugin that recognised the delivery.
    pub(super) fn plugin(&self) -> Option<&Plugin> {
        self.plugin.as_deref()
    }

    /// Returns the ref that is requested.
    pub(super) fn git_ref(&self) -> Option<&str> {
        self.git_ref.as_deref()
    }

    /// Returns the text of the answer, for logs.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    fn body(&self) -> Body<'_> {
        let message = self.message.as_str();
        let status = self.status();
        let is_error = status.is_client_error() || status.is_server_error();
        let declined = self.declined.iter().map(|one| DeclinedBy {
            plugin: &one.plugin,
            reason: &one.reason,
        });
        let plugin = self.plugin.as_ref();
        Body {
            accepted: status == StatusCode::ACCEPTED,
            reason: self.code(),
            r#ref: self.git_ref.as_deref(),
            plugin: plugin.map(|plugin| plugin.descriptor().name.as_str()),
            message,
            error: is_error.then_some(message),
            ignored: (status == StatusCode::OK).then_some(message),
            duplicate: self.is(Reason::Duplicate),
            plugins: declined.collect(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut body = serde_json::to_string(&self.body()).unwrap_or_default();
        // As with the Go operator, so that a terminal shows its prompt on a line of its own.
        body.push('\n');
        let json = (header::CONTENT_TYPE, "application/json");
        let mut response = (self.status(), [json], body).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            drop(headers.insert(header::RETRY_AFTER, seconds));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            // RFC 9110 §15.5.2 requires a challenge in every 401. Amazon SNS sends the password of a URL only after a
            // challenge for basic authentication.
            for challenge in ["Bearer", "Basic realm=\"stoker\""] {
                let challenge = HeaderValue::from_static(challenge);
                headers.append(header::WWW_AUTHENTICATE, challenge);
            }
        }
        if self.closes {
            drop(headers.insert(header::CONNECTION, HeaderValue::from_static("close")));
        }
        response
    }
}
