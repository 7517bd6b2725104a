use kube::{CustomResource, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::git::GitSource;
use super::names::{self, annotation};
use super::schema;
use super::status::GatewaySyncStatus;
use super::sync::SyncSpec;

/// What to sync to which gateways.
#[derive(CustomResource, Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "stoker.io",
    version = "v1alpha1",
    kind = "GatewaySync",
    plural = "gatewaysyncs",
    singular = "gatewaysync",
    shortname = "gs",
    namespaced,
    doc = "Keeps a set of gateways in step with a ref of a git repository.",
    derive = "PartialEq",
    status = "GatewaySyncStatus",
    printcolumn = r#"{"name":"Ref","type":"string","jsonPath":".status.lastSyncRef"}"#,
    printcolumn = r#"{"name":"Gateways","type":"string","jsonPath":".status.conditions[?(@.type==\"AllGatewaysSynced\")].message"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Commit","type":"string","jsonPath":".status.lastSyncCommitShort","priority":1}"#,
    printcolumn = r#"{"name":"Profiles","type":"integer","jsonPath":".status.profileCount","priority":1}"#,
    printcolumn = r#"{"name":"Last Sync","type":"date","jsonPath":".status.lastSyncTime","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::without_null)]
pub struct GatewaySyncSpec {
    /// The repository, and the ref of it that the gateways follow.
    pub git: GitSource,
    /// How often the repository is asked whether the ref has moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polling: Option<Polling>,
    /// How the agents reach their gateways.
    pub gateway: Gateway,
    /// What is copied where.
    pub sync: SyncSpec,
    /// While true, nothing is resolved or published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// The agent beside each gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
    /// Which webhooks are taken for this object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSpec>,
}

impl GatewaySync {
    /// The ref that was asked for by annotation, unless it is empty.
    #[must_use]
    pub fn requested_ref(&self) -> Option<&str> {
        self.annotation(annotation::REQUESTED_REF)
            .filter(|text| !text.is_empty())
    }

    /// When something was last asked for by annotation.
    #[must_use]
    pub fn requested_at(&self) -> Option<&str> {
        self.annotation(annotation::REQUESTED_AT)
            .filter(|text| !text.is_empty())
    }

    /// Whether the object holds the controller's finalizer.
    #[must_use]
    pub fn has_finalizer(&self) -> bool {
        self.finalizers()
            .iter()
            .any(|name| name == names::FINALIZER)
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations().get(name).map(String::as_str)
    }
}

impl GatewaySyncSpec {
    /// Whether the object is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.unwrap_or(false)
    }
}

/// How often the repository is asked whether the ref has moved.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Polling {
    /// Whether the repository is asked at all without a webhook.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// The time between two looks, such as `30s`, `5m` or `1h30m`. Zero or less means no polling.
    #[serde(default = "interval")]
    pub interval: String,
}

impl Default for Polling {
    fn default() -> Self {
        Self {
            enabled: enabled(),
            interval: interval(),
        }
    }
}

/// How the agents reach their gateways.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// The port of the gateway's HTTP interface.
    #[serde(default = "gateway_port")]
    pub port: i32,
    /// Whether the gateway is spoken to over TLS.
    #[serde(default = "no")]
    pub tls: bool,
    /// The gateway's API.
    pub api: GatewayApi,
}

/// The gateway's API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayApi {
    /// The Secret that holds the API key.
    #[schemars(length(min = 1))]
    pub secret_name: String,
    /// The key inside the Secret.
    #[serde(default = "secret_key")]
    pub secret_key: String,
}

/// The agent beside each gateway.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// The image of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<AgentImage>,
    /// What the agent's container asks for and may use, as in a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_requirements")]
    pub resources: Option<serde_json::Value>,
}

/// The image of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentImage {
    /// The repository of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The tag of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// When the image is pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<String>,
}

/// Which webhooks are taken for an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSpec {
    /// The plugins that may answer for this object, by name. Without this list, any plugin may.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::detectors")]
    pub detectors: Option<Vec<String>>,
}

fn enabled() -> bool {
    true
}

fn interval() -> String {
    "60s".to_owned()
}

fn gateway_port() -> i32 {
    8088
}

fn no() -> bool {
    false
}

fn secret_key() -> String {
    "apiKey".to_owned()
}
