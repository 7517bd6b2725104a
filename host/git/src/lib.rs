//! From a ref to a commit: one look at a remote repository, without a clone.
//!
//! The room speaks git's wire protocol (version 2, and 0 and 1 where a server knows no other) over http(s) and `git:`.
//! It caches no ref: of earlier lookups it only remembers what a server can do. It knows nothing of the cluster, of
//! webhooks or of plugins.

mod address;
mod ask;
mod connection;
mod error;
mod greeting;
mod http;
mod lookup;
mod packet;
mod servers;
mod tcp;
mod verify;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use stoker_api::detection::{CommitId, GitRef, RepoUrl};

pub use error::GitError;

use connection::Connection;
use greeting::Greeting;
use packet::Packets;

/// What this program calls itself to servers.
const AGENT: &str = concat!("stoker/", env!("CARGO_PKG_VERSION"));

/// Where commits are looked up. The one that asks real servers is [`GitClient`].
pub trait RefSource: Send + Sync + 'static {
    /// Looks at the remote now; no answer comes from an earlier look.
    fn resolve(
        &self,
        repo: &RepoUrl,
        git_ref: &GitRef,
    ) -> impl Future<Output = Result<ResolvedRef, GitError>> + Send;
}

/// What a ref turned out to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefKind {
    /// A tag.
    Tag,
    /// A branch.
    Branch,
    /// The id of a commit.
    Commit,
    /// Any other ref, a pull request's for one.
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
    /// A commit, and what names it.
    #[must_use]
    pub fn new(commit: CommitId, kind: RefKind) -> Self {
        Self {
            commit,
            kind,
            full_name: None,
        }
    }

    /// With its full name on the server.
    #[must_use]
    pub fn with_full_name(self, full_name: String) -> Self {
        Self {
            full_name: Some(full_name),
            ..self
        }
    }

    /// The commit; for an annotated tag the one that it leads to.
    #[must_use]
    pub fn commit(&self) -> &CommitId {
        &self.commit
    }

    /// What the ref is.
    #[must_use]
    pub fn kind(&self) -> RefKind {
        self.kind
    }

    /// Its full name on the server (`refs/tags/v1`); none for the id of a commit. For `HEAD` it is the branch that
    /// `HEAD` stands for, where the server says.
    #[must_use]
    pub fn full_name(&self) -> Option<&str> {
        self.full_name.as_deref()
    }
}

/// What one lookup may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For everything: names, connections, questions and answers.
    pub total: Duration,
    /// For one connection, TLS included.
    pub connect: Duration,
    /// The bytes of all answers together.
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

/// Asks git servers. Its connections stay open between lookups, and clones share them.
///
/// The proxies that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name are used for http(s), except to this
/// machine itself.
#[derive(Debug, Clone)]
pub struct GitClient {
    http: http::Http,
    limits: Limits,
    servers: Arc<servers::Servers>,
}

impl GitClient {
    /// Makes a client with the default limits. It connects to nothing yet.
    ///
    /// Where this process has no default provider of cryptography for TLS, `ring` becomes it.
    pub fn new() -> Result<Self, GitError> {
        Self::with_limits(Limits::default())
    }

    /// Makes a client with other limits.
    pub fn with_limits(limits: Limits) -> Result<Self, GitError> {
        Ok(Self {
            http: http::Http::new(limits.connect)?,
            limits,
            servers: Arc::default(),
        })
    }

    /// Asks a server that spoke version 2 before, without its greeting. None if it now answers otherwise: then it may
    /// have changed, or its repository have moved, and the greeting tells.
    async fn ask_known(
        &self,
        repo: &RepoUrl,
        git_ref: &GitRef,
    ) -> Option<Result<ResolvedRef, GitError>> {
        let can = self.servers.recall(repo.url())?;
        let connection = Connection::resume(&self.http, repo.url())?;
        let outcome = ask::ask(self.packets(connection), Greeting::V2(can), git_ref).await;
        let is_answer = outcome
            .as_ref()
            .map_or_else(GitError::is_about_the_ref, |_| true);
        if !is_answer {
            self.servers.forget(repo.url());
        }
        is_answer.then_some(outcome)
    }

    /// Lets a server introduce itself, then asks it.
    async fn ask_anew(&self, repo: &RepoUrl, git_ref: &GitRef) -> Result<ResolvedRef, GitError> {
        let connection = Connection::open(&self.http, repo.url(), &self.limits).await?;
        let can_resume = connection.can_resume();
        let mut packets = self.packets(connection);
        let greeting = greeting::read(&mut packets).await?;
        if let (true, Greeting::V2(can)) = (can_resume, &greeting) {
            self.servers.keep(repo.url(), can.clone());
        }
        ask::ask(packets, greeting, git_ref).await
    }

    fn packets(&self, connection: Connection) -> Packets<Connection> {
        Packets::new(connection, self.limits.answer_bytes)
    }
}

impl RefSource for GitClient {
    async fn resolve(&self, repo: &RepoUrl, git_ref: &GitRef) -> Result<ResolvedRef, GitError> {
        let lookup = async {
            match self.ask_known(repo, git_ref).await {
                Some(outcome) => outcome,
                None => self.ask_anew(repo, git_ref).await,
            }
        };
        let limit = self.limits.total;
        match tokio::time::timeout(limit, lookup).await {
            Err(_) => {
                self.servers.forget(repo.url());
                Err(GitError::Timeout { limit })
            }
            // `git daemon` has no status to say it with.
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
}
