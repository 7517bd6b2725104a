//! A git repository to play with: made by the `git` program, served over smart HTTP on this machine.
//!
//! It knows nothing of who asks: `git clone` is served as any other client.

mod repository;
mod serve;

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use self::repository::Repository;
use self::serve::Site;
use stoker_api::detection::{CommitId, GitRef, ParseError};

/// The path of the repository, as `OWNER/NAME` names it at a forge.
const REPOSITORY: &str = "demo/plant";
/// Its default branch.
const MAIN: &str = "refs/heads/main";

/// Why there is no repository, or why it does not change.
#[derive(Debug, thiserror::Error)]
pub enum GitServerError {
    /// No `git` on this machine.
    #[error(
        "the program git is not installed, or not found in PATH; the demonstration keeps its repository with it"
    )]
    NoGit,
    /// A program did not run.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// `git` said no.
    #[error("git {command} failed: {message}")]
    Git {
        /// What it was to do.
        command: String,
        /// What it says.
        message: String,
    },
    /// Not the name of a branch or a tag.
    #[error("not the name of a branch or a tag")]
    Name(#[source] ParseError),
    /// No directory for the repository.
    #[error("cannot make a directory for the git repository")]
    Directory(#[source] std::io::Error),
    /// No port to serve it on.
    #[error("cannot serve the git repository on a port of this machine")]
    Listen(#[source] std::io::Error),
}

/// A bare repository in a temporary directory, and its server. Both go with the value.
#[derive(Debug)]
pub struct GitServer {
    site: Arc<Site>,
    url: String,
    revision: Mutex<u64>,
    task: JoinHandle<()>,
}

impl GitServer {
    /// Makes an empty repository, with `main` as its default branch, and serves it on a free port.
    pub async fn start() -> Result<Self, GitServerError> {
        let repository = Repository::create(REPOSITORY).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(GitServerError::Listen)?;
        let address = listener.local_addr().map_err(GitServerError::Listen)?;
        let site = Arc::new(Site::new(repository));
        let app = serve::router(Arc::clone(&site));
        let task = tokio::spawn(async move {
            // It ends with the value, which aborts it.
            // Answers come in small pieces; held back to be sent together, each would be 40 ms late.
            let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap_or_default());
            axum::serve(listener, app).await.ok();
        });
        Ok(Self {
            site,
            url: format!("http://{address}/{REPOSITORY}.git"),
            revision: Mutex::new(0),
            task,
        })
    }

    /// The address to clone from.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name that a forge would give it, `OWNER/NAME`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        REPOSITORY
    }

    /// Where the bare repository is on this machine.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.repository().path()
    }

    /// The HTTP requests that came in so far. The first lookup of a client makes two, any further lookup one.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.site.requests()
    }

    /// Adds a commit to a branch, which is made if there is none: the next revision of a gateway's configuration.
    pub async fn commit(&self, branch: &str, message: &str) -> Result<CommitId, GitServerError> {
        let name = full_name("refs/heads/", branch)?;
        let mut revision = self.revision.lock().await;
        let id = self
            .repository()
            .commit(&name, message, *revision + 1)
            .await?;
        *revision += 1;
        Ok(id)
    }

    /// Sets a lightweight tag to the tip of `main`, and gives that commit.
    pub async fn tag(&self, name: &str) -> Result<CommitId, GitServerError> {
        let tip = self.id_of(MAIN).await?;
        self.set_ref(&full_name("refs/tags/", name)?, tip.as_str())
            .await?;
        Ok(tip)
    }

    /// Sets an annotated tag to the tip of `main`, and gives that commit.
    pub async fn annotated_tag(&self, name: &str) -> Result<CommitId, GitServerError> {
        let tip = self.id_of(MAIN).await?;
        self.annotate(name, tip.as_str()).await?;
        Ok(tip)
    }

    /// Sets an annotated tag to what `target` names: a branch, an id, or another annotated tag.
    pub async fn annotate(&self, name: &str, target: &str) -> Result<(), GitServerError> {
        let message = format!("Release {name}");
        let arguments = [
            "tag",
            "--annotate",
            "--force",
            "--message",
            &message,
            "--",
            name,
            target,
        ];
        self.repository().git(&arguments).await.map(drop)
    }

    /// Sets a ref of any full name to what `target` names.
    pub async fn set_ref(&self, name: &str, target: &str) -> Result<(), GitServerError> {
        self.repository()
            .git(&["update-ref", "--", name, target])
            .await
            .map(drop)
    }

    /// Deletes a ref by its full name.
    pub async fn delete_ref(&self, name: &str) -> Result<(), GitServerError> {
        self.repository()
            .git(&["update-ref", "-d", "--", name])
            .await
            .map(drop)
    }

    /// The id of what `target` names: the tag's own, if that is an annotated one.
    pub async fn id_of(&self, target: &str) -> Result<CommitId, GitServerError> {
        self.repository().id_of(target).await
    }

    fn repository(&self) -> &Repository {
        self.site.repository()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn full_name(prefix: &str, name: &str) -> Result<String, GitServerError> {
    let full = format!("{prefix}{name}");
    GitRef::parse(&full).map_err(GitServerError::Name)?;
    Ok(full)
}
