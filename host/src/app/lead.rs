//! Reconciling, for as long as this replica leads.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::controller::{self, ControllerMetrics};
use crate::git::GitClient;
use crate::leader::{self, Candidate, Leadership};

/// How long passes under way may take to come to their end. Nothing is lost with one that does not: what it was for is
/// still on the object, and the replica that waits for the lease makes it again.
const LONGEST_PASS_END: Duration = Duration::from_secs(1);

/// What reconciles.
pub(super) struct Reconciler {
    pub(super) client: Client,
    pub(super) namespace: Option<String>,
    pub(super) git: Arc<GitClient>,
    pub(super) metrics: ControllerMetrics,
}

impl Reconciler {
    /// Reconciles whenever this replica leads, until it is told to end. One without a candidate is alone, and leads.
    pub(super) async fn run(
        self,
        candidate: Option<Candidate>,
        shutdown: CancellationToken,
    ) -> Result<()> {
        let retire = CancellationToken::new();
        let (leadership, election) = match candidate {
            Some(candidate) => {
                let (leadership, election) =
                    leader::stand(self.client.clone(), candidate, retire.clone());
                (leadership, election.boxed())
            }
            None => (Leadership::undisputed(), std::future::ready(()).boxed()),
        };
        let reconciling = async {
            let result = self.while_leading(leadership, shutdown).await;
            // The lease is given back when nothing is written any more.
            retire.cancel();
            result
        };
        tokio::join!(reconciling, election).0
    }

    async fn while_leading(
        &self,
        mut leadership: Leadership,
        shutdown: CancellationToken,
    ) -> Result<()> {
        loop {
            self.metrics.set_leading(false);
            if shutdown
                .run_until_cancelled(leadership.gained())
                .await
                .is_none()
            {
                return Ok(());
            }
            self.metrics.set_leading(true);
            let passes = controller::run(
                self.client.clone(),
                self.namespace.as_deref(),
                Arc::clone(&self.git),
                self.metrics.clone(),
                shutdown.clone(),
            );
            tokio::select! {
                ended = passes => return ended.context("the controller ended"),
                // Passes that are under way are dropped: before long another replica makes them.
                () = leadership.lost() => self.metrics.forget_all(),
                () = overdue(&shutdown) => {
                    tracing::warn!("what is reconciled at the end is left to the next start, or the next leader");
                    return Ok(());
                }
            }
        }
    }
}

async fn overdue(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(LONGEST_PASS_END).await;
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_in_time_where_the_api_server_never_answers() {
        let silent = tower::service_fn(|_: http::Request<kube::client::Body>| {
            std::future::pending::<Result<http::Response<kube::client::Body>, tower::BoxError>>()
        });
        let reconciler = Reconciler {
            client: Client::new(silent, "default"),
            namespace: None,
            git: Arc::new(GitClient::new().unwrap()),
            metrics: ControllerMetrics::register(&mut Registry::default()),
        };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(reconciler.run(None, shutdown.clone()));
        tokio::time::sleep(Duration::from_mins(1)).await;
        let told = Instant::now();
        shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_mins(10), running).await;
        ended.expect("it never ends").unwrap().unwrap();
        assert!(told.elapsed() <= LONGEST_PASS_END + Duration::from_millis(1));
    }
}
