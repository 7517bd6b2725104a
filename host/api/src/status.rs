use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// What the controller last found.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::without_null)]
pub struct GatewaySyncStatus {
    /// The generation of the object whose ref was looked at last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the ref in use or its commit last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Time>,
    /// The ref that was resolved last, as it was asked for. It moves when the ref or its commit changes: a new ref on
    /// the same commit counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_ref: Option<String>,
    /// Whether that ref is a tag, a branch, a commit, or something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_ref_kind: Option<SyncedRefKind>,
    /// The commit that the ref was resolved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_commit: Option<String>,
    /// The first seven digits of that commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_commit_short: Option<String>,
    /// The `stoker.io/requested-at` annotation of the request that was handled last, whether or not its ref could be
    /// resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_requested_at: Option<String>,
    /// Whether the ref in use is resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ref_resolution_status: Option<RefResolutionStatus>,
    /// How many profiles the object has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_count: Option<i32>,
    /// The gateways that were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub discovered_gateways: Vec<DiscoveredGateway>,
    /// The state of the object, one aspect each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

impl GatewaySyncStatus {
    /// The condition of a type.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.type_ == type_)
    }
}

/// Whether the ref in use is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum RefResolutionStatus {
    /// Nothing was tried yet.
    NotResolved,
    /// It is being tried.
    Resolving,
    /// It is.
    Resolved,
    /// It could not be resolved.
    Error,
}

/// What a ref turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SyncedRefKind {
    /// A tag.
    Tag,
    /// A branch.
    Branch,
    /// A commit, by its id.
    Commit,
    /// Any other ref.
    Other,
}

/// A gateway that was found, and how far it is.
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
    /// The profile that it chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_status: Option<GatewayState>,
    /// When it was last synced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Time>,
    /// How long that took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_duration: Option<String>,
    /// The commit that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synced_commit: Option<String>,
    /// The ref that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synced_ref: Option<String>,
    /// The version of its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// What the gateway answered when it was told to read its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scan_result: Option<String>,
    /// How many files the last sync changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_changed: Option<i32>,
    /// The projects that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects_synced: Vec<String>,
}

/// How far a gateway is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum GatewayState {
    /// Not synced yet.
    Pending,
    /// Synced.
    Synced,
    /// The last sync failed.
    Error,
    /// Its pod has no agent.
    MissingSidecar,
}
