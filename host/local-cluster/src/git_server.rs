//! A git repository, managed by the `git` program and served read-only over smart HTTP on this machine.
//!
//! It serves all clients, including `git clone`.

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

/// The path of the repository, in the form `OWNER/NAME` of a forge.
const REPOSITORY: &str = "demo/plant";
/// The default branch.
const MAIN: &str = "refs/heads/main";

/// The reason why the repository cannot be created, changed or served.
#[derive(Debug, thiserror::Error)]
pub enum GitServerError {
    /// `git` is not installed.
    #[error("git is not installed or not in PATH; the local git repository needs it")]
    NoGit,
    /// A program could not be run.
    #[error("cannot run {program}")]
    Run {
        /// The name of the program.
        program: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A `git` command failed.
    #[error("git {command} failed: {message}")]
    Git {
        /// The subcommand.
        command: String,
        /// The standard error output.
        message: String,
    },
    /// The name of a branch or a tag is invalid.
    #[error("the name of the branch or tag is invalid")]
    Name(#[source] ParseError),
    /// The directory of the repository could not be created or written.
    #[error("cannot create the directory of the git repository")]
    Directory(#[source] std::io::Error),
    /// No port could be opened.
    #[error("cannot listen on a port for the git repository")]
    Listen(#[source] std::io::Error),
}

/// A bare repository in a temporary directory, and its server. Dropping the value removes both.
#[derive(Debug)]
pub struct GitServer {
    site: Arc<Site>,
    url: String,
    revision: Mutex<u64>,
    task: JoinHandle<()>,
}

impl GitServer {
    /// Creates an empty repository with the default branch `main`, and serves it on a free port.
    pub async fn start() -> Result<Self, GitServerError> {
        let repository = Repository::create(REPOSITORY).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(GitServerError::Listen)?;
        let address = listener.local_addr().map_err(GitServerError::Listen)?;
        let site = Arc::new(Site::new(repository));
        let app = serve::router(Arc::clone(&site));
        let task = tokio::spawn(async move {
            // Nagle's algorithm would delay the small pieces of an answer by 40 ms. The task ends when the value is
            // dropped.
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

    /// Returns the URL for clones.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the name of the repository in the form `OWNER/NAME`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        REPOSITORY
    }

    /// Returns the directory of the bare repository.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.repository().path()
    }

    /// Returns the number of HTTP requests received so far. The first lookup of a client makes two requests. Each
    /// further lookup makes one request.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.site.requests()
    }

    /// Adds a commit to a branch, and creates the branch if it is missing. The commit is the next revision of a
    /// gateway's configuration.
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

    /// Sets a lightweight tag to the tip of `main`, and returns that commit.
    pub async fn tag(&self, name: &str) -> Result<CommitId, GitServerError> {
        let tip = self.id_of(MAIN).await?;
        self.set_ref(&full_name("refs/tags/", name)?, tip.as_str())
            .await?;
        Ok(tip)
    }

    /// Sets an annotated tag to the tip of `main`, and returns that commit.
    pub async fn annotated_tag(&self, name: &str) -> Result<CommitId, GitServerError> {
        let tip = self.id_of(MAIN).await?;
        self.annotate(name, tip.as_str()).await?;
        Ok(tip)
    }

    /// Sets an annotated tag to `target`, which is a branch, an id, or another annotated tag.
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

    /// Sets a ref, given by its full name, to `target`.
    pub async fn set_ref(&self, name: &str, target: &str) -> Result<(), GitServerError> {
        self.repository()
            .git(&["update-ref", "--", name, target])
            .await
            .map(drop)
    }

    /// Deletes a ref, given by its full name.
    pub async fn delete_ref(&self, name: &str) -> Result<(), GitServerError> {
        self.repository()
            .git(&["update-ref", "-d", "--", name])
            .await
            .map(drop)
    }

    /// Returns the id of `target`. For an annotated tag, this is the id of the tag object.
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
