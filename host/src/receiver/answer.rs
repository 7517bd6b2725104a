//! The answers of the receiver: their statuses, headers and JSON bodies.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::plugin::{Declined, Plugin};

/// The default time after which a sender may try again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An answer to a webhook.
#[derive(Debug)]
pub(super) enum Answer {
    /// The ref is requested, by this delivery or an earlier one.
    Accepted {
        git_ref: String,
        plugin: Arc<Plugin>,
        message: &'static str,
    },
    /// A plugin recognised the delivery, and there is nothing to do.
    Ignored { plugin: Arc<Plugin>, reason: String },
    /// The request is invalid.
    Refused { status: StatusCode, error: String },
    /// No plugin recognised the format.
    Unrecognised { declined: Vec<Declined> },
    /// The same delivery may succeed later.
    Unavailable {
        error: String,
        retry_after: Duration,
    },
    /// Stoker failed, and a repeated delivery would fail too.
    Failed { error: String },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Accepted {
        accepted: bool,
        r#ref: &'a str,
        plugin: &'a str,
        message: &'a str,
    },
    Ignored {
        accepted: bool,
        ignored: &'a str,
        plugin: &'a str,
    },
    Refused {
        accepted: bool,
        error: &'a str,
    },
    Unrecognised {
        accepted: bool,
        error: &'a str,
        plugins: Vec<DeclinedBy<'a>>,
    },
}

#[derive(Serialize)]
struct DeclinedBy<'a> {
    plugin: &'a str,
    reason: &'a str,
}

impl Answer {
    pub(super) fn refused(status: StatusCode, error: impl Into<String>) -> Self {
        Self::Refused {
            status,
            error: error.into(),
        }
    }

    pub(super) fn unavailable(error: impl Into<String>, again_in: Option<Duration>) -> Self {
        Self::Unavailable {
            error: error.into(),
            retry_after: again_in.unwrap_or(RETRY_AFTER),
        }
    }

    /// Returns the value of `Retry-After` in whole seconds, rounded up (RFC 9110 §10.2.3).
    fn retry_after(&self) -> Option<HeaderValue> {
        match self {
            Self::Unavailable { retry_after, .. } => {
                let begun = u64::from(retry_after.subsec_nanos() > 0);
                Some((retry_after.as_secs() + begun).max(1).into())
            }
            _ => None,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Accepted { .. } => StatusCode::ACCEPTED,
            Self::Ignored { .. } => StatusCode::OK,
            Self::Refused { status, .. } => *status,
            Self::Unrecognised { .. } => StatusCode::BAD_REQUEST,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the kind of the answer, for logs.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Ignored { .. } => "ignored",
            Self::Refused { .. } => "refused",
            Self::Unrecognised { .. } => "unrecognised",
            Self::Unavailable { .. } => "unavailable",
            Self::Failed { .. } => "failed",
        }
    }

    /// Returns the plugin that recognised the delivery.
    pub(super) fn plugin(&self) -> Option<&Plugin> {
        match self {
            Self::Accepted { plugin, .. } | Self::Ignored { plugin, .. } => Some(plugin),
            _ => None,
        }
    }

    /// Returns the text of the answer, for logs.
    pub(super) fn detail(&self) -> &str {
        match self {
            Self::Accepted { message, .. } => message,
            Self::Ignored { reason, .. } => reason,
            Self::Refused { error, .. }
            | Self::Unavailable { error, .. }
            | Self::Failed { error } => error,
            Self::Unrecognised { .. } => UNRECOGNISED,
        }
    }

    fn body(&self) -> Body<'_> {
        match self {
            Self::Accepted {
                git_ref,
                plugin,
                message,
            } => Body::Accepted {
                accepted: true,
                r#ref: git_ref,
                plugin: &plugin.descriptor().name,
                message,
            },
            Self::Ignored { plugin, reason } => Body::Ignored {
                accepted: false,
                ignored: reason,
                plugin: &plugin.descriptor().name,
            },
            Self::Refused { error, .. }
            | Self::Unavailable { error, .. }
            | Self::Failed { error } => Body::Refused {
                accepted: false,
                error,
            },
            Self::Unrecognised { declined } => {
                let plugins = declined.iter().map(|one| DeclinedBy {
                    plugin: &one.plugin,
                    reason: &one.reason,
                });
                Body::Unrecognised {
                    accepted: false,
                    error: UNRECOGNISED,
                    plugins: plugins.collect(),
                }
            }
        }
    }
}

const UNRECOGNISED: &str = "no plugin recognises this payload";

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            drop(headers.insert(header::RETRY_AFTER, seconds));
        }
        match self.status() {
            // RFC 9110 §15.5.2 requires a challenge in every 401. Amazon SNS sends the password of a URL only after a
            // challenge for basic authentication.
            StatusCode::UNAUTHORIZED => {
                for challenge in ["Bearer", "Basic realm=\"stoker\""] {
                    let challenge = HeaderValue::from_static(challenge);
                    headers.append(header::WWW_AUTHENTICATE, challenge);
                }
                // Only connections of authenticated senders stay open.
                drop(headers.insert(header::CONNECTION, HeaderValue::from_static("close")));
            }
            // The rest of the body is not read, so the connection cannot be reused.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                drop(headers.insert(header::CONNECTION, HeaderValue::from_static("close")));
            }
            _ => {}
        }
        response
    }
}
