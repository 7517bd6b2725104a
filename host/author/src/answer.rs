//! What a plugin answers to a payload file.

use serde::{Deserialize, Serialize};

/// The answer of a plugin to a delivery. A payload file holds the expected answer; a test run produces the actual one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The delivery announces these refs.
    Found(Vec<FoundRef>),
    /// The delivery is of the plugin's format and requires no action, for this reason.
    Ignored(String),
    /// The delivery is of the plugin's format and is malformed. The text is the error.
    Malformed(String),
    /// The delivery is of another format, or the pre-filter excludes it. The value is always true.
    NotMine(bool),
    /// The plugin gave no answer or cannot be used. A payload file holds a part of the text, because the rest may hold
    /// measured values.
    Failed(String),
}

/// One ref that a delivery announces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FoundRef {
    /// The ref.
    pub r#ref: String,
    /// The kind of a bare ref, if the plugin knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ref_kind: Option<RefKind>,
    /// The commit that the ref points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The names and addresses of the repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// What happened, in the words of the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The time of the event. Times are equal if they are the same instant, whatever their offsets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<jiff::Timestamp>,
    /// The sender's id of the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<String>,
}

/// The kind of a bare ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RefKind {
    /// A tag.
    Tag,
}

impl Answer {
    /// Reports whether `actual` matches this expected answer.
    #[must_use]
    pub fn matches(&self, actual: &Self) -> bool {
        match (self, actual) {
            (Self::Failed(part), Self::Failed(text)) => text.contains(part.as_str()),
            _ => self == actual,
        }
    }

    /// Returns the kind of the answer, for a table.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Ignored(_) => "ignored",
            Self::Malformed(_) => "malformed",
            Self::NotMine(_) => "not mine",
            Self::Failed(_) => "failed",
        }
    }
}
