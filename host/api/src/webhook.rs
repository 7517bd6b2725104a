//! The part of the spec about webhooks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::git::SecretKey;
use super::schema;

/// Which webhooks are accepted for an object, and what they may request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSpec {
    /// The names of the plugins that may detect refs for this object. Without this list, every plugin may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::detectors")]
    pub detectors: Option<Vec<String>>,
    /// The secret with which webhooks for this object are signed, in the object's namespace. The receiver's global
    /// secret is then not accepted for this object. The value may have several lines, each of which is a secret. The
    /// value under the same key with `-previous` appended is accepted too, so that a secret can be rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKey>,
    /// The addresses from which webhooks for this object are accepted, as IP addresses or in CIDR notation. Without
    /// this list, every address is accepted that the receiver accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::allowed_sources")]
    pub allowed_sources: Option<Vec<String>>,
    /// Whether a webhook must be about the repository of this object. Defaults to `lenient`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_check: Option<RepositoryCheck>,
    /// The refs that webhooks may request, as patterns in which `*` matches any text without `/` and `**` matches any
    /// text. A pattern without `refs/` matches tags and branches. A pattern that starts with `!` excludes refs. Without
    /// this list, all tags and branches are accepted, except for the temporary branches of a merge queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ref_patterns")]
    pub refs: Option<Vec<String>>,
    /// The events that are accepted, as the plugins name them, such as `push` or `release.*`. A pattern that starts
    /// with `!` excludes events. A webhook without an event is accepted if all patterns exclude. Without this list, all
    /// events are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::event_patterns")]
    pub events: Option<Vec<String>>,
    /// The versions that are accepted, as a range such as `>=2.0.0 <3.0.0`. A tag that is not a version in this range
    /// is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub semver: Option<String>,
    /// Whether a webhook is ignored if its event happened before the event of the last accepted webhook. Defaults to
    /// `strict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_check: Option<OrderCheck>,
}

/// Whether a webhook must be about the repository of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RepositoryCheck {
    /// The webhook must name the repository, by its full path or its URL.
    Strict,
    /// If the webhook names repositories, one of them must be the object's. The last parts of a path are sufficient.
    #[default]
    Lenient,
    /// The repository is not checked. In YAML, this value must be quoted.
    Off,
}

/// Whether a webhook is ignored if its event happened before the event of the last accepted webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrderCheck {
    /// Earlier events are ignored, by the clock of the sender.
    #[default]
    Strict,
    /// The time of events is not compared, for senders whose clock is wrong. In YAML, this value must be quoted.
    Off,
}
