//! Payload files: a delivery, and the answer that the plugin is expected to give.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::answer::Answer;
use super::error::AuthorError;
use super::file;

/// The maximum size of a payload file, and of a separate body file, in bytes. The limit exceeds the size of the largest
/// webhooks that senders document, 25 MiB of GitHub, as escaped text.
const PAYLOAD_BYTES: u64 = 64 << 20;

/// The members of a payload file; docs/plugin-authoring.md documents them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Members<'a> {
    #[serde(rename = "description")]
    _description: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow, default, deserialize_with = "present")]
    body: Option<&'a RawValue>,
    body_text: Option<String>,
    body_file: Option<PathBuf>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(borrow, default, deserialize_with = "present")]
    expect: Option<&'a RawValue>,
}

/// Reads a member that may be missing. `null` is a value of it.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// A payload file.
#[derive(Debug)]
pub struct PayloadFile {
    /// The delivery's headers.
    pub headers: HeaderMap,
    /// The delivery's body.
    pub body: Vec<u8>,
    /// The settings of the plugin.
    pub settings: BTreeMap<String, String>,
    /// The answer that the plugin is expected to give. It may be missing, or `null`, in a new file.
    pub expected: Option<Answer>,
    text: String,
    span: Option<Range<usize>>,
}

impl PayloadFile {
    /// Reads a payload file.
    pub fn read(path: &Path) -> Result<Self, AuthorError> {
        let text = file::read_text(path, PAYLOAD_BYTES)?;
        // Editors write a byte order mark, which RFC 8259 §8.1 lets a reader ignore. It stays in the text, for updates.
        let json = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let members: Members<'_> = serde_json::from_str(json)?;
        let body = match (members.body, members.body_text, members.body_file) {
            (Some(body), None, None) => body.get().as_bytes().to_vec(),
            (None, Some(text), None) => text.into_bytes(),
            (None, None, Some(name)) => file::read(&path.with_file_name(name), PAYLOAD_BYTES)?,
            _ => return Err(AuthorError::Body),
        };
        let headers = members
            .headers
            .iter()
            .map(header)
            .collect::<Result<_, _>>()?;
        let expected = members
            .expect
            .map(|expect| answer_in(&text, expect))
            .transpose()?
            .flatten();
        // The raw value is a slice of the text, so the distance between the two is its position.
        let span = members.expect.map(|expect| {
            let start = expect.get().as_ptr().addr() - text.as_ptr().addr();
            start..start + expect.get().len()
        });
        Ok(Self {
            headers,
            body,
            settings: members.settings,
            expected,
            span,
            text,
        })
    }

    /// Returns the text of the file, and the position of the expected answer in it.
    pub(super) fn text(&self) -> (&str, Option<Range<usize>>) {
        (&self.text, self.span.clone())
    }
}

/// Parses the expected answer in the text of a file. The place in an error is that in the file: the answer is parsed after
/// the space that stands for what is before it.
fn answer_in(text: &str, expect: &RawValue) -> Result<Option<Answer>, AuthorError> {
    let start = expect.get().as_ptr().addr() - text.as_ptr().addr();
    let before = text[..start].bytes();
    let mut padded: Vec<u8> = before
        .map(|byte| if byte == b'\n' { byte } else { b' ' })
        .collect();
    padded.extend_from_slice(expect.get().as_bytes());
    serde_json::from_slice(&padded).map_err(|error| {
        // The text is JSON, so it is the number of its members that the parser does not expect.
        if error.is_syntax() {
            AuthorError::Expect
        } else {
            error.into()
        }
    })
}

fn header((name, value): (&String, &String)) -> Result<(HeaderName, HeaderValue), AuthorError> {
    match (name.parse(), value.parse()) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(AuthorError::Header { name: name.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn read(text: &str) -> Result<PayloadFile, AuthorError> {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("body.bin"), b"\xff{}").unwrap();
        let path = directory.path().join("payload.json");
        fs::write(&path, text).unwrap();
        PayloadFile::read(&path)
    }

    #[test]
    fn a_body_is_json_text_or_a_file() {
        let body = |member: &str| {
            let text = format!(r#"{{"description":"",{member},"expect":{{"notMine":true}}}}"#);
            read(&text).map(|file| file.body)
        };
        assert_eq!(body(r#""body":{"a" : 1}"#).unwrap(), br#"{"a" : 1}"#);
        assert_eq!(body(r#""body": null"#).unwrap(), b"null");
        assert_eq!(body(r#""bodyText":" {} ""#).unwrap(), b" {} ");
        assert_eq!(body(r#""bodyFile":"body.bin""#).unwrap(), b"\xff{}");
        for wrong in [
            r#""body":{},"bodyText":"""#,
            r#""body":null,"bodyText":"""#,
            r#""headers":{}"#,
            r#""bodyFile":"absent""#,
        ] {
            assert!(body(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_other_members_are_read() {
        let file = read(
            r#"{"description":"","headers":{"X-A":"b"},"settings":{"key":"word"},"body":1,"expect":{"failed":"trap"}}"#,
        )
        .unwrap();
        assert_eq!(file.headers["x-a"], "b");
        assert_eq!(file.settings["key"], "word");
        assert_eq!(file.expected, Some(Answer::Failed("trap".into())));
        assert!(
            read(r#"{"description":"","body":1}"#)
                .unwrap()
                .expected
                .is_none()
        );
        for wrong in [
            r#"{"body":1,"expect":{"notMine":true}}"#,
            r#"{"description":"","body":1,"expcet":{"notMine":true}}"#,
            r#"{"description":"","body":1,"expect":{"found":[{"refs":"v1"}]}}"#,
            r#"{"description":"","body":1,"headers":{"a b":"c"}}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_expected_answer_has_exactly_one_member() {
        for expect in [
            "{}",
            r#"{"ignored":"a","notMine":true}"#,
            r#"{"found":[],"found":[]}"#,
            "true",
        ] {
            let text = format!(r#"{{"description":"","body":1,"expect":{expect}}}"#);
            let error = read(&text).unwrap_err();
            assert!(matches!(error, AuthorError::Expect), "{expect}: {error}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_ignored() {
        let file = read("\u{feff}{\"description\":\"\",\"body\":1,\"expect\":{\"notMine\":true}}");
        assert_eq!(file.unwrap().expected, Some(Answer::NotMine(true)));
    }

    #[test]
    fn an_error_in_the_expected_answer_has_its_place_in_the_file() {
        let text = "{\n \"description\": \"é\", \"body\": 1,\n  \"expect\": {\"found\": [{\"refs\": \"v1\"}]}\n}";
        let Err(AuthorError::Payload(error)) = read(text) else {
            panic!("the answer is invalid")
        };
        assert!(error.to_string().contains("`refs`"), "{error}");
        assert!(
            error.line() == 3 && (24..=31).contains(&error.column()),
            "{error}"
        );
    }
}
