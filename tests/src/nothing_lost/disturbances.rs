//! What fails during the run, in a fixed order at fixed times.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, sleep_until};

use super::NAMESPACE;
use super::verdict::{Kind, Window};
use crate::control_plane::ControlPlane;
use crate::stoker_process::StokerProcess;

/// The lease of the leader election.
const LEASE: &str = "a86165bb.stoker.io";
/// The time for which the API server is stopped.
const STOP_TIME: Duration = Duration::from_secs(15);
/// The time for which the API server is paused, which is less than the time that a sender waits.
const PAUSE_TIME: Duration = Duration::from_secs(5);
/// The time until a killed replica is started again.
const RESTART_TIME: Duration = Duration::from_secs(1);
/// The time limit for a replica to lead. A lease that is not released is valid for 15 seconds.
const LEADER_LIMIT: Duration = Duration::from_secs(40);

#[derive(Clone, Copy)]
enum Step {
    KillReplica(usize),
    StopApiServer,
    PauseApiServer,
    TerminateLeader,
}

/// The steps, each with the share of the run after which it begins.
const STEPS: [(f64, Step); 5] = [
    (0.10, Step::KillReplica(0)),
    (0.25, Step::StopApiServer),
    (0.50, Step::PauseApiServer),
    (0.60, Step::KillReplica(1)),
    (0.75, Step::TerminateLeader),
];

/// The servers that fail.
pub(super) struct Disturbances<'a> {
    pub(super) plane: &'a mut ControlPlane,
    pub(super) replicas: &'a mut [StokerProcess; 2],
    pub(super) client: Client,
    pub(super) start: Instant,
    pub(super) time: Duration,
}

impl Disturbances<'_> {
    /// Runs all steps, and returns when each of them happened.
    pub(super) async fn run(mut self) -> Result<Vec<Window>> {
        let mut windows = Vec::with_capacity(STEPS.len());
        for (share, step) in STEPS {
            sleep_until(self.start + self.time.mul_f64(share)).await;
            let from = self.start.elapsed();
            let kind = self.take(step).await?;
            let to = self.start.elapsed();
            windows.push(Window { kind, from, to });
            if let Step::TerminateLeader = step {
                self.leader().await?;
            }
        }
        Ok(windows)
    }

    async fn take(&mut self, step: Step) -> Result<Kind> {
        match step {
            Step::KillReplica(index) => {
                let replica = &mut self.replicas[index];
                replica.kill();
                sleep(RESTART_TIME).await;
                replica.start().await?;
                Ok(Kind::Replica)
            }
            Step::StopApiServer => {
                self.plane.stop_api_server();
                sleep(STOP_TIME).await;
                self.plane.start_api_server().await?;
                Ok(Kind::ApiServer)
            }
            Step::PauseApiServer => {
                self.plane.pause_api_server(true)?;
                sleep(PAUSE_TIME).await;
                self.plane.pause_api_server(false)?;
                Ok(Kind::ApiServer)
            }
            Step::TerminateLeader => {
                let leader = self.leader().await?;
                self.replicas[leader].terminate().await?;
                let next = self.leader().await?;
                ensure!(next != leader, "the leader did not change");
                self.replicas[leader].start().await?;
                Ok(Kind::Replica)
            }
        }
    }

    /// Returns the index of the replica that holds the lease, as soon as one does.
    async fn leader(&self) -> Result<usize> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
        let deadline = Instant::now() + LEADER_LIMIT;
        loop {
            let lease = leases.get(LEASE).await.context("cannot read the lease")?;
            let holder = lease.spec.and_then(|spec| spec.holder_identity);
            let index = self
                .replicas
                .iter()
                .position(|replica| Some(replica.name()) == holder.as_deref());
            if let Some(index) = index {
                return Ok(index);
            }
            ensure!(Instant::now() < deadline, "no replica leads");
            sleep(Duration::from_millis(100)).await;
        }
    }
}
