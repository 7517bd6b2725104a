//! Leader election: of several replicas, the one that holds a Lease (`coordination.k8s.io/v1`) leads. Other modules see
//! only [`Leadership`].
//!
//! The holder renews the lease. The other replicas read it, and acquire it when it has not changed for its duration on
//! their own clock. Clocks of different machines are never compared. The times in the lease are only for users. Every
//! write has the resource version that it replaces, so only one of several replicas acquires the lease. A holder that
//! cannot renew the lease stops leading well before another replica can acquire it. A replica that ends releases it.

mod lease;

#[cfg(test)]
mod tests;

use std::future::pending;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use stoker_api::names::LEASE;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use lease::{LeaseLock, LeaseState};

/// The duration of a lease that is not renewed.
const LEASE_TIME: Duration = Duration::from_secs(15);
/// A holder that could not renew the lease for this time stops leading. The rest of the duration is for what it has
/// begun, and for clocks that differ in speed.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// The time between two renewals.
const RENEW_PERIOD: Duration = Duration::from_secs(2);
/// The time between two reads of the lease of another replica, and after an error. It is the delay after a release.
const RETRY_PERIOD: Duration = Duration::from_secs(1);
/// The longest read or write of the lease.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// The longest release of the lease.
const RELEASE_TIME: Duration = Duration::from_secs(2);

/// A replica that takes part in the election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The namespace of the lease.
    pub namespace: String,
    /// The name of the replica, which must be unique among the replicas.
    pub identity: String,
}

/// Whether this replica leads.
#[derive(Debug, Clone)]
pub struct Leadership(watch::Receiver<bool>);

impl Leadership {
    /// Returns the leadership of a process without other replicas, which always leads.
    #[must_use]
    pub fn undisputed() -> Self {
        Self(watch::channel(true).1)
    }

    /// Returns whether this replica leads now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until this replica leads.
    pub async fn gained(&mut self) {
        self.becomes(true).await;
    }

    /// Waits until this replica does not lead.
    pub async fn lost(&mut self) {
        self.becomes(false).await;
    }

    async fn becomes(&mut self, wanted: bool) {
        if self.0.wait_for(|held| *held == wanted).await.is_err() {
            // The election has ended, so nothing changes any more.
            pending::<()>().await;
        }
    }
}

/// Takes part in the election until the token is cancelled, and then releases the lease. The election runs only while
/// the future is polled.
pub fn elect(
    client: Client,
    candidate: Candidate,
    shutdown: CancellationToken,
) -> (Leadership, impl Future<Output = ()> + Send) {
    let (sender, receiver) = watch::channel(false);
    let api: Api<Lease> = Api::namespaced(client, &candidate.namespace);
    let election = Election {
        lock: LeaseLock::new(api, LEASE, candidate.identity),
        held: sender,
        renewed: None,
        logged: None,
    };
    (Leadership(receiver), run(election, shutdown))
}

struct Election {
    lock: LeaseLock,
    held: watch::Sender<bool>,
    /// The start of the last successful renewal, or `None` while this replica does not lead.
    renewed: Option<Instant>,
    /// The last message, which is logged once.
    logged: Option<String>,
}

async fn run(mut election: Election, shutdown: CancellationToken) {
    while let Some(pause) = shutdown.run_until_cancelled(election.step()).await {
        if shutdown.run_until_cancelled(sleep(pause)).await.is_none() {
            break;
        }
    }
    if election.held.send_replace(false) {
        tracing::info!("this replica ends and does not lead any more");
    }
    match timeout(RELEASE_TIME, election.lock.release()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = %stoker_report::chain(&error), "the lease could not be released; it expires by itself");
        }
        Err(_) => tracing::warn!(
            "the API server did not answer in time, so the lease was not released; it expires by itself"
        ),
    }
}

impl Election {
    /// Acquires, renews or reads the lease. Returns the time until the next step.
    async fn step(&mut self) -> Duration {
        let begun = Instant::now();
        let deadline = self.renewed.map(|renewed| renewed + RENEW_DEADLINE);
        let until = deadline.map_or(begun + REQUEST_TIME, |deadline| {
            deadline.min(begun + REQUEST_TIME)
        });
        match timeout_at(until, self.lock.acquire_or_renew(begun)).await {
            Ok(Ok(LeaseState::Held)) => {
                self.logged = None;
                self.renewed = Some(begun);
                if !self.held.send_replace(true) {
                    tracing::info!(identity = self.lock.identity(), "this replica leads");
                }
                return RENEW_PERIOD;
            }
            Ok(Ok(LeaseState::HeldByOther { holder })) => {
                self.step_back();
                let message = format!("replica {holder} leads");
                if self.logged.as_ref() != Some(&message) {
                    tracing::info!(holder, "another replica leads");
                    self.logged = Some(message);
                }
            }
            Ok(Err(error)) => self.log_error(&stoker_report::chain(&error).to_string()),
            Err(_) => self.log_error("the API server did not answer in time"),
        }
        let Some(deadline) = deadline.filter(|_| self.renewed.is_some()) else {
            return RETRY_PERIOD;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.step_back();
        }
        // A holder tries again at its deadline, and not after it.
        RETRY_PERIOD.min(left)
    }

    fn log_error(&mut self, error: &str) {
        if self.logged.as_deref() != Some(error) {
            tracing::warn!(error, "the lease cannot be read or written");
            self.logged = Some(error.to_owned());
        }
    }

    fn step_back(&mut self) {
        self.renewed = None;
        if self.held.send_replace(false) {
            tracing::warn!(
                identity = self.lock.identity(),
                "this replica does not lead any more"
            );
        }
    }
}
