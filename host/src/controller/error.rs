use std::time::Duration;

use kube::core::Status;
use kube::core::error_boundary::InvalidObject;

use crate::api::names::reason;
use crate::detection::ParseError;
use crate::git::GitError;

/// The API server answers in milliseconds; a call that lasts this long is lost.
pub(super) const API_TIMEOUT: Duration = Duration::from_secs(10);
/// The git client has limits of its own; this one keeps a defect there from holding a place among the passes for ever.
pub(super) const GIT_TIMEOUT: Duration = Duration::from_secs(90);

/// Everything that can go wrong in a pass.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// The object does not have the form of a `GatewaySync`.
    #[error("the object does not have the form of a GatewaySync")]
    InvalidObject(#[source] Box<InvalidObject>),
    /// The object's name or namespace is not one.
    #[error("the object has no usable name")]
    Name(#[source] ParseError),
    /// `spec.git.repo` is not the address of a repository.
    #[error("spec.git.repo cannot be used")]
    Repo(#[source] ParseError),
    /// The ref in use is not one.
    #[error("the ref {text:?} cannot be used")]
    Ref {
        /// The ref, as it was written.
        text: String,
        /// Why not.
        #[source]
        source: ParseError,
    },
    /// The repository did not give the commit of the ref.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The git client did not come back.
    #[error("no answer about the repository within {} s", GIT_TIMEOUT.as_secs())]
    GitTimeout,
    /// A Secret that the object names is not there.
    #[error("{label} secret {name:?} not found: {why}")]
    SecretMissing {
        /// What the Secret is for.
        label: &'static str,
        /// Its name.
        name: String,
        /// What the API server said.
        why: String,
    },
    /// The ConfigMap's name is taken by something else.
    #[error("the ConfigMap {name} belongs to {owner}")]
    MetadataTaken {
        /// The name of the ConfigMap.
        name: String,
        /// Kind and name of its owner.
        owner: String,
    },
    /// The API server refused a call.
    #[error("the API server refused to {call}")]
    Refused {
        /// What was to be done.
        call: &'static str,
        /// What it said.
        #[source]
        status: Box<Status>,
    },
    /// A call to the API server failed.
    #[error("failed to {call}")]
    Call {
        /// What was to be done.
        call: &'static str,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("failed to {call}: no answer within {} s", API_TIMEOUT.as_secs())]
    CallTimeout {
        /// What was to be done.
        call: &'static str,
    },
    /// Something could not be written as JSON.
    #[error("failed to write JSON")]
    Encode(#[from] serde_json::Error),
    /// The watch of the objects came to an end on its own.
    #[error("the watch of the objects ended")]
    WatchEnded,
}

impl ControllerError {
    /// The reason that conditions and events give for it: one of a small, fixed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Repo(_) | Self::Ref { .. } | Self::Git(_) | Self::GitTimeout => {
                reason::REF_RESOLUTION_FAILED
            }
            Self::InvalidObject(_)
            | Self::Name(_)
            | Self::SecretMissing { .. }
            | Self::MetadataTaken { .. }
            | Self::Refused { .. }
            | Self::Call { .. }
            | Self::CallTimeout { .. }
            | Self::Encode(_)
            | Self::WatchEnded => reason::RECONCILING,
        }
    }

    /// Whether only a change of the object can help.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::InvalidObject(_) | Self::Name(_) | Self::Repo(_) | Self::Ref { .. }
        )
    }

    /// Whether somebody else wrote first. The newer object is on its way here.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_conflict() || status.is_already_exists())
    }

    /// Whether what was to be changed is gone.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_not_found())
    }

    /// Whether a patch's own conditions did not hold.
    pub(super) fn is_failed_test(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_invalid())
    }
}

/// Waits for an API call, but not for ever. The text completes "failed to …".
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
