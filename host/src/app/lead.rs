//! Reconciling, for as long as this replica leads.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::controller::{self, ControllerMetrics};
use crate::git::GitClient;
use crate::leader::{self, Candidate, Leadership};

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
            }
        }
    }
}
