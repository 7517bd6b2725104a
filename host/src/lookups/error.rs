//! The errors of lookups, which all who share a lookup get.

use std::sync::Arc;
use std::time::Duration;

use stoker_api::names::annotation::ACCEPTED_HOST_KEY;
use stoker_git::GitError;

use super::LONGEST;

/// The reason why a ref has no commit.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LookupError {
    /// The repository cannot be read, or has no such ref.
    #[error(transparent)]
    Git(Arc<GitError>),
    /// The lookup took too long.
    #[error("the lookup of the ref did not end within {} s", LONGEST.as_secs())]
    Timeout,
    /// The lookup ended without a result, because of a defect.
    #[error("the lookup of the ref was aborted")]
    Aborted,
    /// The host did not work a moment ago, or asked to wait. It was not asked.
    ///
    /// The text is the same for the whole wait, because it is part of statuses.
    #[error("{host} is not asked for {} s after an error", wait.whole.as_secs())]
    Waiting {
        /// The host.
        host: Box<str>,
        /// The time for which it is not asked.
        wait: HostWait,
        /// The error.
        #[source]
        source: Box<Self>,
    },
}

/// The time for which a host is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostWait {
    /// The whole wait.
    pub whole: Duration,
    /// The rest of it.
    pub left: Duration,
}

impl From<GitError> for LookupError {
    fn from(error: GitError) -> Self {
        Self::Git(Arc::new(error))
    }
}

/// The part of a server that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The host cannot be reached. This concerns all of its repositories.
    Unreachable,
    /// The host did not answer, or with an error of its own. This may concern one repository only.
    Silent,
    /// The repository, the ref or the credentials.
    Repository,
}

impl LookupError {
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Timeout => Fault::Silent,
            Self::Git(error) => match &**error {
                GitError::Unreachable { .. } | GitError::ConnectTimeout { .. } => {
                    Fault::Unreachable
                }
                GitError::Timeout { .. } | GitError::Interrupted(_) => Fault::Silent,
                GitError::Status { status, .. } if *status == 429 || *status >= 500 => {
                    Fault::Silent
                }
                // Among them is the failure of TLS: what is trusted belongs to the object.
                _ => Fault::Repository,
            },
            Self::Aborted | Self::Waiting { .. } => Fault::Repository,
        }
    }

    /// Returns how long the host asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Git(error) => error.retry_after(),
            Self::Timeout | Self::Aborted | Self::Waiting { .. } => None,
        }
    }

    /// Returns for how long the host is not asked, if it was not.
    #[must_use]
    pub fn refused_for(&self) -> Option<HostWait> {
        match self {
            Self::Waiting { wait, .. } => Some(*wait),
            Self::Git(_) | Self::Timeout | Self::Aborted => None,
        }
    }

    /// Returns the error and its causes as text, with what to do on an object.
    #[must_use]
    pub fn message(&self) -> String {
        let text = stoker_report::chain(self).to_string();
        match self {
            Self::Git(error) if matches!(**error, GitError::HostKeyChanged { .. }) => {
                format!("{text}, by the annotation {ACCEPTED_HOST_KEY} with its fingerprint")
            }
            _ => text,
        }
    }

    /// Returns whether the repository was read, and has no such ref.
    #[must_use]
    pub fn is_missing_ref(&self) -> bool {
        matches!(self, Self::Git(error) if matches!(**error, GitError::RefNotFound { .. }))
    }
}
