//! The status of an object, and what can be counted in it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::detection::CommitId;
use super::names::condition;
use super::{messages, schema};

/// The most recently observed state.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::without_null)]
pub struct GatewaySyncStatus {
    /// The generation of the object whose ref the controller last tried to resolve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The time of the last change of `lastSyncRef` or `lastSyncCommit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Time>,
    /// The ref that was last resolved, as it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_ref: Option<String>,
    /// The kind of `lastSyncRef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_ref_kind: Option<SyncedRefKind>,
    /// The commit that the ref was resolved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_commit: Option<String>,
    /// The first seven digits of `lastSyncCommit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_commit_short: Option<String>,
    /// The `stoker.io/requested-at` annotation of the last handled request, even if its ref was not resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_requested_at: Option<String>,
    /// Whether the ref is resolved to a commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ref_resolution_status: Option<RefResolutionStatus>,
    /// The number of profiles.
    // The API server does not apply the format `int32`, so any integer may be stored. This also holds for `filesChanged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>")]
    pub profile_count: Option<i64>,
    /// The discovered gateways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub discovered_gateways: Vec<DiscoveredGateway>,
    /// The host key that the ssh server showed first. It is set only if `spec.git.auth.sshKey` has no `knownHosts`, and
    /// then no other key is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_host_key: Option<SshHostKey>,
    /// The latest conditions of the object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

impl GatewaySyncStatus {
    /// Returns the condition of the given type.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.type_ == type_)
    }

    /// Returns the number of gateways that are synced, at whatever commit, and of all gateways. The status lists only a
    /// part of them if there are many.
    #[must_use]
    pub fn gateway_counts(&self) -> (usize, usize) {
        let listed = &self.discovered_gateways;
        let counts = self
            .condition(condition::ALL_GATEWAYS_SYNCED)
            .and_then(|found| messages::gateway_counts(&found.message));
        counts
            .filter(|(synced, count)| *count > listed.len() && synced <= count)
            .unwrap_or_else(|| {
                let synced = listed.iter().filter(|one| one.is_synced()).count();
                (synced, listed.len())
            })
    }

    /// Returns the number of gateways that are synced at the commit in the status, and of all gateways. Those that are
    /// synced at another commit are listed before those that are synced at this one.
    #[must_use]
    pub fn gateways_at_commit(&self) -> (usize, usize) {
        let (synced, count) = self.gateway_counts();
        let commit = self.last_sync_commit.as_deref().unwrap_or_default();
        let listed = &self.discovered_gateways;
        let at_commit = listed
            .iter()
            .filter(|one| one.is_synced() && one.has_commit(commit));
        let last_is_at_commit = listed.last().is_some_and(|last| last.has_commit(commit));
        if count > listed.len() && !last_is_at_commit {
            // Those that are not listed may be at another commit, too.
            return (at_commit.count(), count);
        }
        let others = listed
            .iter()
            .filter(|one| one.is_synced() && !one.has_commit(commit))
            .count();
        (synced.saturating_sub(others), count)
    }
}

/// The host key of an ssh server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct SshHostKey {
    /// The server, as `host:port`.
    pub server: String,
    /// The algorithm and the fingerprint of the key, such as `ssh-ed25519 SHA256:…`.
    pub key: String,
}

/// Whether the ref is resolved to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum RefResolutionStatus {
    /// The controller did not try to resolve the ref yet.
    NotResolved,
    /// The controller is resolving the ref.
    Resolving,
    /// The ref is resolved.
    Resolved,
    /// The ref could not be resolved.
    Error,
}

/// The kind of a resolved ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SyncedRefKind {
    /// A tag.
    Tag,
    /// A branch.
    Branch,
    /// A full commit id.
    Commit,
    /// Any other ref.
    Other,
}

/// A discovered gateway and the state of its sync.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveredGateway {
    /// The name of the gateway.
    pub name: String,
    /// The namespace of its pod.
    pub namespace: String,
    /// The name of its pod.
    pub pod_name: String,
    /// The service account of its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// The profile that it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The state of its sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_status: Option<GatewayState>,
    /// The error that its agent reported last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The time of its last sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Time>,
    /// The duration of its last sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_duration: Option<String>,
    /// The commit on the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synced_commit: Option<String>,
    /// The ref on the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synced_ref: Option<String>,
    /// The version of its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// The gateway's answer to the last request to scan its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scan_result: Option<String>,
    /// The number of files that its last sync changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>")]
    pub files_changed: Option<i64>,
    /// The projects on the gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects_synced: Vec<String>,
}

impl DiscoveredGateway {
    /// Returns whether it is synced, at whatever commit.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.sync_status == Some(GatewayState::Synced)
    }

    /// Returns why its sync failed, with its name, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let mut reported = [&self.message, &self.last_scan_result]
            .into_iter()
            .flatten();
        let why = reported.next();
        let why = why.map_or("its agent reports an error", String::as_str);
        (self.sync_status == Some(GatewayState::Error))
            .then(|| format!("gateway {}: {why}", self.name))
    }

    /// Returns whether it runs a commit. Its agent may report an abbreviation of the commit.
    #[must_use]
    pub fn has_commit(&self, commit: &str) -> bool {
        let synced = self.synced_commit.as_deref();
        synced.is_some_and(|synced| {
            synced.len() >= CommitId::SHORT_DIGITS && commit.starts_with(synced)
        })
    }
}

/// The state of a gateway's sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum GatewayState {
    /// The gateway is not synced yet.
    Pending,
    /// The gateway is synced.
    Synced,
    /// The last sync failed.
    Error,
    /// Its pod has no agent.
    MissingSidecar,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(message: Option<&str>, gateways: &[(&str, &str)]) -> GatewaySyncStatus {
        let gateways: Vec<Value> = gateways
            .iter()
            .map(|(state, commit)| {
                json!({"name": "g", "namespace": "n", "podName": "g", "syncStatus": state, "syncedCommit": commit})
            })
            .collect();
        let conditions: Vec<Value> = message
            .into_iter()
            .map(|message| {
                json!({
                    "type": "AllGatewaysSynced", "status": "True", "reason": "Test", "message": message,
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                })
            })
            .collect();
        let status = json!({
            "lastSyncCommit": "a".repeat(40), "discoveredGateways": gateways, "conditions": conditions,
        });
        serde_json::from_value(status).expect("a status")
    }

    #[test]
    fn gateways_are_counted_even_if_they_are_not_listed() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let two = [("Synced", a.as_str()), ("Synced", b.as_str())];
        let in_rank = [two[1], two[0]];
        for (message, gateways, all, at_commit) in [
            (None, two.as_slice(), (2, 2), (1, 2)),
            (None, &[("Synced", "aaaaaaa")], (1, 1), (1, 1)),
            (None, &[("Synced", "aaa"), ("Synced", "")], (2, 2), (0, 2)),
            (None, &[("Error", &a), ("Pending", &a)], (0, 2), (0, 2)),
            (None, &[], (0, 0), (0, 0)),
            // The last of the list is at another commit, so those that are not listed may be, too.
            (Some("3/4 synced"), &two, (3, 4), (1, 4)),
            (Some("3/4 synced"), &in_rank, (3, 4), (2, 4)),
            (
                Some("4/4 synced (1 missing sidecar)"),
                &in_rank,
                (4, 4),
                (3, 4),
            ),
            // What disagrees with the list is not used.
            (Some("1/1 synced"), &two, (2, 2), (1, 2)),
            (Some("9/4 synced"), &two, (2, 2), (1, 2)),
            (Some("many"), &two, (2, 2), (1, 2)),
        ] {
            let status = status(message, gateways);
            assert_eq!(status.gateway_counts(), all, "{message:?} {gateways:?}");
            assert_eq!(
                status.gateways_at_commit(),
                at_commit,
                "{message:?} {gateways:?}"
            );
        }
    }
}
