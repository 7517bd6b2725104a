use serde::{Deserialize, Serialize};

/// What a plugin says of a payload: what a payload file expects, and what was said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Expectation {
    /// It announces these refs.
    Found(Vec<Announced>),
    /// There is nothing to do, for this reason.
    Ignored(String),
    /// It is malformed in this way.
    Malformed(String),
    /// Another format; also where the pre-filter keeps the plugin from being asked.
    NotMine(bool),
    /// There is no answer, or no plugin. A file gives a part of the text, since the rest may be measured.
    Failed(String),
}

/// One ref that is announced.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Announced {
    /// The ref.
    pub r#ref: String,
    /// The commit that it points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The repository's names and addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// When it happened; compared as a time, whatever its offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<jiff::Timestamp>,
    /// The sender's id of the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<String>,
}

impl Expectation {
    /// Whether this is what was expected.
    #[must_use]
    pub fn is_met_by(&self, said: &Self) -> bool {
        match (self, said) {
            (Self::Failed(part), Self::Failed(text)) => text.contains(part.as_str()),
            _ => self == said,
        }
    }

    /// One or two words for a table.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Ignored(_) => "ignored",
            Self::Malformed(_) => "malformed",
            Self::NotMine(_) => "not mine",
            Self::Failed(_) => "failed",
        }
    }
}
