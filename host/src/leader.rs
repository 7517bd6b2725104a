//! Which of several replicas leads: the one that holds a Lease (`coordination.k8s.io/v1`). All that others see of it is
//! a channel that says whether this one does.
//!
//! The holder renews its lease. Who waits watches the lease by a clock of its own and takes it when nothing happened for
//! as long as the lease lasts: clocks of different machines are never compared, so the times that are written are for
//! people. Every write names the version that it replaces, so of two who take it at the same time one is refused. A
//! holder that cannot renew steps back well before another may take over, and one that ends gives the lease back.

mod lease;

#[cfg(test)]
mod tests;

use std::future::pending;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use lease::{Claim, Standing};

/// The lease that existing installations know.
const LEASE_NAME: &str = "a86165bb.stoker.io";
/// How long a lease lasts that is not renewed.
const LEASE_TIME: Duration = Duration::from_secs(15);
/// A holder that could not renew for this long steps back. The rest of the lease's time is for what it began and for
/// clocks that differ in speed.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Between two renewals.
const RENEW_PERIOD: Duration = Duration::from_secs(2);
/// Between two looks at somebody else's lease, and after an error: how late it is noticed that a lease was given back.
const RETRY_PERIOD: Duration = Duration::from_secs(1);
/// How long one look or write may take.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// How long giving the lease back may take.
const RELEASE_TIME: Duration = Duration::from_secs(2);

/// A replica that would lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where the lease is.
    pub namespace: String,
    /// Who this is: no other replica may have the same name at the same time.
    pub identity: String,
}

/// What the rest of the process sees of the election: whether this replica leads.
#[derive(Debug, Clone)]
pub struct Leadership(watch::Receiver<bool>);

impl Leadership {
    /// Of a process that is alone: it always leads.
    #[must_use]
    pub fn undisputed() -> Self {
        Self(watch::channel(true).1)
    }

    /// Whether this replica leads at the moment.
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
            // The election has ended, and so nothing changes any more.
            pending::<()>().await;
        }
    }
}

/// Stands for election until it is told to retire; then it gives back what it holds. The future has to be polled for
/// the election to go on.
pub fn stand(
    client: Client,
    candidate: Candidate,
    retire: CancellationToken,
) -> (Leadership, impl Future<Output = ()> + Send) {
    let (sender, receiver) = watch::channel(false);
    let api: Api<Lease> = Api::namespaced(client, &candidate.namespace);
    let claim = Claim::new(api, LEASE_NAME, candidate.identity);
    (
        Leadership(receiver),
        campaign(
            Election {
                claim,
                held: sender,
                renewed: None,
                told: None,
            },
            retire,
        ),
    )
}

struct Election {
    claim: Claim,
    held: watch::Sender<bool>,
    /// When the last renewal that succeeded was begun; none while somebody else leads.
    renewed: Option<Instant>,
    /// The last trouble that was logged.
    told: Option<String>,
}

async fn campaign(mut election: Election, retire: CancellationToken) {
    while let Some(pause) = retire.run_until_cancelled(election.turn()).await {
        if retire.run_until_cancelled(sleep(pause)).await.is_none() {
            break;
        }
    }
    if election.held.send_replace(false) {
        tracing::info!("this replica ends, and leads no more");
    }
    match timeout(RELEASE_TIME, election.claim.release()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = %stoker_report::chain(&error), "the API server did not say whose the lease is, or take it back; one of ours ends by itself");
        }
        Err(_) => tracing::warn!(
            "the API server did not answer in time about the lease; one of ours ends by itself"
        ),
    }
}

impl Election {
    /// Takes or renews the lease, or looks at whose it is. Gives the time until the next turn.
    async fn turn(&mut self) -> Duration {
        let begun = Instant::now();
        let deadline = self.renewed.map(|renewed| renewed + RENEW_DEADLINE);
        let until = deadline.map_or(begun + REQUEST_TIME, |deadline| {
            deadline.min(begun + REQUEST_TIME)
        });
        let standing = timeout_at(until, self.claim.stake(begun)).await;
        match standing {
            Ok(Ok(Standing::Ours)) => {
                self.told = None;
                self.renewed = Some(begun);
                if !self.held.send_replace(true) {
                    tracing::info!(identity = self.claim.identity(), "this replica leads");
                }
                return RENEW_PERIOD;
            }
            Ok(Ok(Standing::Theirs { holder })) => {
                self.step_back();
                let news = format!("replica {holder} leads");
                if self.told.as_ref() != Some(&news) {
                    tracing::info!(holder, "another replica leads");
                    self.told = Some(news);
                }
            }
            Ok(Err(error)) => self.trouble(&stoker_report::chain(&error).to_string()),
            Err(_) => self.trouble("the API server did not answer in time"),
        }
        let Some(deadline) = deadline.filter(|_| self.renewed.is_some()) else {
            return RETRY_PERIOD;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.step_back();
        }
        // A holder looks again at its deadline, and not after it.
        RETRY_PERIOD.min(left)
    }

    fn trouble(&mut self, what: &str) {
        if self.told.as_deref() != Some(what) {
            tracing::warn!(error = what, "the lease cannot be read or written");
            self.told = Some(what.to_owned());
        }
    }

    fn step_back(&mut self) {
        self.renewed = None;
        if self.held.send_replace(false) {
            tracing::warn!(
                identity = self.claim.identity(),
                "this replica leads no more"
            );
        }
    }
}
