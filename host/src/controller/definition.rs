//! Which fields of the status the API server drops.
//!
//! A definition of `GatewaySync` that is older than Stoker, such as that of the Go operator, does not have all fields of
//! the status. The API server drops the others without an error.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stoker_api::GatewaySyncStatus;
use tokio::time::Instant;

/// The time for which a dropped field is not written again. The definition may be replaced meanwhile.
const KNOWN_FOR: Duration = Duration::from_secs(30);

/// Names of fields of the status, as in JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    names: BTreeSet<String>,
    /// Whether the host key of an ssh server was ever dropped.
    has_host_key: bool,
}

/// The name of the field with the host key of an ssh server.
pub(super) const HOST_KEY: &str = "sshHostKey";

impl Dropped {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names: BTreeSet<_> = names.into_iter().collect();
        Self {
            has_host_key: names.contains(HOST_KEY),
            names,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns whether a field is dropped.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Returns whether the host key of an ssh server is dropped, as far as is known. A key that the object has proves that
    /// it is not.
    pub(super) fn has_host_key(&self, stored: Option<&GatewaySyncStatus>) -> bool {
        self.has_host_key && stored.is_none_or(|stored| stored.ssh_host_key.is_none())
    }

    /// Returns the names, as in `status.a, status.b`.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self
            .names
            .iter()
            .map(|name| format!("status.{name}"))
            .collect();
        names.join(", ")
    }
}

/// What is known of the definition: the fields that the API server dropped, and when it last did so.
#[derive(Debug, Default)]
pub(super) struct Definition(Mutex<BTreeMap<String, Instant>>);

impl Definition {
    /// Returns the fields that the API server dropped a short time ago.
    pub(super) fn dropped(&self) -> Dropped {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = known.iter().filter(|(_, at)| at.elapsed() < KNOWN_FOR);
        Dropped {
            names: recent.map(|(name, _)| name.clone()).collect(),
            has_host_key: known.contains_key(HOST_KEY),
        }
    }

    /// Stores that the API server has dropped fields. Returns whether one of them was never dropped before.
    pub(super) fn add(&self, dropped: &Dropped) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let before = known.len();
        known.extend(dropped.names.iter().map(|name| (name.clone(), now)));
        known.len() > before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_dropped_field_is_written_again_later() {
        let definition = Definition::default();
        assert!(definition.dropped().is_empty());
        assert!(definition.add(&Dropped::new(["sshHostKey".to_owned()])));
        tokio::time::advance(KNOWN_FOR / 2).await;
        assert!(definition.add(&Dropped::new(["lastSyncRefKind".to_owned()])));
        let names = "status.lastSyncRefKind, status.sshHostKey";
        assert_eq!(definition.dropped().names(), names);
        tokio::time::advance(KNOWN_FOR / 2).await;
        assert_eq!(definition.dropped().names(), "status.lastSyncRefKind");
        assert!(!definition.add(&Dropped::new(["sshHostKey".to_owned()])));
        tokio::time::advance(KNOWN_FOR).await;
        assert!(definition.dropped().is_empty());
        // The conditions do not change with each try.
        assert!(definition.dropped().has_host_key(None));
    }
}
