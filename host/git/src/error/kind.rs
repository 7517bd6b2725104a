//! What the errors mean for those who handle them.

use std::time::Duration;

use super::{GitError, SentCredentials};
use crate::remote::{Credentials, Remote};

impl GitError {
    /// Returns one word for the kind of error, suitable as the label of a metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::ForbiddenPath => "ForbiddenPath",
            Self::Client(_) => "Client",
            Self::NoCertificates => "NoCertificates",
            Self::HostNotAllowed { .. } => "HostNotAllowed",
            Self::AddressForbidden { .. } => "AddressForbidden",
            Self::Unreachable { .. } => "Unreachable",
            Self::Tls { .. } => "Tls",
            Self::ConnectTimeout { .. } => "ConnectTimeout",
            Self::Interrupted(_) => "Interrupted",
            Self::Timeout { .. } => "Timeout",
            Self::FetchTimeout { .. } => "FetchTimeout",
            Self::NoProgress { .. } => "NoProgress",
            Self::TooLarge { .. } => "TooLarge",
            Self::Truncated => "Truncated",
            Self::Malformed { .. } => "Malformed",
            Self::CredentialsMismatch { .. } => "CredentialsMismatch",
            Self::Token { .. } => "Token",
            Self::AccessDenied { .. } => "AccessDenied",
            Self::AuthenticationScheme { .. } => "AuthenticationScheme",
            Self::RepositoryNotFound { .. } => "RepositoryNotFound",
            Self::Status { .. } => "Status",
            Self::SshKey { .. } => "SshKey",
            Self::KnownHosts { .. } => "KnownHosts",
            Self::HostUnknown { .. } => "HostUnknown",
            Self::HostKeyUnknown { .. } => "HostKeyUnknown",
            Self::HostKeyRevoked { .. } => "HostKeyRevoked",
            Self::HostKeyChanged { .. } => "HostKeyChanged",
            Self::HostKeyUnsupported { .. } => "HostKeyUnsupported",
            Self::SshAlgorithms { .. } => "SshAlgorithms",
            Self::SshRefused { .. } => "SshRefused",
            Self::DumbProtocol { .. } => "DumbProtocol",
            Self::NotGit { .. } => "NotGit",
            Self::Redirect { .. } => "Redirect",
            Self::Remote { .. } => "Remote",
            Self::RefNotFound { .. } => "RefNotFound",
            Self::CommitNotFound { .. } => "CommitNotFound",
            Self::NotACommit { .. } => "NotACommit",
            Self::RefNotACommit { .. } => "RefNotACommit",
            Self::CommitUnverifiable { .. } => "CommitUnverifiable",
            Self::CommitMoved { .. } => "CommitMoved",
            Self::Incomplete { .. } => "Incomplete",
            Self::Pack(_) => "Pack",
            Self::TooManyObjects { .. } => "TooManyObjects",
            Self::ObjectTooLarge { .. } => "ObjectTooLarge",
            Self::Store(_) => "Store",
        }
    }

    /// Returns the time that the server asks to wait before the next request, or `None` if it names none. It is at most
    /// an hour.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Returns whether the error is about the ref and was reported by a working server.
    pub(crate) fn is_about_the_ref(&self) -> bool {
        matches!(
            self,
            Self::RefNotFound { .. }
                | Self::CommitNotFound { .. }
                | Self::NotACommit { .. }
                | Self::RefNotACommit { .. }
                | Self::CommitUnverifiable { .. }
        )
    }

    /// Converts the message of a server without HTTP statuses about a missing repository. `git daemon` and the servers of
    /// ssh report it as text.
    pub(crate) fn about(self, remote: &Remote) -> Self {
        const MISSING: [&str; 5] = [
            "repository not exported",
            "repository not found",
            "does not appear to be a git repository",
            "could not be found",
            "does not exist",
        ];
        match self {
            Self::Remote { message }
                if MISSING
                    .iter()
                    .any(|words| message.to_ascii_lowercase().contains(words)) =>
            {
                Self::RepositoryNotFound {
                    url: remote.url().to_string(),
                    credentials: match remote.credentials() {
                        Credentials::Anonymous => SentCredentials::None,
                        _ => SentCredentials::Sent,
                    },
                }
            }
            error => error,
        }
    }

    /// Returns whether the server does not know the user that it got.
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(
            self,
            Self::AccessDenied { status: 401, .. } | Self::AuthenticationScheme { .. }
        )
    }

    /// Returns whether the server answered that those who asked may not read the repository, or that there is none.
    pub(crate) fn is_denied(&self) -> bool {
        self.is_unauthorized()
            || matches!(
                self,
                Self::AccessDenied { .. } | Self::RepositoryNotFound { .. }
            )
    }

    pub(crate) fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed { why: why.into() }
    }
}
