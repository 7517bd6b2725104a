use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is copied where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncSpec {
    /// What holds for every profile that says nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<SyncDefaults>,
    /// The profiles by name. A gateway chooses one.
    #[schemars(extend("minProperties" = 1))]
    pub profiles: BTreeMap<String, SyncProfile>,
}

/// What holds for every profile that says nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncDefaults {
    /// Patterns of files that are never copied.
    #[serde(default = "exclude_patterns")]
    pub exclude_patterns: Vec<String>,
    /// Values for templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// Seconds between two syncs of an agent.
    #[serde(default = "sync_period")]
    #[schemars(range(min = 5, max = 3600))]
    pub sync_period: i32,
    /// What to do while a designer is open on the gateway.
    #[serde(default)]
    pub designer_session_policy: DesignerSessionPolicy,
    /// Whether agents only count what they would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Whether agents copy nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

/// What a cluster fills in where `defaults` is there and empty, which is also what holds where it is absent.
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

/// What one kind of gateway gets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncProfile {
    /// What is copied where, in this order: the later goes over the earlier.
    #[schemars(length(min = 1))]
    pub mappings: Vec<Mapping>,
    /// Patterns of files that are not copied, besides the default ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_patterns: Vec<String>,
    /// Values for templates. They go over the default ones, key by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// Seconds between two syncs of an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 3600))]
    pub sync_period: Option<i32>,
    /// Whether agents only count what they would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Whether agents copy nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// What to do while a designer is open on the gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub designer_session_policy: Option<DesignerSessionPolicy>,
}

/// One file or folder of the repository and its place on the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mapping {
    /// The path in the repository. It may be a template.
    #[schemars(length(min = 1))]
    pub source: String,
    /// The path below the gateway's data folder. It may be a template.
    #[schemars(length(min = 1))]
    pub destination: String,
    /// What the source must be.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<MappingType>,
    /// Whether it is an error that the source is missing.
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
    /// A pattern of the files below the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Values by their path inside the file.
    #[schemars(extend("minProperties" = 1))]
    pub set: BTreeMap<String, String>,
}

/// What the source of a mapping must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MappingType {
    /// A folder.
    Dir,
    /// A file.
    File,
}

/// What to do while a designer is open on the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DesignerSessionPolicy {
    /// Sync all the same.
    #[default]
    Proceed,
    /// Wait until it is closed.
    Wait,
    /// Do not sync, and report an error.
    Fail,
}

fn exclude_patterns() -> Vec<String> {
    ["**/.git/", "**/.gitkeep", "**/.resources/**"]
        .map(str::to_owned)
        .to_vec()
}

fn sync_period() -> i32 {
    30
}
