//! The errors of passes, and the limits of the calls that a pass waits for.

use std::sync::Arc;
use std::time::Duration;

use kube::core::Status;
use kube::core::error_boundary::InvalidObject;

use stoker_api::detection::{ObjectKey, ParseError};
use stoker_api::messages;
use stoker_api::names::reason;

/// The longest wait for the API server, which usually answers in milliseconds.
pub(super) const API_TIMEOUT: Duration = Duration::from_secs(10);

/// An error of a pass.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// The object does not have the form of a `GatewaySync`.
    #[error("the object does not have the form of a GatewaySync")]
    InvalidObject(#[source] Box<InvalidObject>),
    /// The name or the namespace of the object is invalid.
    #[error("the name of the object is invalid")]
    Name(#[source] ParseError),
    /// `spec.git.repo` is invalid.
    #[error("spec.git.repo is invalid")]
    Repo(#[source] ParseError),
    /// The ref is invalid.
    #[error("the ref {text:?} is invalid")]
    Ref {
        /// The beginning of the ref.
        text: String,
        /// The reason.
        #[source]
        source: ParseError,
    },
    /// The commit is not published.
    #[error("{}", messages::not_published(&stoker_report::chain(.0).to_string()))]
    Unpublished(Box<Self>),
    /// The name of the ConfigMap is taken.
    #[error("{}", messages::name_taken("ConfigMap", name, whose))]
    MetadataTaken {
        /// The name of the ConfigMap.
        name: String,
        /// The owner of the ConfigMap, as the end of a sentence.
        whose: String,
    },
    /// The name of the Secret for the agents is taken.
    #[error("{}", messages::name_taken("Secret", name, whose))]
    TokenSecretTaken {
        /// The name of the Secret.
        name: String,
        /// The owner of the Secret, as the end of a sentence.
        whose: String,
    },
    /// The name of the RoleBinding of the agents is taken.
    #[error(
        "the RoleBinding {name} exists, it {whose}, and it does not bind the role of the agents; delete it, or bind the agents by hand"
    )]
    BindingTaken {
        /// The name of the RoleBinding.
        name: String,
        /// The owner of the RoleBinding, as the end of a sentence.
        whose: String,
    },
    /// The API server refused a call.
    #[error("the API server refused to {call}")]
    Refused {
        /// The call, such as "patch the status".
        call: &'static str,
        /// The answer.
        #[source]
        status: Box<Status>,
    },
    /// A call to the API server failed.
    #[error("failed to {call}")]
    Call {
        /// The call, such as "patch the status".
        call: &'static str,
        /// The cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("failed to {call}: no answer within {} s", API_TIMEOUT.as_secs())]
    CallTimeout {
        /// The call, such as "patch the status".
        call: &'static str,
    },
    /// A read that several passes share failed.
    #[error(transparent)]
    Shared(Arc<Self>),
    /// A value could not be encoded as JSON.
    #[error("failed to encode JSON")]
    Encode(#[from] serde_json::Error),
    /// The watch of the objects ended by itself.
    #[error("the watch of the objects ended")]
    WatchEnded,
}

/// A Secret that the object refers to does not exist, or may not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub(super) struct MissingSecret {
    /// The purpose of the Secret.
    pub(super) label: &'static str,
    /// Its name.
    pub(super) name: String,
    /// The answer of the API server.
    pub(super) why: String,
    /// Whether it may not be read. Then it is not known whether it exists.
    pub(super) is_forbidden: bool,
}

impl MissingSecret {
    /// Returns the key of a Secret. A name with a slash would be the path of another object.
    pub(super) fn key(label: &'static str, namespace: &str, name: &str) -> Result<ObjectKey, Self> {
        ObjectKey::new(namespace, name).map_err(|error| Self {
            label,
            name: name.to_owned(),
            why: error.to_string(),
            is_forbidden: false,
        })
    }

    /// Returns the answer to a read of a Secret. A Secret that is missing, or may not be read, is a result and not an
    /// error.
    pub(super) fn check<T>(
        label: &'static str,
        name: &str,
        answer: Result<T, ControllerError>,
    ) -> Result<Result<T, Self>, ControllerError> {
        match answer {
            Ok(found) => Ok(Ok(found)),
            Err(ControllerError::Refused { status, .. })
                if status.is_not_found() || status.is_forbidden() =>
            {
                Ok(Err(Self {
                    label,
                    name: name.to_owned(),
                    is_forbidden: status.is_forbidden(),
                    why: status.message,
                }))
            }
            Err(error) => Err(error),
        }
    }

    fn message(&self) -> String {
        let message = if self.is_forbidden {
            messages::unreadable_secret
        } else {
            messages::missing_secret
        };
        message(self.label, &self.name, &self.why)
    }
}

impl ControllerError {
    /// Returns the reason of the error for logs and events. The set of reasons is small and fixed.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Repo(_) | Self::Ref { .. } => reason::REF_RESOLUTION_FAILED,
            Self::MetadataTaken { .. } | Self::TokenSecretTaken { .. } => reason::METADATA_TAKEN,
            Self::Unpublished(error) => match **error {
                Self::MetadataTaken { .. } | Self::TokenSecretTaken { .. } => error.reason(),
                _ => reason::PUBLICATION_FAILED,
            },
            Self::BindingTaken { .. } => reason::RBAC_ERROR,
            Self::InvalidObject(_) | Self::Name(_) => reason::INVALID_OBJECT,
            Self::Refused { .. } => "ApiRefused",
            Self::Call { .. } => "ApiUnavailable",
            Self::CallTimeout { .. } => "ApiTimeout",
            Self::Encode(_) => "EncodingFailed",
            Self::WatchEnded => "WatchEnded",
            Self::Shared(error) => error.reason(),
        }
    }

    /// Returns whether only a change of the object can fix the error.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::InvalidObject(_) | Self::Name(_) | Self::Repo(_) | Self::Ref { .. }
        )
    }

    /// Returns whether another client has written the object in the meantime. The watch delivers the newer object.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_conflict() || status.is_already_exists())
    }

    /// Returns whether the object of the call does not exist any more.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_not_found())
    }

    /// Returns whether the rights of this process do not contain the call.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_forbidden())
    }

    /// Returns whether a test in a patch failed.
    pub(super) fn is_failed_test(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_invalid())
    }
}

/// Waits for a call of the API server, at most for [`API_TIMEOUT`]. The text completes "failed to …".
pub(super) async fn within<T>(
    call: &'static str,
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ControllerError> {
    match tokio::time::timeout(API_TIMEOUT, answer).await {
        Err(_) => Err(ControllerError::CallTimeout { call }),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(kube::Error::Api(status))) => Err(ControllerError::Refused { call, status }),
        Ok(Err(source)) => Err(ControllerError::Call {
            call,
            source: Box::new(source),
        }),
    }
}
