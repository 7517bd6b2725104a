use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

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
