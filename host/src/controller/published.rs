//! The commits that the agents of the objects follow, and since when.
//!
//! The ref may have moved on: a commit is not published while a Secret is missing, or while the ConfigMap cannot be
//! written. The age of a publication does not depend on the clock of the machine, except for one of an earlier process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use stoker_api::detection::ObjectKey;
use stoker_api::names::metadata_key;
use stoker_api::{GatewaySync, GatewaySyncStatus};
use tokio::time::Instant;

use super::dereference::Present;
use super::ownership::{self, Writer};
use super::publish::Publication;
use super::resolve::Resolution;

/// A commit that the agents of an object follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublishedCommit {
    pub(super) commit: String,
    since: Instant,
}

impl PublishedCommit {
    /// Returns a commit that was published this time ago.
    pub(super) fn new(commit: &str, age: Duration) -> Self {
        let now = Instant::now();
        Self {
            commit: commit.to_owned(),
            since: now.checked_sub(age).unwrap_or(now),
        }
    }

    /// Returns a commit that an earlier process, or another program, published. The status tells when, unless it has a
    /// later commit.
    fn found(commit: &str, status: Option<&GatewaySyncStatus>, now: Timestamp) -> Self {
        let is_last =
            |status: &&GatewaySyncStatus| status.last_sync_commit.as_deref() == Some(commit);
        let last = status.filter(is_last);
        let at = last.and_then(|status| status.last_sync_time.as_ref());
        let age = at.and_then(|at| Duration::try_from(now.duration_since(at.0)).ok());
        Self::new(commit, age.unwrap_or_default())
    }

    /// Returns the time since the publication.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// Returns what the agents follow after a publication.
pub(super) fn after(
    before: Option<&PublishedCommit>,
    publication: &Publication,
    resolution: &Resolution,
) -> Option<PublishedCommit> {
    match (publication, resolution) {
        (Publication::Published, Resolution::Resolved(resolved)) => {
            let commit = resolved.found.commit.as_str();
            let same = before.filter(|before| before.commit == commit).cloned();
            same.or_else(|| Some(PublishedCommit::new(commit, Duration::ZERO)))
        }
        _ => before.cloned(),
    }
}

/// The published commits, by object. A deleted object is removed.
#[derive(Debug, Default)]
pub(super) struct PublishedCommits(Mutex<HashMap<ObjectKey, PublishedCommit>>);

impl PublishedCommits {
    /// Returns what the agents of an object follow before a publication.
    pub(super) fn before(
        &self,
        key: &ObjectKey,
        sync: &GatewaySync,
        present: &Present,
        now: Timestamp,
    ) -> Option<PublishedCommit> {
        let known = self.lock().get(key).cloned();
        let found = match present {
            Present::Written(_) => return known,
            Present::Read(found) => commit(key, sync, found.as_deref()?)?,
        };
        let known = known.filter(|known| known.commit == found);
        Some(known.unwrap_or_else(|| PublishedCommit::found(found, sync.status.as_ref(), now)))
    }

    /// Notes what the agents of an object follow.
    pub(super) fn set(&self, key: &ObjectKey, published: Option<&PublishedCommit>) {
        match published {
            Some(published) => self.lock().insert(key.clone(), published.clone()),
            None => self.lock().remove(key),
        };
    }

    /// Forgets an object.
    pub(super) fn forget(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, PublishedCommit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the commit in the ConfigMap of an object.
fn commit<'a>(key: &ObjectKey, sync: &GatewaySync, found: &'a ConfigMap) -> Option<&'a str> {
    let uid = sync.uid();
    ownership::check(&found.metadata, key, uid.as_deref(), Writer::Controller).ok()?;
    let commit = found.data.as_ref()?.get(metadata_key::COMMIT)?;
    Some(commit)
}
