//! One claim to one lease: what is known of it, and the writes that only the known version lets through.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use tokio::time::Instant;

use super::LEASE_TIME;

/// The shortest lease there is. A lease that is given back says so, since it must last for more than nothing.
const GIVEN_BACK_SECONDS: i32 = 1;

/// Whose the lease is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Ours,
    Theirs { holder: String },
}

pub(super) struct Claim {
    api: Api<Lease>,
    name: &'static str,
    identity: String,
    known: Option<Known>,
}

/// The lease as it was seen last, and since when it has been like that, by the clock of this process.
struct Known {
    lease: Lease,
    since: Instant,
}

impl Claim {
    pub(super) fn new(api: Api<Lease>, name: &'static str, identity: String) -> Self {
        Self {
            api,
            name,
            identity,
            known: None,
        }
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Renews the lease, takes it where it is free, or tells whose it is.
    pub(super) async fn stake(&mut self, now: Instant) -> Result<Standing, kube::Error> {
        // A holder knows what it wrote last, and is refused if that is not the last word.
        if let Some(standing) = self.renew(now).await? {
            return Ok(standing);
        }
        let Some(lease) = self.api.get_opt(self.name).await? else {
            return self.create(now).await;
        };
        // Somebody else's renewal may be as young as the answer; a write of our own is as old as its question.
        let seen = Instant::now();
        self.learn(lease, seen);
        let Some(known) = &self.known else {
            return Ok(self.theirs());
        };
        if !is_free(known, &self.identity, seen) {
            return Ok(self.theirs());
        }
        let taken = held(&known.lease, &self.identity);
        self.write(taken, now).await
    }

    /// Gives the lease back, if it is ours.
    pub(super) async fn release(&self) -> Result<(), kube::Error> {
        // What was written last may have been cut off before its answer came, so what is known does not count.
        let Some(mut lease) = self.api.get_opt(self.name).await? else {
            return Ok(());
        };
        if holder(&lease) != Some(&self.identity) {
            return Ok(());
        }
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(GIVEN_BACK_SECONDS);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        self.api
            .replace(self.name, &PostParams::default(), &lease)
            .await?;
        Ok(())
    }

    async fn renew(&mut self, now: Instant) -> Result<Option<Standing>, kube::Error> {
        let ours = self
            .known
            .as_ref()
            .filter(|known| holder(&known.lease) == Some(&self.identity));
        let Some(known) = ours else {
            return Ok(None);
        };
        let renewed = held(&known.lease, &self.identity);
        let written = self.replace(renewed, now).await?;
        Ok(written.then_some(Standing::Ours))
    }

    async fn create(&mut self, now: Instant) -> Result<Standing, kube::Error> {
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
                self.learn(written, now);
                Ok(Standing::Ours)
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(self.theirs()),
            Err(error) => Err(error),
        }
    }

    async fn write(&mut self, lease: Lease, now: Instant) -> Result<Standing, kube::Error> {
        if self.replace(lease, now).await? {
            Ok(Standing::Ours)
        } else {
            Ok(self.theirs())
        }
    }

    /// Replaces the version that is known. False where there is another by now, which then is to be read.
    async fn replace(&mut self, lease: Lease, now: Instant) -> Result<bool, kube::Error> {
        let answer = self
            .api
            .replace(self.name, &PostParams::default(), &lease)
            .await;
        match answer {
            Ok(written) => {
                self.learn(written, now);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn learn(&mut self, lease: Lease, now: Instant) {
        let since = match &self.known {
            Some(known) if known.lease.spec == lease.spec => known.since,
            _ => now,
        };
        self.known = Some(Known { lease, since });
    }

    fn theirs(&self) -> Standing {
        let holder = self.known.as_ref().and_then(|known| holder(&known.lease));
        Standing::Theirs {
            holder: holder.unwrap_or("somebody else").to_owned(),
        }
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// Whether the lease can be taken: it is nobody's, it is ours, or it was not renewed for as long as it lasts.
fn is_free(known: &Known, identity: &str, now: Instant) -> bool {
    let Some(holder) = holder(&known.lease) else {
        return true;
    };
    let seconds = known
        .lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds);
    let time = seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(LEASE_TIME, Duration::from_secs);
    holder == identity || now.saturating_duration_since(known.since) >= time
}

/// The lease as we would have it.
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
