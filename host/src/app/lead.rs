//! Runs the controller while this replica is the leader.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use stoker_git::GitClient;
use tokio_util::sync::CancellationToken;

use crate::cluster::leader::{self, Candidate, Leadership};
use crate::controller::Controller;

/// The time limit for unfinished passes at shutdown. The next leader repeats an aborted pass, because the request is
/// still on the object.
const PASS_DEADLINE: Duration = Duration::from_secs(1);

/// Runs the controller while this replica is the leader.
pub(super) struct Reconciler(pub(super) Controller<GitClient>);

impl Reconciler {
    /// Reconciles while this replica is the leader, until the shutdown. Without a candidate, there is no election and
    /// this replica is the leader.
    pub(super) async fn run(
        self,
        candidate: Option<Candidate>,
        shutdown: CancellationToken,
    ) -> Result<()> {
        let retire = CancellationToken::new();
        let (leadership, election) = match candidate {
            Some(candidate) => {
                let (leadership, election) =
                    leader::elect(self.0.client.clone(), candidate, retire.clone());
                (leadership, election.boxed())
            }
            None => (Leadership::undisputed(), std::future::ready(()).boxed()),
        };
        let reconciling = async {
            let result = self.while_leading(leadership, shutdown).await;
            // The lease is released after the last write.
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
            self.0.metrics.set_leading(false);
            if shutdown
                .run_until_cancelled(leadership.gained())
                .await
                .is_none()
            {
                return Ok(());
            }
            self.0.metrics.set_leading(true);
            tokio::select! {
                ended = self.0.run(shutdown.clone()) => return ended.context("the controller ended"),
                // Unfinished passes are dropped. The new leader repeats them.
                () = leadership.lost() => {
                    self.0.lookups.clear();
                    self.0.metrics.forget_all();
                }
                () = past_deadline(&shutdown) => {
                    tracing::warn!("some passes did not finish before the shutdown; the next leader repeats them");
                    return Ok(());
                }
            }
        }
    }
}

async fn past_deadline(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(PASS_DEADLINE).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_client::registry::Registry;
    use tokio::time::Instant;

    use super::*;
    use crate::cluster::events::EventQueue;
    use crate::cluster::watch_backoff::WatchMetrics;
    use crate::cluster::written::WrittenObjects;
    use crate::controller::ControllerMetrics;
    use crate::fake_client;
    use crate::lookups::{LookupMetrics, Lookups};

    #[tokio::test(start_paused = true)]
    async fn ends_in_time_if_the_api_server_does_not_answer() {
        let (events, _) = EventQueue::new("test");
        let reconciler = Reconciler(Controller {
            events,
            watches: WatchMetrics::default(),
            client: fake_client::silent(),
            namespace: None,
            agent_role: None,
            lookups: Lookups::new(
                Arc::new(GitClient::new().unwrap()),
                LookupMetrics::default(),
            ),
            metrics: ControllerMetrics::register(&mut Registry::default()),
            written: WrittenObjects::default(),
        });
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(reconciler.run(None, shutdown.clone()));
        tokio::time::sleep(Duration::from_mins(1)).await;
        let cancelled_at = Instant::now();
        shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_mins(10), running).await;
        ended
            .expect("the reconciler does not end")
            .unwrap()
            .unwrap();
        assert!(cancelled_at.elapsed() <= PASS_DEADLINE + Duration::from_millis(1));
    }
}
