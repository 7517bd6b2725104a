//! The ConfigMaps in which the commits of the objects are published, and what they contain: the agents of an object
//! follow the commit in its ConfigMap.
//!
//! The ref may have moved on: a commit is not published while a Secret is missing, or while the ConfigMap cannot be
//! written. The age of a publication does not depend on the clock of the machine, except for one of an earlier process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use stoker_api::detection::{CommitId, ObjectKey};
use stoker_api::names::metadata_key;
use stoker_api::{GatewaySync, GatewaySyncStatus};
use tokio::time::Instant;

use super::dereference::Present;
use super::own_writes::OwnWrites;
use super::ownership::{self, Writer};

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

    /// Returns what the agents follow once a commit is published. A commit that was published before keeps its age.
    pub(super) fn next(before: Option<&Self>, commit: &CommitId) -> Self {
        let same = before.filter(|before| before.commit == commit.as_str());
        same.cloned()
            .unwrap_or_else(|| Self::new(commit.as_str(), Duration::ZERO))
    }

    /// Returns the time since the publication.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// The published ConfigMaps, by object. A deleted object is removed.
#[derive(Debug, Default)]
pub(super) struct PublishedMaps {
    /// How they were written.
    pub(super) writes: Arc<OwnWrites>,
    /// The commits in them.
    commits: Mutex<HashMap<ObjectKey, PublishedCommit>>,
}

impl PublishedMaps {
    /// Returns the commit in the ConfigMap of an object, and notes it.
    pub(super) fn find(
        &self,
        key: &ObjectKey,
        sync: &GatewaySync,
        present: &Present,
        now: Timestamp,
    ) -> Option<PublishedCommit> {
        let known = self.lock().get(key).cloned();
        let found = match present {
            Present::Written(_) => return known,
            Present::Read(found) => found.as_deref(),
        };
        let found = found.and_then(|found| commit(key, sync, found));
        let published = found.map(|found| {
            let known = known.filter(|known| known.commit == found);
            known.unwrap_or_else(|| PublishedCommit::found(found, sync.status.as_ref(), now))
        });
        match &published {
            Some(published) => self.set(key, published),
            None => drop(self.lock().remove(key)),
        }
        published
    }

    /// Notes the commit in the ConfigMap of an object.
    pub(super) fn set(&self, key: &ObjectKey, published: &PublishedCommit) {
        self.lock().insert(key.clone(), published.clone());
    }

    /// Forgets an object.
    pub(super) fn forget(&self, key: &ObjectKey) {
        self.writes.forget(key);
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, PublishedCommit>> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the commit in the ConfigMap of an object.
fn commit<'a>(key: &ObjectKey, sync: &GatewaySync, found: &'a ConfigMap) -> Option<&'a str> {
    let uid = sync.uid();
    ownership::check(&found.metadata, key, uid.as_deref(), Writer::Controller).ok()?;
    let commit = found.data.as_ref()?.get(metadata_key::COMMIT)?;
    Some(commit)
}
