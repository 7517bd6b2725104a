//! What an agent reports about its gateway: one entry of the ConfigMap `stoker-status-NAME`. Pure.
//!
//! Each agent writes its own entry, and programs of others can write them too. So each field is read by itself, and an
//! unusable field does not hide the others.

use jiff::Timestamp;
use jiff::tz::Offset;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value};
use stoker_api::{DiscoveredGateway, GatewayState};
use stoker_report::excerpt;

/// The largest entry in bytes. Go agents write some hundred bytes, and one line for each project.
const ENTRY_BYTES: usize = 64 << 10;
/// The largest text of a field in bytes.
const TEXT_BYTES: usize = 256;
/// The largest number of projects of a gateway.
const PROJECTS: usize = 128;
/// The form of a time up to its seconds. A `0` stands for any digit.
const TO_SECONDS: &str = "0000-00-00T00:00:00";
/// The forms of the end of a time.
const OFFSETS: [&str; 3] = ["Z", "+00:00", "-00:00"];

/// The reason why an entry is unreadable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::controller) enum ReportError {
    /// The entry is too large.
    #[error("it has {0} bytes, and at most {ENTRY_BYTES} are read")]
    TooLarge(usize),
    /// The entry is not a JSON object.
    #[error("it is not a JSON object ({0})")]
    Json(String),
}

/// The readable fields of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report(Map<String, Value>);

impl Report {
    /// Parses an entry.
    pub(super) fn parse(text: &str) -> Result<Self, ReportError> {
        if text.len() > ENTRY_BYTES {
            return Err(ReportError::TooLarge(text.len()));
        }
        match serde_json::from_str(text) {
            Ok(fields) => Ok(Self(fields)),
            // The error of an entry that is one large text quotes it.
            Err(error) => Err(ReportError::Json(excerpt(&error.to_string()))),
        }
    }

    /// Replaces the fields of a gateway that an agent reports.
    pub(super) fn apply(&self, gateway: &mut DiscoveredGateway) {
        gateway.sync_status = self.state();
        gateway.message = self.text("errorMessage");
        gateway.last_sync_time = self.time();
        gateway.last_sync_duration = self.text("lastSyncDuration");
        gateway.synced_commit = self.text("syncedCommit");
        gateway.synced_ref = self.text("syncedRef");
        gateway.agent_version = self.text("agentVersion");
        gateway.last_scan_result = self.text("lastScanResult");
        gateway.files_changed = self
            .0
            .get("filesChanged")
            .and_then(Value::as_i64)
            .filter(|count| i32::try_from(*count).is_ok_and(|count| count != 0));
        let projects = self.0.get("projectsSynced").and_then(Value::as_array);
        let names = projects.into_iter().flatten().filter_map(Value::as_str);
        gateway.projects_synced = names.take(PROJECTS).map(shortened).collect();
    }

    /// The state of the sync. A state of a later version of the agent is an error, because it is not known to be
    /// success.
    fn state(&self) -> Option<GatewayState> {
        match self.0.get("syncStatus").and_then(Value::as_str) {
            None | Some("") => None,
            Some("Pending") => Some(GatewayState::Pending),
            Some("Synced") => Some(GatewayState::Synced),
            Some(_) => Some(GatewayState::Error),
        }
    }

    /// The time of the last sync, in whole seconds, as the API keeps times.
    fn time(&self) -> Option<Time> {
        parse_time(self.0.get("lastSyncTime")?.as_str()?).map(Time)
    }

    fn text(&self, name: &str) -> Option<String> {
        let text = self.0.get(name)?.as_str()?;
        (!text.is_empty()).then(|| shortened(text))
    }
}

/// Parses a time of RFC 3339, without its fraction of a second.
///
/// The library parses more forms, and also years that RFC 3339 cannot represent. The API server would refuse a status
/// with such a year, and so all of its changes.
fn parse_time(text: &str) -> Option<Timestamp> {
    let (seconds, rest) = text.split_at_checked(TO_SECONDS.len())?;
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            (offset.len() < fraction.len()).then_some(offset)?
        }
        None => rest,
    };
    let is_offset = OFFSETS.iter().any(|form| has_form(offset, form));
    if !is_offset || !has_form(seconds, TO_SECONDS) {
        return None;
    }
    let time: Timestamp = format!("{seconds}{offset}").parse().ok()?;
    // The offset can lead to a day before the year 0.
    (Offset::UTC.to_datetime(time).year() >= 0).then_some(time)
}

/// Returns whether a text has a form, in which a `0` stands for any digit.
fn has_form(text: &str, form: &str) -> bool {
    let mut pairs = text.bytes().zip(form.bytes());
    text.len() == form.len()
        && pairs.all(|(found, form)| match form {
            b'0' => found.is_ascii_digit(),
            form => found == form,
        })
}

/// Returns the part of a text that is shown.
pub(super) fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(entry: &Value) -> Value {
        let mut gateway = DiscoveredGateway::default();
        Report::parse(&entry.to_string())
            .unwrap()
            .apply(&mut gateway);
        let Value::Object(mut fields) = serde_json::to_value(gateway).unwrap() else {
            panic!("not an object");
        };
        for own in ["name", "namespace", "podName"] {
            fields.remove(own);
        }
        fields.into()
    }

    #[test]
    fn every_field_is_shown() {
        let entry = json!({
            "syncStatus": "Error", "syncedCommit": "4f", "syncedRef": "main", "lastSyncTime": "2026-04-01T12:00:00.5+02:00",
            "lastSyncDuration": "640ms", "agentVersion": "0.5.1", "lastScanResult": "projects=200 config=200",
            "filesChanged": 4, "projectsSynced": ["boiler"], "profileName": "edge", "errorMessage": "git fetch: gone",
        });
        let shown = json!({
            "syncStatus": "Error", "syncedCommit": "4f", "syncedRef": "main", "lastSyncTime": "2026-04-01T10:00:00Z",
            "lastSyncDuration": "640ms", "agentVersion": "0.5.1", "lastScanResult": "projects=200 config=200",
            "filesChanged": 4, "projectsSynced": ["boiler"], "message": "git fetch: gone",
        });
        assert_eq!(applied(&entry), shown);
    }

    #[test]
    fn an_unusable_field_does_not_hide_the_others() {
        for (entry, shown) in [
            (json!({}), json!({})),
            (json!({"syncStatus": "", "syncedCommit": ""}), json!({})),
            (
                json!({"syncStatus": "Done"}),
                json!({"syncStatus": "Error"}),
            ),
            (
                json!({"syncStatus": "Synced", "lastSyncTime": "yesterday"}),
                json!({"syncStatus": "Synced"}),
            ),
            (
                json!({"syncedRef": "v1", "syncedCommit": 7, "projectsSynced": ["a", 1, "b"], "filesChanged": "many"}),
                json!({"syncedRef": "v1", "projectsSynced": ["a", "b"]}),
            ),
            (
                json!({"projectsSynced": null, "filesChanged": 0}),
                json!({}),
            ),
            (json!({"filesChanged": 1_i64 << 40}), json!({})),
        ] {
            assert_eq!(applied(&entry), shown, "{entry}");
        }
    }

    #[test]
    fn only_times_that_the_status_can_have_are_shown() {
        for (text, expected) in [
            ("2026-11-26T00:05:52Z", Some("2026-11-26T00:05:52Z")),
            (
                "2026-11-26T00:05:52.123456789012-01:30",
                Some("2026-11-26T01:35:52Z"),
            ),
            ("0000-01-01T00:00:00Z", Some("0000-01-01T00:00:00Z")),
            ("9999-12-30T21:00:00Z", Some("9999-12-30T21:00:00Z")),
            ("-000001-01-01T00:00:00Z", None),
            ("0000-01-01T00:00:00+23:59", None),
            ("+010000-01-01T00:00:00Z", None),
            ("2026-11-26 00:05:52Z", None),
            ("20261126T000552Z", None),
            ("2026-11-26T00:05:52Z[Europe/Berlin]", None),
            ("2026-11-26T00:05:52+01", None),
            ("2026-11-26T00:05:52.Z", None),
            ("2026-11-26T00:05:52", None),
            ("2026-11-26T00:05:5\u{e9}Z", None),
            ("2026-02-30T00:00:00Z", None),
        ] {
            let shown = applied(&json!({"lastSyncTime": text}));
            assert_eq!(
                shown.get("lastSyncTime"),
                expected.map(Value::from).as_ref(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_shown_is_bounded() {
        let entry = json!({
            "errorMessage": "\u{e9}".repeat(1000),
            "projectsSynced": vec!["p".repeat(300); 150],
        });
        let shown = applied(&entry);
        assert_eq!(shown["message"].as_str().unwrap().len(), 256);
        let projects = shown["projectsSynced"].as_array().unwrap();
        assert_eq!(projects.len(), 128);
        assert_eq!(projects[0].as_str().unwrap().len(), 256);
    }

    #[test]
    fn an_unreadable_entry_is_an_error() {
        for (entry, reason) in [
            ("", "it is not a JSON object (EOF"),
            ("{\"syncStatus\":", "it is not a JSON object (EOF"),
            ("[]", "it is not a JSON object (invalid type"),
            (
                &" ".repeat(70_000),
                "it has 70000 bytes, and at most 65536 are read",
            ),
        ] {
            let error = Report::parse(entry).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
        let large = format!("{:?}", "a".repeat(60_000));
        assert!(Report::parse(&large).unwrap_err().to_string().len() < 256);
    }
}
