//! Why a ref has no commit: one variant for each thing that can go wrong.
//!
//! It knows words, and not where they come from.

use std::time::Duration;

use super::lookup::missing;
use stoker_api::detection::{CommitId, GitRef};

/// What lies under an error.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a ref has no commit. No text holds credentials; what a server wrote is cut, and cleared of control characters.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// An address that cannot be asked yet.
    #[error("{scheme} is not supported yet; use the https:// address of the repository")]
    UnsupportedTransport {
        /// The transport.
        scheme: String,
    },
    /// The address cannot be sent over `git:`.
    #[error("the path of the repository holds control characters")]
    ForbiddenPath,
    /// No HTTP client on this machine.
    #[error("cannot set up the HTTP client")]
    Client(#[source] Cause),
    /// This machine has no certificates to check a server by.
    #[error(
        "https cannot be used: this machine has no usable CA certificates; install them, or set SSL_CERT_FILE to a file of all of them, or SSL_CERT_DIR to folders of them"
    )]
    NoCertificates,
    /// No connection came about.
    #[error("cannot connect to {host}")]
    Unreachable {
        /// The server, with its port.
        host: String,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// No connection came about in time.
    #[error("cannot connect to {host} within {limit:?}")]
    ConnectTimeout {
        /// The server, with its port.
        host: String,
        /// The time it had.
        limit: Duration,
    },
    /// The connection broke.
    #[error("the connection to the git server broke")]
    Interrupted(#[source] Cause),
    /// The server took too long.
    #[error("the git server did not answer within {limit:?}")]
    Timeout {
        /// The time it had.
        limit: Duration,
    },
    /// The server sent too much.
    #[error("the git server's answer has more than the {limit} bytes that are read")]
    TooLarge {
        /// The bytes it may have.
        limit: usize,
    },
    /// The answer ended in the middle.
    #[error("the git server's answer ends too early")]
    Truncated,
    /// The answer is not git's protocol.
    #[error("the git server's answer cannot be read: {why}")]
    Malformed {
        /// What is wrong with it.
        why: String,
    },
    /// The server wants to know who asks, or refuses the one who does.
    #[error(
        "the git server refuses access (HTTP {status}): the repository is private, the credentials are wrong, or there is no such repository"
    )]
    AccessDenied {
        /// The status of the answer.
        status: u16,
    },
    /// No repository at this address.
    #[error("there is no repository at {url}, or it is not public")]
    RepositoryNotFound {
        /// The address that was asked.
        url: String,
    },
    /// Any other refusal.
    #[error("the git server answered with HTTP status {status}")]
    Status {
        /// The status of the answer.
        status: u16,
    },
    /// Something else answers there, a web page for one.
    #[error(
        "not a git repository: {url} answers with {content} (is it the address of a web page, or is a sign-in in the way?)"
    )]
    NotGit {
        /// The address that was asked.
        url: String,
        /// What it answers with.
        content: String,
    },
    /// The server sends elsewhere, in a way that is not followed.
    #[error("the git server's redirect is not followed: {why}")]
    Redirect {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server says no in its own words.
    #[error("the git server says: {message}")]
    Remote {
        /// Its words.
        message: String,
    },
    /// Nothing of that name.
    #[error("the repository has no {}", missing(git_ref))]
    RefNotFound {
        /// What was looked for.
        git_ref: GitRef,
    },
    /// No such object.
    #[error("the repository has no commit {id}")]
    CommitNotFound {
        /// What was looked for.
        id: CommitId,
    },
    /// The id of something else.
    #[error("{id} is not a commit but {found}")]
    NotACommit {
        /// What was looked for.
        id: CommitId,
        /// What it is instead.
        found: String,
    },
    /// An old server, which shows no more than the tips of its refs.
    #[error(
        "this git server cannot tell whether it has the commit {id}: no ref points to it, and the server does not speak version 2 of git's protocol; name a tag or a branch"
    )]
    CommitUnverifiable {
        /// What was looked for.
        id: CommitId,
    },
}

impl GitError {
    /// One word for the kind of failure, fit for the label of a metric. There are as many as variants.
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
            Self::RepositoryNotFound { .. } => "RepositoryNotFound",
            Self::Status { .. } => "Status",
            Self::NotGit { .. } => "NotGit",
            Self::Redirect { .. } => "Redirect",
            Self::Remote { .. } => "Remote",
            Self::RefNotFound { .. } => "RefNotFound",
            Self::CommitNotFound { .. } => "CommitNotFound",
            Self::NotACommit { .. } => "NotACommit",
            Self::CommitUnverifiable { .. } => "CommitUnverifiable",
        }
    }

    /// Whether a server that is in order said it of what was looked for.
    pub(super) fn is_about_the_ref(&self) -> bool {
        matches!(
            self,
            Self::RefNotFound { .. }
                | Self::CommitNotFound { .. }
                | Self::NotACommit { .. }
                | Self::CommitUnverifiable { .. }
        )
    }

    pub(super) fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed { why: why.into() }
    }
}

/// What a server wrote, fit for a line of a log: no control characters, and no more than 200 characters.
pub(super) fn plain(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.trim()
        .chars()
        .take(200)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
