//! Tests of a plugin without a host.

mod payload_file;
mod random;

use serde_json::Value;

pub use payload_file::{check_payloads, check_payloads_with};
pub use random::check_random_requests;

use crate::{Detection, Kind, Malformed, Outcome, PreFilter, Request, Settings, text};

/// A delivery for tests. The JSON text at a pointer does not contain the white space of the body.
#[derive(Debug, Clone, Default)]
pub struct SampleRequest {
    headers: Vec<(String, String)>,
    settings: Vec<(String, String)>,
    json: Option<Value>,
    body: Vec<u8>,
}

impl SampleRequest {
    /// A delivery with this body, without headers and settings.
    #[must_use]
    pub fn json(body: Value) -> Self {
        Self {
            body: body.to_string().into_bytes(),
            json: Some(body),
            ..Self::default()
        }
    }

    /// A delivery with this body, JSON or not, without headers and settings.
    pub fn bytes(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            json: serde_json::from_slice(&body).ok(),
            body,
            ..Self::default()
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Configures a setting.
    #[must_use]
    pub fn with_setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// Returns whether a host would ask a plugin with this pre-filter.
    #[must_use]
    pub fn is_for(&self, filter: &PreFilter) -> bool {
        let PreFilter { headers, pointers } = filter;
        let asks_always = headers.is_empty() && pointers.is_empty();
        asks_always
            || headers.iter().any(|name| self.header(name).is_some())
            || pointers.iter().any(|pointer| self.at(pointer).is_some())
    }

    fn at(&self, pointer: &str) -> Option<&Value> {
        self.json.as_ref()?.pointer(pointer)
    }
}

impl Settings for SampleRequest {
    fn setting(&self, key: &str) -> Option<String> {
        self.settings
            .iter()
            .find(|(other, _)| other == key)
            .map(|(_, value)| value.clone())
    }
}

impl Request for SampleRequest {
    fn header(&self, name: &str) -> Option<String> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    }

    fn string_at(&self, pointer: &str) -> Option<String> {
        self.at(pointer)?.as_str().map(String::from)
    }

    fn kind_at(&self, pointer: &str) -> Option<Kind> {
        self.at(pointer).map(|value| match value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Boolean,
            Value::Number(_) => Kind::Number,
            Value::String(_) => Kind::Text,
            Value::Array(_) => Kind::Array,
            Value::Object(_) => Kind::Object,
        })
    }

    fn len_at(&self, pointer: &str) -> Option<u32> {
        let len = match self.at(pointer)? {
            Value::Array(elements) => elements.len(),
            Value::Object(members) => members.len(),
            _ => return None,
        };
        u32::try_from(len).ok()
    }

    fn json_at(&self, pointer: &str) -> Option<String> {
        self.at(pointer).map(Value::to_string)
    }

    fn body(&self) -> Vec<u8> {
        self.body.clone()
    }
}

/// Panics if a host would refuse an answer, or treat it as a fault of the plugin.
fn assert_sound(said: &Result<Outcome, Malformed>, of: &dyn std::fmt::Debug) {
    match said {
        Ok(Outcome::NotMine) => {}
        Ok(Outcome::Ignored(reason)) => {
            assert!(!reason.is_empty(), "ignored without a reason: {of:?}");
        }
        Err(Malformed(why)) => assert!(!why.is_empty(), "malformed without a word: {of:?}"),
        Ok(Outcome::Found(found)) => {
            assert!(!found.is_empty(), "found, and named no ref: {of:?}");
            assert!(found.iter().all(is_sound), "{found:?} of {of:?}");
        }
    }
}

fn is_sound(one: &Detection) -> bool {
    let has_text = |text: &String| !text.is_empty();
    has_text(&one.git_ref)
        && one.commit.as_deref().is_none_or(text::is_commit_id)
        && one.repositories.iter().all(has_text)
        && one.occurred_at.as_deref().is_none_or(text::is_timestamp)
        && one.delivery_id.iter().all(has_text)
        && one.attributes.iter().all(|(_, value)| has_text(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Descriptor;

    #[test]
    fn a_sample_is_read_as_in_a_host() {
        let body = r#"{"a": {"b/c": ["x", 1, null, true]}}"#;
        let sample = SampleRequest::bytes(body).with_header("X-Event", "push");
        assert_eq!(sample.header("x-event").as_deref(), Some("push"));
        let sample = sample.with_setting("ref", "/tag");
        assert_eq!(sample.setting("ref").as_deref(), Some("/tag"));
        assert_eq!(sample.setting("Ref"), None);
        assert_eq!(sample.string_at("/a/b~1c/0").as_deref(), Some("x"));
        assert_eq!(sample.string_at("/a/b~1c/1"), None);
        assert_eq!(sample.kind_at("/a/b~1c/2"), Some(Kind::Null));
        assert_eq!(
            (
                sample.len_at("/a"),
                sample.len_at("/a/b~1c"),
                sample.len_at("/x")
            ),
            (Some(1), Some(4), None)
        );
        assert_eq!(
            sample.json_at("/a/b~1c").as_deref(),
            Some(r#"["x",1,null,true]"#)
        );
        assert!(sample.is_true("/a/b~1c/3") && !sample.is_true("/a/b~1c/0"));
        assert_eq!(sample.body(), body.as_bytes());
    }

    #[test]
    fn a_setting_of_white_space_is_not_configured() {
        let sample = SampleRequest::json(Value::Null)
            .with_setting("ref", " /tag\n")
            .with_setting("empty", " \n")
            .with_setting("bare", "tag");
        assert_eq!(sample.configured("ref").as_deref(), Some("/tag"));
        assert_eq!(sample.configured_pointer("ref"), Ok(Some("/tag".into())));
        assert_eq!(sample.configured_pointer("empty"), Ok(None));
        assert_eq!(
            sample.configured_pointer("bare").unwrap_err().0,
            "the setting bare is not a JSON pointer: it must start with a slash"
        );
    }

    #[test]
    fn a_required_string_is_checked() {
        let sample =
            SampleRequest::json(serde_json::json!({"empty": "", "number": 1, "text": "x"}));
        let why = |pointer| sample.required(pointer).unwrap_err().0;
        assert_eq!(sample.required("/text").unwrap(), "x");
        assert_eq!(why("/empty"), "/empty is empty");
        assert_eq!(why("/number"), "/number is not a string");
        assert_eq!(why("/none"), "/none is missing");
    }

    #[test]
    fn the_pre_filter_is_any_header_or_any_pointer() {
        let plugin = |headers, pointers| {
            PreFilter::from(&Descriptor {
                name: "x",
                version: "1",
                summary: "",
                headers,
                pointers,
            })
        };
        let sample = SampleRequest::bytes(r#"{"a": null}"#).with_header("x-event", "1");
        assert!(sample.is_for(&plugin(&[], &[])));
        assert!(
            sample.is_for(&plugin(&["X-Event"], &["/b"]))
                && sample.is_for(&plugin(&["X-Other"], &["/a"]))
        );
        assert!(!sample.is_for(&plugin(&["X-Other"], &["/b"])));
        assert!(!SampleRequest::bytes([0xff]).is_for(&plugin(&[], &[""])));
    }
}
