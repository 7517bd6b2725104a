//! The part of the spec about profiles.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which files are copied to which gateways.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncSpec {
    /// The values of fields that a profile does not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<SyncDefaults>,
    /// The profiles by name. Each gateway uses one of them.
    #[schemars(extend("minProperties" = 1))]
    // In boxes, because a map with one value has space for eleven.
    pub profiles: BTreeMap<String, Box<SyncProfile>>,
}

/// The values of fields that a profile does not set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncDefaults {
    /// Patterns of files that no profile copies.
    #[serde(default = "exclude_patterns")]
    pub exclude_patterns: Vec<String>,
    /// The variables of the templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// The time between two syncs of an agent, in seconds.
    #[serde(default = "sync_period")]
    #[schemars(range(min = 5, max = 3600))]
    pub sync_period: i32,
    /// What an agent does while a designer is open on the gateway.
    #[serde(default)]
    pub designer_session_policy: DesignerSessionPolicy,
    /// Whether agents count the changes without making them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Whether agents stop syncing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// The values that the API server applies to an empty `defaults`. They hold without `defaults` too.
impl Default for SyncDefaults {
    fn default() -> Self {
        Self {
            exclude_patterns: exclude_patterns(),
            vars: BTreeMap::new(),
            sync_period: sync_period(),
            designer_session_policy: DesignerSessionPolicy::default(),
            dry_run: None,
            paused: None,
        }
    }
}

/// The files and settings for one kind of gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncProfile {
    /// The files to copy, in this order. A later mapping overwrites the files of an earlier one.
    #[schemars(length(min = 1))]
    pub mappings: Vec<Mapping>,
    /// Patterns of files that are not copied, in addition to those of the defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_patterns: Vec<String>,
    /// The variables of the templates. They override those of the defaults, key by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// The time between two syncs of an agent, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 3600))]
    pub sync_period: Option<i32>,
    /// Whether agents count the changes without making them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Whether agents stop syncing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// What an agent does while a designer is open on the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub designer_session_policy: Option<DesignerSessionPolicy>,
    /// What an agent does with files that were changed on the gateway since its last sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_policy: Option<DriftPolicy>,
    /// Whether a gateway may start although its first sync failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_without_sync: Option<bool>,
    /// The number of files that an agent deletes in one sync without a confirmation. Without it, half of the managed
    /// files, and at least 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 0))]
    pub max_deletes: Option<i64>,
}

/// A file or directory of the repository and its destination on the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mapping {
    /// The path in the repository. It may be a template.
    #[schemars(length(min = 1))]
    pub source: String,
    /// The path below the gateway's data directory. It may be a template.
    #[schemars(length(min = 1))]
    pub destination: String,
    /// The required type of the source.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<MappingType>,
    /// Whether a missing source is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Whether the files are templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<bool>,
    /// Values to set in JSON files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<FilePatch>,
}

/// Values to set in JSON files of a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FilePatch {
    /// A pattern of the files to change, relative to the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The values by their path in the file.
    #[schemars(extend("minProperties" = 1))]
    pub set: BTreeMap<String, String>,
}

/// The required type of a mapping's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MappingType {
    /// A directory.
    Dir,
    /// A file.
    File,
}

/// What an agent does while a designer is open on the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DesignerSessionPolicy {
    /// The agent syncs.
    #[default]
    Proceed,
    /// The agent waits until the designer is closed.
    Wait,
    /// The agent does not sync and reports an error.
    Fail,
}

/// What an agent does with files that were changed on the gateway since its last sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriftPolicy {
    /// The agent reports the files.
    #[default]
    Report,
    /// The agent writes the files of the commit again.
    Repair,
}

fn exclude_patterns() -> Vec<String> {
    ["**/.git/", "**/.gitkeep", "**/.resources/**"]
        .map(str::to_owned)
        .to_vec()
}

fn sync_period() -> i32 {
    30
}
