//! The lock of one replica on one lease: the version that was read last, and the writes that replace only this version.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use tokio::time::Instant;

use super::LEASE_TIME;

/// The duration of a released lease. The API server does not accept a duration of zero.
const RELEASED_SECONDS: i32 = 1;

/// The holder of the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LeaseState {
    Held,
    HeldByOther { holder: String },
}

/// The lock of one replica.
pub(super) struct LeaseLock {
    api: Api<Lease>,
    name: &'static str,
    identity: String,
    observed: Option<Observed>,
}

/// The lease as it was read last, and since when it has been unchanged, on the clock of this process.
struct Observed {
    lease: Lease,
    since: Instant,
}

impl LeaseLock {
    pub(super) fn new(api: Api<Lease>, name: &'static str, identity: String) -> Self {
        Self {
            api,
            name,
            identity,
            observed: None,
        }
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Renews the lease, acquires it if it is free, or returns which replica holds it.
    pub(super) async fn acquire_or_renew(
        &mut self,
        now: Instant,
    ) -> Result<LeaseState, kube::Error> {
        // A holder replaces the version that it wrote last. That fails if another replica has written since.
        if let Some(state) = self.renew(now).await? {
            return Ok(state);
        }
        let Some(lease) = self.api.get_opt(self.name).await? else {
            return self.create(now).await;
        };
        // The renewal of another replica may be as recent as the answer. An own write is as old as its request.
        let seen = Instant::now();
        self.observe(lease, seen);
        let Some(observed) = &self.observed else {
            return Ok(self.held_by_other());
        };
        if !is_free(observed, &self.identity, seen) {
            return Ok(self.held_by_other());
        }
        let acquired = held(&observed.lease, &self.identity);
        self.write(acquired, now).await
    }

    /// Releases the lease, if this replica holds it.
    pub(super) async fn release(&self) -> Result<(), kube::Error> {
        // The answer to the last write may have been lost, so the lease is read again.
        let Some(mut lease) = self.api.get_opt(self.name).await? else {
            return Ok(());
        };
        if holder(&lease) != Some(&self.identity) {
            return Ok(());
        }
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(RELEASED_SECONDS);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        self.api
            .replace(self.name, &PostParams::default(), &lease)
            .await?;
        Ok(())
    }

    async fn renew(&mut self, now: Instant) -> Result<Option<LeaseState>, kube::Error> {
        let own = self
            .observed
            .as_ref()
            .filter(|observed| holder(&observed.lease) == Some(&self.identity));
        let Some(observed) = own else {
            return Ok(None);
        };
        let renewed = held(&observed.lease, &self.identity);
        let written = self.replace(renewed, now).await?;
        Ok(written.then_some(LeaseState::Held))
    }

    async fn create(&mut self, now: Instant) -> Result<LeaseState, kube::Error> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.to_owned()),
                ..ObjectMeta::default()
            },
            spec: None,
        };
        let lease = held(&lease, &self.identity);
        match self.api.create(&PostParams::default(), &lease).await {
            Ok(written) => {
                self.observe(written, now);
                Ok(LeaseState::Held)
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(self.held_by_other()),
            Err(error) => Err(error),
        }
    }

    async fn write(&mut self, lease: Lease, now: Instant) -> Result<LeaseState, kube::Error> {
        if self.replace(lease, now).await? {
            Ok(LeaseState::Held)
        } else {
            Ok(self.held_by_other())
        }
    }

    /// Replaces the version that was read last. Returns false if there is another version by now.
    async fn replace(&mut self, lease: Lease, now: Instant) -> Result<bool, kube::Error> {
        let answer = self
            .api
            .replace(self.name, &PostParams::default(), &lease)
            .await;
        match answer {
            Ok(written) => {
                self.observe(written, now);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn observe(&mut self, lease: Lease, now: Instant) {
        let since = match &self.observed {
            Some(observed) if observed.lease.spec == lease.spec => observed.since,
            _ => now,
        };
        self.observed = Some(Observed { lease, since });
    }

    fn held_by_other(&self) -> LeaseState {
        let holder = self
            .observed
            .as_ref()
            .and_then(|observed| holder(&observed.lease));
        LeaseState::HeldByOther {
            holder: holder.unwrap_or("unknown").to_owned(),
        }
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// Whether the lease can be acquired: it has no holder, this replica is the holder, or it has expired.
fn is_free(observed: &Observed, identity: &str, now: Instant) -> bool {
    let Some(holder) = holder(&observed.lease) else {
        return true;
    };
    let seconds = observed
        .lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds);
    let time = seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(LEASE_TIME, Duration::from_secs);
    holder == identity || now.saturating_duration_since(observed.since) >= time
}

/// The lease with this replica as its holder.
fn held(lease: &Lease, identity: &str) -> Lease {
    let mut lease = lease.clone();
    let is_renewal = holder(&lease) == Some(identity);
    let spec = lease.spec.get_or_insert_default();
    let now = MicroTime(Timestamp::now());
    if !is_renewal {
        spec.acquire_time = Some(now.clone());
        let before = spec.lease_transitions;
        spec.lease_transitions = Some(before.map_or(0, |count| count.saturating_add(1)));
    }
    *spec = LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(LEASE_TIME.as_secs()).ok(),
        renew_time: Some(now),
        ..std::mem::take(spec)
    };
    lease
}
