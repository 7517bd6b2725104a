//! The custom resource, and what its annotations mean.

use kube::{CustomResource, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::git::GitSource;
use super::names::{self, annotation};
use super::requested_over;
use super::schema;
use super::status::GatewaySyncStatus;
use super::sync::SyncSpec;
use super::webhook::WebhookSpec;

/// Which files are synced to which gateways.
#[derive(CustomResource, Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "stoker.io",
    version = "v1alpha1",
    kind = "GatewaySync",
    plural = "gatewaysyncs",
    singular = "gatewaysync",
    shortname = "gs",
    namespaced,
    doc = "Keeps a set of gateways at the commit of a git ref.",
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
    /// The git repository and the ref that the gateways follow.
    pub git: GitSource,
    /// How often the repository is checked for a new commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polling: Option<Polling>,
    /// How agents connect to their gateways.
    pub gateway: Gateway,
    /// Which files are copied to which gateways.
    pub sync: SyncSpec,
    /// Whether the controller stops resolving and publishing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// The agent container in each gateway's pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Agent>,
    /// Which webhooks are accepted for this object, and what they may request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSpec>,
}

impl GatewaySync {
    /// Returns the ref that is requested by annotation, unless it is empty.
    #[must_use]
    pub fn requested_ref(&self) -> Option<&str> {
        self.annotation(annotation::REQUESTED_REF)
            .filter(|text| !text.is_empty())
    }

    /// Returns the ref that the gateways should run: the requested one, otherwise `spec.git.ref`. A request that is
    /// superseded does not count.
    #[must_use]
    pub fn effective_ref(&self) -> &str {
        let requested = self.requested_ref();
        requested
            .filter(|_| !self.is_request_superseded())
            .unwrap_or(&self.spec.git.git_ref)
    }

    /// Returns the value that `spec.git.ref` had when the ref was requested, if it is known.
    #[must_use]
    pub fn requested_over(&self) -> Option<&str> {
        requested_over::overridden_ref(
            self.annotation(annotation::REQUESTED_OVER)?,
            self.requested_ref()?,
            self.requested_at()?,
        )
    }

    /// Returns whether `spec.git.ref` was changed after the request to something else than the requested ref.
    #[must_use]
    pub fn is_request_superseded(&self) -> bool {
        let spec_ref = self.spec.git.git_ref.as_str();
        self.requested_ref().is_some_and(|requested| {
            requested_over::is_superseded(requested, spec_ref, self.requested_over())
        })
    }

    /// Returns the time of the last request by annotation, unless it is empty.
    #[must_use]
    pub fn requested_at(&self) -> Option<&str> {
        self.annotation(annotation::REQUESTED_AT)
            .filter(|text| !text.is_empty())
    }

    /// Returns whether the controller has not handled the last request yet.
    #[must_use]
    pub fn has_unhandled_request(&self) -> bool {
        let status = self.status.as_ref();
        let handled = status.and_then(|status| status.last_handled_requested_at.as_deref());
        let requested = self.requested_at();
        requested.is_some() && requested != handled
    }

    /// Returns the commit that the sender of the request announced, unless it is empty. It counts only if the note about
    /// the overridden ref belongs to the request, because a person may have changed only the ref.
    #[must_use]
    pub fn requested_commit(&self) -> Option<&str> {
        self.requested_over()?;
        self.annotation(annotation::REQUESTED_COMMIT)
            .filter(|text| !text.is_empty())
    }

    /// Returns the ssh host key that a person accepted by annotation, unless it is empty.
    #[must_use]
    pub fn accepted_host_key(&self) -> Option<&str> {
        self.annotation(annotation::ACCEPTED_HOST_KEY)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// Returns whether the object has the controller's finalizer.
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
    /// Returns whether the object is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.unwrap_or(false)
    }
}

/// How often the repository is checked for a new commit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Polling {
    /// Whether the repository is checked without a webhook.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// The time between two checks, such as `30s`, `5m` or `1h30m`. Zero or less disables polling.
    #[serde(default = "interval", deserialize_with = "filled_interval")]
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

/// How agents connect to their gateways.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// The port of the gateway's HTTP interface. Zero means the default.
    // The API server does not apply the format `int32`, so any integer may be stored.
    #[serde(default = "gateway_port", deserialize_with = "filled_port")]
    #[schemars(with = "i32", default = "gateway_port")]
    pub port: i64,
    /// Whether agents connect over TLS.
    #[serde(default = "disabled")]
    pub tls: bool,
    /// How agents authenticate to the gateway's API.
    pub api: GatewayApi,
}

/// How agents authenticate to the gateway's API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayApi {
    /// The name of the Secret that holds the API key.
    #[schemars(length(min = 1))]
    pub secret_name: String,
    /// The key in the data of the Secret. An empty text means the default.
    #[serde(default = "secret_key", deserialize_with = "filled_secret_key")]
    pub secret_key: String,
}

/// The agent container in each gateway's pod.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// The container image of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<AgentImage>,
    /// The resource requirements of the agent's container, as in a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resource_requirements")]
    pub resources: Option<serde_json::Value>,
}

/// The container image of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentImage {
    /// The repository of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The tag of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The pull policy of the image, as in a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<String>,
}

fn enabled() -> bool {
    true
}

fn interval() -> String {
    "60s".to_owned()
}

fn gateway_port() -> i64 {
    8088
}

fn disabled() -> bool {
    false
}

fn secret_key() -> String {
    "apiKey".to_owned()
}

fn filled_interval<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    filled(value, interval)
}

fn filled_port<'de, D: Deserializer<'de>>(value: D) -> Result<i64, D::Error> {
    filled(value, gateway_port)
}

fn filled_secret_key<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    filled(value, secret_key)
}

/// Reads a field whose default also replaces zero and an empty text, which templates without a value write. The Go
/// operator reads them in this way.
fn filled<'de, D, T>(value: D, default: fn() -> T) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + PartialEq,
{
    let value = T::deserialize(value)?;
    let is_filled = value != T::default();
    Ok(if is_filled { value } else { default() })
}
