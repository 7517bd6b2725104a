//! What the agent reports about its gateway: one entry of the ConfigMap `stoker-status-NAME`, as one JSON line.
//!
//! The names and the order of the fields are those of the Go agent. `history` is an addition that its controller ignores.

mod duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use duration::go_duration;

/// The number of syncs in the history. Fifty gateways of one object need less than 100 KiB of the ConfigMap's 1 MiB.
const HISTORY: usize = 5;
/// The longest message of a report, in bytes.
const MESSAGE_BYTES: usize = 1024;
/// The longest text in the history, in bytes.
const HISTORY_TEXT_BYTES: usize = 120;
/// The largest number of projects in a report.
const PROJECTS: usize = 256;
/// The version of the agent in reports.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The state of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum SyncStatus {
    /// The gateway has not confirmed the files, or the sync waits.
    #[default]
    Pending,
    /// The gateway has the commit.
    Synced,
    /// The last sync failed.
    Error,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Report {
    /// The state.
    pub(crate) sync_status: SyncStatus,
    /// The commit whose files are on the gateway, or an empty text if it is unknown.
    pub(crate) synced_commit: String,
    /// The ref that led to the commit.
    pub(crate) synced_ref: String,
    /// The time of the report, in RFC 3339 format in UTC.
    pub(crate) last_sync_time: String,
    /// The time that the files took, such as `1.204s`. It is empty after an error.
    pub(crate) last_sync_duration: String,
    /// The version of the agent.
    pub(crate) agent_version: String,
    /// The gateway's answer to the last scan.
    pub(crate) last_scan_result: String,
    /// The number of files that were added, modified and deleted.
    pub(crate) files_changed: i32,
    /// The projects on the gateway, or `None` if there are none or after an error.
    pub(crate) projects_synced: Option<Vec<String>>,
    /// What went wrong, or what the sync waits for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) error_message: String,
    /// The profile.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) profile_name: String,
    /// Whether the changes were only counted.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) dry_run: bool,
    /// The number of files that a dry run would add.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) dry_run_diff_added: i32,
    /// The number of files that a dry run would modify.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) dry_run_diff_modified: i32,
    /// The number of files that a dry run would delete.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) dry_run_diff_deleted: i32,
    /// Whether the sync waits for designers.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) designer_sessions_blocked: bool,
    /// The last syncs, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) history: Vec<Record>,
}

/// One sync of the history.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Record {
    /// The time at which it ended.
    pub(crate) time: String,
    /// The commit that was to be synced.
    pub(crate) commit: String,
    /// The author of the commit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) author: String,
    /// Whether the commit was synced.
    pub(crate) result: SyncResult,
    /// The number of files that were added.
    pub(crate) added: usize,
    /// The number of files that were modified.
    pub(crate) modified: usize,
    /// The number of files that were deleted.
    pub(crate) deleted: usize,
    /// The duration.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) duration: String,
    /// What went wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
}

/// The result of a sync in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SyncResult {
    /// The commit was synced.
    #[default]
    Success,
    /// The sync failed.
    Error,
}

impl Report {
    /// Parses an entry. An entry of others that is unusable counts as empty.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Returns the entry as one line.
    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Returns the report with the version and the time, and with bounded texts.
    #[must_use]
    pub(crate) fn finish(mut self, now: Timestamp) -> Self {
        self.last_sync_time = rfc3339(now);
        VERSION.clone_into(&mut self.agent_version);
        self.bound()
    }

    /// Returns the report with bounded texts.
    #[must_use]
    pub(crate) fn bound(mut self) -> Self {
        shorten(&mut self.error_message, MESSAGE_BYTES);
        shorten(&mut self.last_scan_result, MESSAGE_BYTES);
        if let Some(projects) = &mut self.projects_synced {
            projects.truncate(PROJECTS);
        }
        self.projects_synced.take_if(|projects| projects.is_empty());
        self
    }

    /// Returns whether two reports are equal apart from their times.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        let at_the_same_time = Self {
            last_sync_time: other.last_sync_time.clone(),
            ..self.clone()
        };
        at_the_same_time == *other
    }

    /// Puts a sync into the history. A failure that is equal to the last one only replaces it.
    pub(crate) fn remember(&mut self, mut record: Record) {
        shorten(&mut record.message, HISTORY_TEXT_BYTES);
        shorten(&mut record.author, HISTORY_TEXT_BYTES);
        let is_same = |last: &Record| {
            record.result == SyncResult::Error
                && (&last.commit, &last.message) == (&record.commit, &record.message)
        };
        if self.history.first().is_some_and(is_same) {
            self.history.remove(0);
        }
        self.history.insert(0, record);
        self.history.truncate(HISTORY);
    }
}

/// Returns a time in RFC 3339 format in UTC, in whole seconds.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second())
        .unwrap_or(time)
        .to_string()
}

fn shorten(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests;
