//! Payload files: a delivery, and what the plugin should say of it.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::AuthorError;
use super::expectation::Expectation;

/// A payload file as it is written. The format is documented in docs/plugin-authoring.md.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written<'a> {
    #[serde(rename = "description")]
    _description: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    body_text: Option<String>,
    body_file: Option<PathBuf>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(borrow)]
    expect: Option<&'a RawValue>,
}

/// A payload file, read.
#[derive(Debug)]
pub struct PayloadFile {
    /// The delivery's headers.
    pub headers: HeaderMap,
    /// The delivery's body.
    pub body: Vec<u8>,
    /// What an operator would have configured for the plugin.
    pub settings: BTreeMap<String, String>,
    /// What the plugin should say; a new file may leave it open.
    pub expected: Option<Expectation>,
    text: String,
    place: Option<Range<usize>>,
}

impl PayloadFile {
    /// Reads one.
    pub fn read(path: &Path) -> Result<Self, AuthorError> {
        let text = fs::read_to_string(path).map_err(AuthorError::file(path))?;
        let written: Written<'_> = serde_json::from_str(&text)?;
        let body = match (written.body, written.body_text, written.body_file) {
            (Some(body), None, None) => body.get().as_bytes().to_vec(),
            (None, Some(text), None) => text.into_bytes(),
            (None, None, Some(file)) => {
                let file = path.with_file_name(file);
                fs::read(&file).map_err(AuthorError::file(&file))?
            }
            _ => return Err(AuthorError::Body),
        };
        let headers = written
            .headers
            .iter()
            .map(header)
            .collect::<Result<_, _>>()?;
        let expected = written
            .expect
            .map(|expect| serde_json::from_str(expect.get()))
            .transpose()?;
        // The raw value is a part of the text: the distance of the two is where it stands.
        let place = written.expect.map(|expect| {
            let start = expect.get().as_ptr().addr() - text.as_ptr().addr();
            start..start + expect.get().len()
        });
        Ok(Self {
            headers,
            body,
            settings: written.settings,
            expected,
            place,
            text,
        })
    }

    /// The file's text, and where in it the expectation stands.
    pub(super) fn text(&self) -> (&str, Option<Range<usize>>) {
        (&self.text, self.place.clone())
    }
}

fn header((name, value): (&String, &String)) -> Result<(HeaderName, HeaderValue), AuthorError> {
    match (name.parse(), value.parse()) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(AuthorError::Header { name: name.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn read(text: &str) -> Result<PayloadFile, AuthorError> {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("body.bin"), b"\xff{}").unwrap();
        let path = folder.path().join("payload.json");
        fs::write(&path, text).unwrap();
        PayloadFile::read(&path)
    }

    #[test]
    fn a_body_comes_as_json_as_text_or_as_a_file() {
        let body = |member: &str| {
            let text = format!(r#"{{"description":"",{member},"expect":{{"notMine":true}}}}"#);
            read(&text).map(|file| file.body)
        };
        assert_eq!(body(r#""body":{"a" : 1}"#).unwrap(), br#"{"a" : 1}"#);
        assert_eq!(body(r#""bodyText":" {} ""#).unwrap(), b" {} ");
        assert_eq!(body(r#""bodyFile":"body.bin""#).unwrap(), b"\xff{}");
        for wrong in [
            r#""body":{},"bodyText":"""#,
            r#""headers":{}"#,
            r#""bodyFile":"absent""#,
        ] {
            assert!(body(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_it_says_beside_the_body_is_read() {
        let file = read(
            r#"{"description":"","headers":{"X-A":"b"},"settings":{"key":"word"},"body":1,"expect":{"failed":"trap"}}"#,
        )
        .unwrap();
        assert_eq!(file.headers["x-a"], "b");
        assert_eq!(file.settings["key"], "word");
        assert_eq!(file.expected, Some(Expectation::Failed("trap".into())));
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
}
