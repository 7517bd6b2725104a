//! Git servers in this process: every path is a repository with the same branches. A lookup costs them nearly nothing, so
//! that the figures are those of the controller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The number of branches, of which the first is `main`.
pub(super) const BRANCHES: usize = 10;

/// Returns the name of a branch.
pub(super) fn branch(number: usize) -> String {
    match number % BRANCHES {
        0 => "main".to_owned(),
        number => format!("release-{number}"),
    }
}

/// Returns the commit of a branch.
pub(super) fn commit(number: usize) -> String {
    format!("{:040x}", number % BRANCHES + 1)
}

/// A server with any number of repositories.
pub(super) struct Remotes {
    shared: Arc<Shared>,
    address: String,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    lookups: AtomicUsize,
    is_away: AtomicBool,
}

impl Remotes {
    pub(super) async fn start() -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let router = Router::new()
            .route("/{repository}/info/refs", get(advertisement))
            .route("/{repository}/git-upload-pack", post(refs))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.ok();
        });
        Ok(Self {
            shared,
            address,
            task,
        })
    }

    /// Returns the URL of a repository.
    pub(super) fn url(&self, number: usize) -> String {
        format!("http://{}/r{number}", self.address)
    }

    /// Sets whether every lookup is answered with 503.
    pub(super) fn set_away(&self, is_away: bool) {
        self.shared.is_away.store(is_away, Ordering::Relaxed);
    }

    /// Returns the number of lookups so far, with those that were answered with 503.
    pub(super) fn lookups(&self) -> usize {
        self.shared.lookups.load(Ordering::Relaxed)
    }
}

impl Drop for Remotes {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn advertisement(State(shared): State<Arc<Shared>>) -> Response {
    if shared.is_away.load(Ordering::Relaxed) {
        shared.lookups.fetch_add(1, Ordering::Relaxed);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let lines = [
        line("# service=git-upload-pack\n"),
        "0000".to_owned(),
        line("version 2\n"),
        line("agent=bench\n"),
        line("ls-refs=unborn\n"),
        line("fetch=shallow\n"),
        line("object-format=sha1\n"),
        "0000".to_owned(),
    ];
    answer("advertisement", lines.concat())
}

async fn refs(State(shared): State<Arc<Shared>>) -> Response {
    shared.lookups.fetch_add(1, Ordering::Relaxed);
    if shared.is_away.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let refs = (0..BRANCHES).map(|number| {
        let (commit, branch) = (commit(number), branch(number));
        line(&format!("{commit} refs/heads/{branch}\n"))
    });
    answer("result", refs.chain(["0000".to_owned()]).collect())
}

fn answer(what: &str, text: String) -> Response {
    let type_ = format!("application/x-git-upload-pack-{what}");
    ([(header::CONTENT_TYPE, type_)], text).into_response()
}

/// Returns a packet line (gitprotocol-common).
fn line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}
