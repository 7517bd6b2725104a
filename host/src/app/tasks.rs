//! The tasks and servers of a host, and the order in which they end.

use anyhow::{Context as _, Result};
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::server::{self, Options};

/// The running servers.
#[derive(Default)]
pub(super) struct Servers {
    running: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Servers {
    /// Serves the routes if there is a listener.
    pub(super) fn spawn(
        &mut self,
        listener: Option<TcpListener>,
        router: Router,
        options: Options,
    ) {
        if let Some(listener) = listener {
            let serving = server::serve(listener, router, options, self.shutdown.clone());
            self.running.spawn(serving);
        }
    }

    /// Spawns a server that listens by itself and ends with the token that it gets.
    pub(super) fn spawn_own<F>(&mut self, serve: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.running.spawn(serve(self.shutdown.clone()));
    }

    /// Stops accepting connections, and waits for the remaining requests.
    pub(super) async fn drain(&mut self) -> Result<()> {
        self.shutdown.cancel();
        let mut result = Ok(());
        while let Some(server) = self.running.join_next().await {
            result = result.and(server.context("a server failed"));
        }
        result
    }
}

/// The running background tasks.
pub(super) struct Tasks {
    running: JoinSet<Result<()>>,
    shutdown: CancellationToken,
}

impl Tasks {
    /// Returns a set of tasks that end with `shutdown`.
    pub(super) fn new(shutdown: &CancellationToken) -> Self {
        Self {
            running: JoinSet::new(),
            shutdown: shutdown.clone(),
        }
    }

    /// Spawns a task that runs until the shutdown. The host continues if the task completes earlier.
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.running.spawn(async move {
            shutdown.run_until_cancelled(task).await;
            shutdown.cancelled().await;
            Ok(())
        });
    }

    /// Spawns a task that ends by itself at the shutdown. The host stops if the task ends earlier.
    pub(super) fn spawn_essential(
        &mut self,
        task: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        self.running.spawn(task);
    }

    /// Waits until the first task ends.
    pub(super) async fn join_next(&mut self) -> Option<Result<()>> {
        let joined = self.running.join_next().await?;
        Some(
            joined
                .map_err(anyhow::Error::from)
                .and_then(|result| result),
        )
    }

    /// Waits for all tasks, and returns the first error.
    pub(super) async fn join(&mut self) -> Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.join_next().await {
            result = result.and(ended);
        }
        result
    }
}
