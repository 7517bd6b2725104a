//! Looks up the commit of a ref in a remote repository, without a clone.
//!
//! The crate uses git's wire protocol over http, https and `git:`. It uses version 2, and versions 0 and 1 with servers
//! that do not support version 2. It caches no refs: between lookups, it keeps only the capabilities of servers and the
//! ids of commits. It does not depend on the cluster, on webhooks or on plugins.

mod address;
mod advertisement;
mod cache;
mod candidates;
mod connection;
mod error;
mod fetch;
mod http;
mod packet;
mod remote;
mod request;
mod resolve;
mod tcp;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use stoker_api::detection::{CommitId, GitRef, RepoUrl};

pub use error::GitError;
pub use remote::{Credentials, Remote, Sensitive};

use advertisement::Advertisement;
use cache::{CapabilityCache, KnownCommits};
use connection::Connection;
use packet::Packets;

/// The name and version that this program sends to servers.
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
}

impl ResolvedRef {
    /// Returns a commit and the kind of the ref that names it. The full name is not set.
    #[must_use]
    pub fn new(commit: CommitId, kind: RefKind) -> Self {
        Self {
            commit,
            kind,
            full_name: None,
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
}

/// The limits of one lookup.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The time of the whole lookup: DNS, connections, requests and answers.
    pub total: Duration,
    /// The time to establish one connection, including TLS.
    pub connect: Duration,
    /// The size of all answers together, in bytes.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            answer_bytes: 16 * 1024 * 1024,
        }
    }
}

/// A client of git servers. Its connections stay open between lookups, and clones share them.
///
/// It uses the proxies of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` for http and https, except to this
/// machine itself.
#[derive(Debug, Clone)]
pub struct GitClient {
    http: http::Http,
    limits: Limits,
    capabilities: Arc<CapabilityCache>,
    commits: Arc<KnownCommits>,
}

impl GitClient {
    /// Creates a client with the default limits. No connection is opened.
    ///
    /// If the process has no default provider of cryptography for TLS, `ring` becomes the default.
    pub fn new() -> Result<Self, GitError> {
        Self::with_limits(Limits::default())
    }

    /// Creates a client with other limits.
    pub fn with_limits(limits: Limits) -> Result<Self, GitError> {
        Ok(Self {
            http: http::Http::new(limits.connect)?,
            limits,
            capabilities: Arc::default(),
            commits: Arc::default(),
        })
    }

    /// Looks up a ref on a server whose capabilities are known. Returns `None` if the server's answer contradicts them.
    /// In this case, the server may have changed, or the repository may have moved.
    async fn resolve_with_known_capabilities(
        &self,
        repo: &RepoUrl,
        git_ref: &GitRef,
    ) -> Option<Result<ResolvedRef, GitError>> {
        let known = self.capabilities.get(repo.url())?;
        let mut packets = self.packets(Connection::resume(&self.http, repo.url())?);
        let advertisement = Advertisement::V2(known);
        let outcome = resolve::resolve(&mut packets, advertisement, git_ref, &self.commits).await;
        let is_answer = outcome
            .as_ref()
            .map_or_else(GitError::is_about_the_ref, |_| true);
        if !is_answer {
            self.capabilities.remove(repo.url());
        }
        is_answer.then_some(outcome)
    }

    /// Reads the advertisement of a server, and looks up a ref.
    async fn resolve_with_advertisement(
        &self,
        repo: &RepoUrl,
        git_ref: &GitRef,
    ) -> Result<ResolvedRef, GitError> {
        let connection = Connection::open(&self.http, repo.url(), &self.limits).await?;
        let can_resume = connection.can_resume();
        let mut packets = self.packets(connection);
        let advertisement = advertisement::read(&mut packets).await?;
        if let (true, Advertisement::V2(capabilities)) = (can_resume, &advertisement) {
            self.capabilities.insert(repo.url(), capabilities.clone());
        }
        resolve::resolve(&mut packets, advertisement, git_ref, &self.commits).await
    }

    async fn resolve_one(&self, repo: &RepoUrl, git_ref: &GitRef) -> RefResult {
        let lookup = async {
            match self.resolve_with_known_capabilities(repo, git_ref).await {
                Some(outcome) => outcome,
                None => self.resolve_with_advertisement(repo, git_ref).await,
            }
        };
        let limit = self.limits.total;
        match tokio::time::timeout(limit, lookup).await {
            Err(_) => {
                self.capabilities.remove(repo.url());
                Err(GitError::Timeout { limit })
            }
            // `git daemon` reports a missing repository as text.
            Ok(Err(GitError::Remote { message }))
                if message.contains("repository not exported") =>
            {
                Err(GitError::RepositoryNotFound {
                    url: repo.to_string(),
                })
            }
            Ok(outcome) => outcome,
        }
    }

    fn packets(&self, connection: Connection) -> Packets<Connection> {
        Packets::new(connection, self.limits.answer_bytes)
    }
}

impl RefSource for GitClient {
    async fn resolve(&self, remote: &Remote, refs: &[GitRef]) -> Result<Vec<RefResult>, GitError> {
        let mut results = Vec::with_capacity(refs.len());
        for git_ref in refs {
            match self.resolve_one(remote.url(), git_ref).await {
                Err(error) if !error.is_about_the_ref() => return Err(error),
                result => results.push(result),
            }
        }
        Ok(results)
    }
}
