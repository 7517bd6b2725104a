//! The errors of lookups and fetches.

mod access;
mod kind;
mod missing;

use std::net::IpAddr;
use std::time::Duration;

use stoker_api::detection::{CommitId, GitRef};

use super::store::StoreError;

pub use access::SentCredentials;
use access::explain_ssh;
use missing::missing;

/// The cause of an error.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The reason why a ref could not be resolved to a commit, or why a commit could not be fetched.
///
/// No message contains credentials. Text from a server is shortened, and its control characters are replaced.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The path cannot be sent by the transports `git:` and ssh.
    #[error("the path of the repository contains control characters")]
    ForbiddenPath,
    /// The HTTP client cannot be created.
    #[error("cannot set up the HTTP client")]
    Client(#[source] Cause),
    /// This machine has no CA certificates.
    #[error(
        "https cannot be used: this machine has no usable CA certificates; install them, or set SSL_CERT_FILE to a file of them, or SSL_CERT_DIR to directories of them"
    )]
    NoCertificates,
    /// The host is not one of those that the operator allows.
    #[error("the git host {host} is not one of the allowed hosts")]
    HostNotAllowed {
        /// The server, with its port.
        host: String,
    },
    /// The address belongs to the surroundings of the machine, such as a metadata service of a cloud.
    #[error(
        "{host} has the address {address}, which is refused, because it is link-local or that of a metadata service; add the host to the allowed hosts if it is a git server"
    )]
    AddressForbidden {
        /// The server.
        host: String,
        /// Its address.
        address: IpAddr,
    },
    /// The connection failed.
    #[error("cannot connect to {host}")]
    Unreachable {
        /// The server, with its port.
        host: String,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// The server was reached, and TLS failed: its certificate is not trusted by the remote, or it does not speak TLS.
    #[error("cannot connect to {host}")]
    Tls {
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
    /// The whole fetch of a commit took too long.
    #[error("the fetch was not complete within {limit:?}")]
    FetchTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The server sends keep-alive messages only.
    #[error("the git server made no progress within {limit:?}")]
    NoProgress {
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
    /// The credentials are not for the transport of the address.
    #[error(
        "{credentials} cannot be used, because the address of the repository begins with {scheme}://: {instead}"
    )]
    CredentialsMismatch {
        /// The kind of the credentials, such as "a token".
        credentials: &'static str,
        /// The transport of the address.
        scheme: String,
        /// What to do, such as "use an ssh key".
        instead: &'static str,
    },
    /// The token cannot be sent.
    #[error("the token is {why}")]
    Token {
        /// What is wrong, such as "empty".
        why: &'static str,
    },
    /// The server requires credentials, or rejects those that it got.
    #[error(
        "the git server refuses access (HTTP {status}): {}",
        credentials.explain_refusal(*status)
    )]
    AccessDenied {
        /// The status of the answer.
        status: u16,
        /// The credentials that the server got.
        credentials: SentCredentials,
    },
    /// The server requires an authentication that is not supported.
    #[error(
        "the git server requires the authentication {schemes}, and only Basic is supported (HTTP 401); enable Basic there, or use an ssh key and the ssh:// address"
    )]
    AuthenticationScheme {
        /// The schemes that the server names.
        schemes: String,
    },
    /// The private key cannot be used.
    #[error("the ssh key cannot be used: {why}")]
    SshKey {
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
    /// The text of the trusted host keys is invalid.
    #[error("known_hosts cannot be used: {why}")]
    KnownHosts {
        /// What is wrong with it.
        why: String,
    },
    /// No host key is trusted for the server.
    #[error(
        "known_hosts has no key of {host}; add the line that `ssh-keyscan` prints for it, after comparing the fingerprint with the one that its operator publishes"
    )]
    HostUnknown {
        /// The server, with its port.
        host: String,
    },
    /// The server's host key is not one of the trusted ones.
    #[error(
        "the host key of {host} is not in known_hosts: it shows {seen}, and known_hosts has {expected}; either the server has a new key, or the connection is intercepted; compare the key with the one that its operator publishes, and then add it to known_hosts"
    )]
    HostKeyUnknown {
        /// The server, with its port.
        host: String,
        /// The trusted keys.
        expected: String,
        /// The key that the server showed.
        seen: String,
    },
    /// The server's host key is marked as revoked.
    #[error("the host key of {host} is revoked in known_hosts: {seen}")]
    HostKeyRevoked {
        /// The server, with its port.
        host: String,
        /// The key that the server showed.
        seen: String,
    },
    /// The server's host key is not the pinned one.
    #[error(
        "the host key of {host} changed: it was {expected}, and now it is {seen}; either the server has a new key, or the connection is intercepted; compare the key with the one that its operator publishes, and then accept it by known_hosts with the new key, or as the pinned key"
    )]
    HostKeyChanged {
        /// The server, with its port.
        host: String,
        /// The pinned key.
        expected: String,
        /// The key that the server showed.
        seen: String,
    },
    /// The server has no host key of a supported type.
    #[error(
        "the ssh server {host} has {offered} only, which are not supported; it needs an ed25519, ecdsa or rsa key, and SHA-2 for rsa"
    )]
    HostKeyUnsupported {
        /// The server, with its port.
        host: String,
        /// What the server offers.
        offered: String,
    },
    /// The ssh server supports none of the algorithms of one kind.
    #[error(
        "the ssh server {host} offers no supported {kind} algorithm, but {offered} only; enable another one there, such as {example} in the setting {setting} of sshd"
    )]
    SshAlgorithms {
        /// The server, with its port.
        host: String,
        /// The kind of the algorithms, such as "cipher".
        kind: &'static str,
        /// What the server offers.
        offered: String,
        /// The setting of OpenSSH's server.
        setting: &'static str,
        /// A supported algorithm.
        example: &'static str,
    },
    /// The ssh server does not accept the user.
    #[error("the ssh server {host} refuses the user {user}: {}", explain_ssh(*has_key))]
    SshRefused {
        /// The server, with its port.
        host: String,
        /// The user, or "of the address".
        user: &'static str,
        /// Whether a key is configured.
        has_key: bool,
    },
    /// There is no repository at this address.
    #[error("there is no repository at {url}, or {}", credentials.explain_absence())]
    RepositoryNotFound {
        /// The address of the repository.
        url: String,
        /// The credentials that the server got.
        credentials: SentCredentials,
    },
    /// The server answered with another error status.
    #[error("the git server answered with HTTP status {status}{}{}", wait(*retry_after), said(text))]
    Status {
        /// The status of the answer.
        status: u16,
        /// The time that the server asks to wait before the next request. It is at most an hour.
        retry_after: Option<Duration>,
        /// The first line of the answer, if it is plain text without credentials. Otherwise it is empty.
        text: String,
    },
    /// The server provides the files of a repository and does not speak git's protocol.
    #[error(
        "{url} has the files of a git repository, but the server speaks only the dumb protocol; use an address of the repository where the server speaks git's smart protocol"
    )]
    DumbProtocol {
        /// The address of the repository.
        url: String,
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
    /// The repository has no such ref. The message begins with that of the Go operator, which alerts may look for.
    #[error(
        "ref {:?} not found in remote {url}: the repository has no {}",
        git_ref.as_str(),
        missing(git_ref)
    )]
    RefNotFound {
        /// The address of the repository.
        url: String,
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
    /// The server does not send the commit by its id, and the ref leads to another commit.
    #[error(
        "the git server does not send the commit {id} by its id, and {git_ref} leads to {now} now"
    )]
    CommitMoved {
        /// The wanted commit.
        id: CommitId,
        /// The ref that led to it.
        git_ref: GitRef,
        /// The object that the ref leads to now.
        now: CommitId,
    },
    /// The server did not send all objects of the commit.
    #[error("the git server did not send all files of the commit {id}")]
    Incomplete {
        /// The wanted commit.
        id: CommitId,
    },
    /// The objects that the server sent cannot be used.
    #[error("the git server's pack cannot be used")]
    Pack(#[source] Cause),
    /// The pack has too many objects.
    #[error("the git server's pack has {count} objects, which are more than the limit of {limit}")]
    TooManyObjects {
        /// The number of objects.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A file of the commit is too large. Its path is not known before all objects are stored.
    #[error("the commit has a file that is larger than the limit of {limit} bytes")]
    ObjectTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The fetched objects cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |time| {
        format!(" and asks to wait for {} s", time.as_secs())
    })
}

fn said(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(": {text}")
    }
}

/// Returns the beginning of a server's text for use in a message, on one line.
pub(super) fn plain(text: &[u8]) -> String {
    stoker_report::excerpt(&String::from_utf8_lossy(text))
}
