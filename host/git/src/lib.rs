//! Looks up the commit of a ref in a remote repository, without a clone, and fetches the files of one commit.
//!
//! The crate uses git's wire protocol over http, https, ssh and `git:`. It uses version 2, and versions 0 and 1 with servers
//! that do not support version 2. It caches no refs: between lookups, it keeps only the capabilities of servers and the
//! ids of commits. It does not depend on the cluster, on webhooks or on plugins.

mod address;
mod advertisement;
mod authorization;
mod cache;
mod candidates;
mod connection;
mod download;
mod error;
mod fetch;
mod hosts;
mod http;
mod lock;
mod logins;
mod offer;
mod packet;
mod remote;
mod request;
mod resolve;
mod ssh;
mod store;
mod tcp;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use stoker_api::detection::{CommitId, GitRef};

/// The id of an object: its digest, by SHA-1 or by SHA-256.
pub use gix_hash::ObjectId;

pub use download::{FetchLimits, FetchProgress, FetchReport, Wanted};
pub use error::{GitError, SentCredentials};
pub use hosts::{AllowedHosts, HostPattern, HostPatternError};
pub use remote::{Credentials, Remote, Sensitive};
pub use ssh::HostKey;
pub use store::{CommitInfo, ObjectStore, StoreError, Tree, TreeEntry, TreeEntryKind};

use advertisement::Advertisement;
use cache::{CapabilityCache, KnownCommits};
use connection::{Connection, Transports};
use packet::Packets;
use resolve::Conversation;

/// The name and version that this program sends to servers in git's protocol.
const AGENT: &str = concat!("stoker/", env!("CARGO_PKG_VERSION"));

/// Looks up refs. [`GitClient`] is the implementation for real servers.
pub trait RefSource: Send + Sync + 'static {
    /// Looks up the current commits of refs of one repository. The results are in the order of the refs, and never come
    /// from an earlier lookup.
    ///
    /// # Errors
    ///
    /// Fails if the repository cannot be read. A ref that does not exist is an error of this ref alone.
    fn resolve(
        &self,
        remote: &Remote,
        refs: &[GitRef],
    ) -> impl Future<Output = Result<Vec<RefResult>, GitError>> + Send;

    /// Returns the host key that the ssh server of a remote showed last, if the key was accepted for a remote that trusts
    /// the same keys. `None` means that the remote was not reached by ssh.
    fn host_key(&self, remote: &Remote) -> Option<HostKey> {
        // A source without servers has no host keys.
        let _ = remote;
        None
    }
}

/// The commit of one ref, or why the ref has none.
pub type RefResult = Result<ResolvedRef, GitError>;

/// The kind of a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefKind {
    /// A tag.
    Tag,
    /// A branch.
    Branch,
    /// The id of a commit.
    Commit,
    /// Any other ref, such as that of a pull request.
    Other,
}

/// The commit that a ref points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedRef {
    commit: CommitId,
    kind: RefKind,
    full_name: Option<String>,
    is_short_name_shared: bool,
}

impl ResolvedRef {
    /// Returns a commit and the kind of the ref that names it. The full name is not set.
    #[must_use]
    pub fn new(commit: CommitId, kind: RefKind) -> Self {
        Self {
            commit,
            kind,
            full_name: None,
            is_short_name_shared: false,
        }
    }

    /// Sets the full name of the ref on the server.
    #[must_use]
    pub fn with_full_name(self, full_name: String) -> Self {
        Self {
            full_name: Some(full_name),
            ..self
        }
    }

    /// Sets whether the server has a branch and a tag of the name.
    #[must_use]
    pub fn with_shared_short_name(self, is_short_name_shared: bool) -> Self {
        Self {
            is_short_name_shared,
            ..self
        }
    }

    /// Returns the commit. For an annotated tag, it is the commit that the tag leads to.
    #[must_use]
    pub fn commit(&self) -> &CommitId {
        &self.commit
    }

    /// Returns the kind of the ref.
    #[must_use]
    pub fn kind(&self) -> RefKind {
        self.kind
    }

    /// Returns the full name of the ref on the server, such as `refs/tags/v1`, or `None` for the id of a commit. For
    /// `HEAD`, it is the branch that `HEAD` points to, if the server names it.
    #[must_use]
    pub fn full_name(&self) -> Option<&str> {
        self.full_name.as_deref()
    }

    /// Returns whether the ref was asked for as a branch or as a tag, and the server also has one of the other kind with
    /// the same name. Without its kind, the name would then mean either of them.
    #[must_use]
    pub fn is_short_name_shared(&self) -> bool {
        self.is_short_name_shared
    }
}

/// The default limit of answers. A list of ten million refs has about this size.
const MAX_ANSWER: usize = 1024 * 1024 * 1024;
/// The maximum number of refs in one list. More refs are looked up with several lists.
const MAX_REFS: usize = 256;

/// The limits of one lookup.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The time of the whole lookup: DNS, connections, requests and answers.
    pub total: Duration,
    /// The time to establish one connection, including TLS.
    pub connect: Duration,
    /// The size of all answers of one lookup together, in bytes. Lists of refs are read as a stream, so the size costs
    /// time and no memory.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            answer_bytes: MAX_ANSWER,
        }
    }
}

/// The settings of a [`GitClient`].
#[derive(Debug, Clone, Default)]
pub struct GitClientConfig {
    /// The limits of each lookup.
    pub limits: Limits,
    /// The limits of each fetch of a commit.
    pub fetch: FetchLimits,
    /// The servers that may be contacted. Redirects may not leave them either.
    pub allowed_hosts: AllowedHosts,
}

/// A client of git servers. Its connections over http stay open between lookups, and clones share them.
///
/// It uses the proxies of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` for http and https, except to this
/// machine itself. It trusts the CA certificates of this machine, of `SSL_CERT_FILE`, of `SSL_CERT_DIR`, and of the CA
/// bundle of the remote.
///
/// Link-local addresses and those of metadata services are refused, unless the allowed hosts name them.
#[derive(Debug, Clone)]
pub struct GitClient {
    transports: Transports,
    limits: Limits,
    fetch_limits: FetchLimits,
    capabilities: Arc<CapabilityCache>,
    commits: Arc<KnownCommits>,
}

impl GitClient {
    /// Creates a client with the default settings. No connection is opened.
    ///
    /// If the process has no default provider of cryptography for TLS, `ring` becomes the default.
    pub fn new() -> Result<Self, GitError> {
        Self::with_config(GitClientConfig::default())
    }

    /// Creates a client with other settings.
    pub fn with_config(config: GitClientConfig) -> Result<Self, GitError> {
        let limits = config.limits;
        let inactivity = limits.total.max(config.fetch.idle);
        Ok(Self {
            transports: Transports::new(limits.clone(), inactivity, config.allowed_hosts)?,
            limits,
            fetch_limits: config.fetch,
            capabilities: Arc::default(),
            commits: Arc::default(),
        })
    }

    /// Looks up refs on a server whose capabilities are known. Returns `None` if the server's answer contradicts them.
    /// In this case, the server may have changed, or the repository may have moved.
    async fn resolve_with_known_capabilities(
        &self,
        remote: &Remote,
        refs: &[GitRef],
    ) -> Option<Result<Vec<RefResult>, GitError>> {
        let url = remote.url().url();
        let known = self.capabilities.get(url)?;
        let conversation = self.conversation(remote, self.transports.resume(remote)?);
        let outcome = conversation.resolve(Advertisement::V2(known), refs).await;
        let is_answer = outcome
            .as_ref()
            .map_or_else(|error| error.retry_after().is_some(), |_| true);
        if !is_answer {
            self.capabilities.remove(url);
        }
        is_answer.then_some(outcome)
    }

    /// Reads the advertisement of a server, and looks up refs.
    async fn resolve_with_advertisement(
        &self,
        remote: &Remote,
        refs: &[GitRef],
    ) -> Result<Vec<RefResult>, GitError> {
        let connection = self.transports.open(remote).await?;
        let can_resume = connection.can_resume();
        let mut packets = self.packets(connection);
        let advertisement = advertisement::read(&mut packets).await?;
        if let (true, Advertisement::V2(capabilities)) = (can_resume, &advertisement) {
            self.capabilities
                .insert(remote.url().url(), capabilities.clone());
        }
        Conversation::new(&self.transports, remote, &self.commits, packets)
            .resolve(advertisement, refs)
            .await
    }

    /// Looks up refs in one conversation.
    async fn converse(&self, remote: &Remote, refs: &[GitRef]) -> Result<Vec<RefResult>, GitError> {
        let lookup = async {
            match self.resolve_with_known_capabilities(remote, refs).await {
                Some(outcome) => outcome,
                None => self.resolve_with_advertisement(remote, refs).await,
            }
        };
        let limit = self.limits.total;
        match tokio::time::timeout(limit, lookup).await {
            Err(_) => {
                self.capabilities.remove(remote.url().url());
                Err(GitError::Timeout { limit })
            }
            Ok(outcome) => outcome.map_err(|error| error.about(remote)),
        }
    }

    fn packets(&self, connection: Connection) -> Packets<Connection> {
        Packets::new(connection, self.limits.answer_bytes)
    }

    fn conversation<'a>(&'a self, remote: &'a Remote, connection: Connection) -> Conversation<'a> {
        let packets = self.packets(connection);
        Conversation::new(&self.transports, remote, &self.commits, packets)
    }
}

impl RefSource for GitClient {
    async fn resolve(&self, remote: &Remote, refs: &[GitRef]) -> Result<Vec<RefResult>, GitError> {
        remote.check_credentials()?;
        let mut results = Vec::with_capacity(refs.len());
        for refs in refs.chunks(MAX_REFS) {
            results.extend(self.converse(remote, refs).await?);
        }
        Ok(results)
    }

    fn host_key(&self, remote: &Remote) -> Option<HostKey> {
        self.transports.seen_host_keys.of(remote)
    }
}
