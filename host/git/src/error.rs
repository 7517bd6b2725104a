//! The errors of lookups.

use std::time::Duration;

use stoker_api::detection::{CommitId, GitRef};
use stoker_report::is_unprintable;

use super::candidates::missing;

/// The cause of an error.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The reason why a ref could not be resolved to a commit.
///
/// No message contains credentials. Text from a server is shortened, and its control characters are replaced.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The transport is not supported yet.
    #[error("{scheme} is not supported yet; use the https:// address of the repository")]
    UnsupportedTransport {
        /// The transport.
        scheme: String,
    },
    /// The path cannot be sent by the `git:` transport.
    #[error("the path of the repository contains control characters")]
    ForbiddenPath,
    /// The HTTP client cannot be created.
    #[error("cannot set up the HTTP client")]
    Client(#[source] Cause),
    /// This machine has no CA certificates.
    #[error(
        "https cannot be used: this machine has no usable CA certificates; install them, or set SSL_CERT_FILE to a file of all of them, or SSL_CERT_DIR to folders of them"
    )]
    NoCertificates,
    /// The connection failed.
    #[error("cannot connect to {host}")]
    Unreachable {
        /// The server, with its port.
        host: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// The connection was not established in time.
    #[error("cannot connect to {host} within {limit:?}")]
    ConnectTimeout {
        /// The server, with its port.
        host: String,
        /// The limit.
        limit: Duration,
    },
    /// The connection was interrupted.
    #[error("the connection to the git server was interrupted")]
    Interrupted(#[source] Cause),
    /// The lookup took too long.
    #[error("the git server did not answer within {limit:?}")]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// The answers are too large.
    #[error("the git server's answer is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The answer is incomplete.
    #[error("the git server's answer ends too early")]
    Truncated,
    /// The answer does not follow git's protocol.
    #[error("the git server's answer is malformed: {why}")]
    Malformed {
        /// The reason.
        why: String,
    },
    /// The server requires credentials, or rejects the ones in the address.
    #[error(
        "the git server refuses access (HTTP {status}): the repository is private, the credentials are wrong, or there is no such repository"
    )]
    AccessDenied {
        /// The status of the answer.
        status: u16,
    },
    /// The server requires credentials, and the address has a user name without a password.
    #[error(
        "the git server refuses access (HTTP {status}), and the address has a user name without a password, so no credentials are sent: use USER:PASSWORD@ in front of the host"
    )]
    PasswordMissing {
        /// The status of the answer.
        status: u16,
    },
    /// There is no repository at this address.
    #[error("there is no repository at {url}, or it is not public")]
    RepositoryNotFound {
        /// The address of the repository.
        url: String,
    },
    /// The server answered with another error status.
    #[error("the git server answered with HTTP status {status}{}", wait(*retry_after))]
    Status {
        /// The status of the answer.
        status: u16,
        /// The time that the server asks to wait before the next request. It is at most an hour.
        retry_after: Option<Duration>,
    },
    /// The server is not a git server, such as a web site.
    #[error(
        "not a git repository: {url} answers with {content} (is it the address of a web page, or does the server require a login?)"
    )]
    NotGit {
        /// The address of the repository.
        url: String,
        /// The media type of the answer.
        content: String,
    },
    /// The server redirects in a way that is not followed.
    #[error("the git server's redirect is not followed: {why}")]
    Redirect {
        /// The reason.
        why: &'static str,
    },
    /// The server reported an error.
    #[error("the git server reports: {message}")]
    Remote {
        /// The message of the server.
        message: String,
    },
    /// The repository has no such ref.
    #[error("the repository has no {}", missing(git_ref))]
    RefNotFound {
        /// The ref.
        git_ref: GitRef,
    },
    /// The repository has no such commit.
    #[error("the repository has no commit {id}")]
    CommitNotFound {
        /// The id.
        id: CommitId,
    },
    /// The id belongs to an object that is not a commit.
    #[error("{id} is not a commit but {found}")]
    NotACommit {
        /// The id.
        id: CommitId,
        /// The type of the object, such as "a directory".
        found: String,
    },
    /// The ref leads to an object that is not a commit.
    #[error("{name} leads to {id}, which is not a commit but {found}")]
    RefNotACommit {
        /// The full name of the ref on the server.
        name: String,
        /// The object that it leads to.
        id: CommitId,
        /// The type of the object, such as "a directory".
        found: &'static str,
    },
    /// The commit cannot be verified, because a server of version 0 or 1 shows only the objects that its refs point to.
    #[error(
        "the commit {id} cannot be verified: no ref points to it, and the git server does not support version 2 of git's protocol; use a tag or a branch"
    )]
    CommitUnverifiable {
        /// The id.
        id: CommitId,
    },
}

impl GitError {
    /// Returns one word for the kind of error, suitable as the label of a metric.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnsupportedTransport { .. } => "UnsupportedTransport",
            Self::ForbiddenPath => "ForbiddenPath",
            Self::Client(_) => "Client",
            Self::NoCertificates => "NoCertificates",
            Self::Unreachable { .. } => "Unreachable",
            Self::ConnectTimeout { .. } => "ConnectTimeout",
            Self::Interrupted(_) => "Interrupted",
            Self::Timeout { .. } => "Timeout",
            Self::TooLarge { .. } => "TooLarge",
            Self::Truncated => "Truncated",
            Self::Malformed { .. } => "Malformed",
            Self::AccessDenied { .. } => "AccessDenied",
            Self::PasswordMissing { .. } => "PasswordMissing",
            Self::RepositoryNotFound { .. } => "RepositoryNotFound",
            Self::Status { .. } => "Status",
            Self::NotGit { .. } => "NotGit",
            Self::Redirect { .. } => "Redirect",
            Self::Remote { .. } => "Remote",
            Self::RefNotFound { .. } => "RefNotFound",
            Self::CommitNotFound { .. } => "CommitNotFound",
            Self::NotACommit { .. } => "NotACommit",
            Self::RefNotACommit { .. } => "RefNotACommit",
            Self::CommitUnverifiable { .. } => "CommitUnverifiable",
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
    pub(super) fn is_about_the_ref(&self) -> bool {
        matches!(
            self,
            Self::RefNotFound { .. }
                | Self::CommitNotFound { .. }
                | Self::NotACommit { .. }
                | Self::RefNotACommit { .. }
                | Self::CommitUnverifiable { .. }
        )
    }

    pub(super) fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed { why: why.into() }
    }
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |time| {
        format!(" and asks to wait for {} s", time.as_secs())
    })
}

/// Returns text from a server for use in a message, without control and formatting characters and with at most 200
/// characters.
pub(super) fn plain(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.trim()
        .chars()
        .take(200)
        .map(|c| if is_unprintable(c) { ' ' } else { c })
        .collect()
}
