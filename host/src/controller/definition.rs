//! Which fields of the status the API server drops.
//!
//! A definition of `GatewaySync` that is older than Stoker, such as that of the Go operator, does not have all fields of
//! the status. The API server drops the others without an error.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stoker_api::GatewaySyncStatus;
use tokio::time::Instant;

/// The time for which dropped fields are not written again. The definition may be replaced meanwhile.
const KNOWN_FOR: Duration = Duration::from_mins(10);

/// Names of fields of the status, as in JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dropped(BTreeSet<String>);

impl Dropped {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the host key of an ssh server is dropped.
    pub(super) fn has_host_key(&self) -> bool {
        self.0.contains("sshHostKey")
    }

    /// Removes the fields from a status. What it then has is what the API server stores of it.
    pub(super) fn remove_from(&self, status: &mut GatewaySyncStatus) {
        if self.is_empty() {
            return;
        }
        if self.has_host_key() {
            status.ssh_host_key = None;
        }
        if self.0.contains("lastHandledRequestedAt") {
            status.last_handled_requested_at = None;
        }
        if self.0.contains("lastSyncRefKind") {
            status.last_sync_ref_kind = None;
        }
        // These are as new as the other fields. A dropped field of a list is not noticed.
        for gateway in &mut status.discovered_gateways {
            gateway.message = None;
        }
    }

    /// Returns the names, as in `status.a, status.b`.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|name| format!("status.{name}")).collect();
        names.join(", ")
    }
}

/// What is known of the definition.
#[derive(Debug, Default)]
pub(super) struct Definition(Mutex<Option<(Dropped, Instant)>>);

impl Definition {
    /// Returns the fields that the API server dropped a short time ago.
    pub(super) fn dropped(&self) -> Dropped {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = known.as_ref().filter(|(_, at)| at.elapsed() < KNOWN_FOR);
        recent
            .map(|(dropped, _)| dropped.clone())
            .unwrap_or_default()
    }

    /// Stores that the API server has dropped fields.
    pub(super) fn add(&self, dropped: &Dropped) {
        let mut all = self.dropped();
        all.0.extend(dropped.0.iter().cloned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((all, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn dropped_fields_are_written_again_later() {
        let definition = Definition::default();
        assert!(definition.dropped().is_empty());
        definition.add(&Dropped::new(["sshHostKey".to_owned()]));
        definition.add(&Dropped::new(["lastSyncRefKind".to_owned()]));
        let names = "status.lastSyncRefKind, status.sshHostKey";
        assert_eq!(definition.dropped().names(), names);
        tokio::time::advance(KNOWN_FOR).await;
        assert!(definition.dropped().is_empty());
    }
}
