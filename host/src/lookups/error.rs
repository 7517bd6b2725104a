//! The errors of lookups, which all who share a lookup get.

use std::sync::Arc;
use std::time::Duration;

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
    #[error("{host} is not asked again for {seconds} s, after an error")]
    Waiting {
        /// The host.
        host: Arc<str>,
        /// The rest of the wait.
        seconds: u64,
        /// The error.
        #[source]
        source: Box<Self>,
    },
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
    pub fn refused_for(&self) -> Option<Duration> {
        match self {
            // The rest of the last second belongs to the wait.
            Self::Waiting { seconds, .. } => Some(Duration::from_secs(seconds.saturating_add(1))),
            Self::Git(_) | Self::Timeout | Self::Aborted => None,
        }
    }

    /// Returns whether the repository was read, and has no such ref.
    #[must_use]
    pub fn is_missing_ref(&self) -> bool {
        matches!(self, Self::Git(error) if matches!(**error, GitError::RefNotFound { .. }))
    }
}
