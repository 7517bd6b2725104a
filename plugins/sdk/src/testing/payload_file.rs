use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{SampleRequest, assert_sound};
use crate::{Descriptor, Detection, Malformed, Outcome, PreFilter};

/// Asks a plugin about each `*.json` file of a directory, and compares its answer with the expected one:
///
/// ```json
/// {
///   "description": "…",
///   "headers": {"X-Event": "push"},
///   "settings": {"branch": "main"},
///   "body": {"ref": "v1"},
///   "expect": {"found": [{"ref": "v1", "refKind": "tag", "commit": "…", "repositories": ["…"], "event": "…",
///     "occurredAt": "…", "deliveryId": "…"}]}
/// }
/// ```
///
/// A file has `bodyText` instead of `body` if the bytes matter. `headers` and `settings` are optional. A property that
/// `found` omits must be absent. The other expectations are `{"ignored": "reason"}`, `{"malformed": "text"}` and
/// `{"notMine": true}`. The last one also holds if the pre-filter excludes the delivery.
///
/// # Panics
///
/// Panics if an answer differs, if a host would refuse it, or if a file cannot be read.
pub fn check_payloads(
    directory: impl AsRef<Path>,
    plugin: &Descriptor,
    detect: impl Fn(&SampleRequest) -> Result<Outcome, Malformed>,
) {
    check_payloads_with(directory, |_| plugin.into(), detect);
}

/// Does the same as [`check_payloads`] for a plugin whose pre-filter depends on its settings.
///
/// # Panics
///
/// Panics in the same cases as `check_payloads`.
pub fn check_payloads_with(
    directory: impl AsRef<Path>,
    pre_filter: impl Fn(&SampleRequest) -> PreFilter,
    detect: impl Fn(&SampleRequest) -> Result<Outcome, Malformed>,
) {
    let mut failed = Vec::new();
    let mut checked = 0;
    for file in files(directory.as_ref()) {
        let payload = PayloadFile::read(&file);
        let said = if payload.request.is_for(&pre_filter(&payload.request)) {
            detect(&payload.request)
        } else {
            Ok(Outcome::NotMine)
        };
        assert_sound(&said, &file);
        if said != payload.expected {
            let expected = payload.expected;
            failed.push(format!(
                "{}\n  expected {expected:?}\n  but it is {said:?}",
                file.display()
            ));
        }
        checked += 1;
    }
    assert!(
        checked > 0,
        "no payload files in {}",
        directory.as_ref().display()
    );
    assert!(
        failed.is_empty(),
        "{} of {checked} payload files:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    files
}

struct PayloadFile {
    request: SampleRequest,
    expected: Result<Outcome, Malformed>,
}

impl PayloadFile {
    fn read(file: &Path) -> Self {
        let text =
            fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self::parse(&value)
            .unwrap_or_else(|| panic!("{}: not in the format of a payload file", file.display()))
    }

    fn parse(value: &Value) -> Option<Self> {
        value.get("description")?.as_str()?;
        let mut request = match (value.get("body"), value.get("bodyText")) {
            (Some(body), None) => SampleRequest::json(body.clone()),
            (None, Some(text)) => SampleRequest::bytes(text.as_str()?),
            _ => return None,
        };
        for (name, value) in texts(value.get("headers"))? {
            request = request.with_header(name, value);
        }
        for (key, value) in texts(value.get("settings"))? {
            request = request.with_setting(key, value);
        }
        Some(Self {
            request,
            expected: expected(value.get("expect")?)?,
        })
    }
}

/// Returns the members of an object of strings. Returns no members without an object, and `None` if it has other
/// values.
fn texts(object: Option<&Value>) -> Option<Vec<(&str, &str)>> {
    let Some(object) = object else {
        return Some(Vec::new());
    };
    let members = object.as_object()?.iter();
    members
        .map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .collect()
}

fn expected(value: &Value) -> Option<Result<Outcome, Malformed>> {
    let (kind, value) = value
        .as_object()
        .filter(|only| only.len() == 1)?
        .iter()
        .next()?;
    let text = || value.as_str().map(String::from);
    Some(match kind.as_str() {
        "found" => Ok(Outcome::Found(
            value
                .as_array()?
                .iter()
                .map(detection)
                .collect::<Option<_>>()?,
        )),
        "ignored" => Ok(Outcome::Ignored(text()?)),
        "malformed" => Err(Malformed(text()?)),
        "notMine" => value
            .as_bool()
            .filter(|&not_mine| not_mine)
            .map(|_| Ok(Outcome::NotMine))?,
        _ => return None,
    })
}

fn detection(value: &Value) -> Option<Detection> {
    let mut detection = Detection::default();
    for (name, value) in value.as_object()? {
        let text = || value.as_str().map(String::from);
        match name.as_str() {
            "ref" => detection.git_ref = text()?,
            "commit" => detection.commit = Some(text()?),
            "occurredAt" => detection.occurred_at = Some(text()?),
            "deliveryId" => detection.delivery_id = Some(text()?),
            "event" => detection = detection.event(text()?),
            "refKind" if value == "tag" => detection = detection.tag(),
            "repositories" => {
                let names = value
                    .as_array()?
                    .iter()
                    .map(|name| name.as_str().map(String::from));
                detection.repositories = names.collect::<Option<_>>()?;
            }
            _ => return None,
        }
    }
    Some(detection)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_payload_file_has_an_expectation() {
        let parse = |expect: Value| {
            PayloadFile::parse(&json!({"description": "", "body": {}, "expect": expect}))
        };
        let expected = |expect| parse(expect).map(|payload| payload.expected);
        assert_eq!(
            expected(json!({"notMine": true})),
            Some(Ok(Outcome::NotMine))
        );
        assert_eq!(
            expected(json!({"ignored": "ping"})),
            Some(Ok(Outcome::ignored(&["ping"])))
        );
        assert_eq!(
            expected(json!({"malformed": "no"})),
            Some(Err(Malformed("no".into())))
        );
        let found = json!({"found": [
            {"ref": "v1", "refKind": "tag", "repositories": ["o/r"], "event": "push", "deliveryId": "7"},
        ]});
        let detection = Detection::new("v1")
            .tag()
            .repositories(["o/r".into()])
            .event("push")
            .delivery_id(Some("7".into()));
        assert_eq!(expected(found), Some(Ok(detection.into())));
    }

    #[test]
    fn other_files_are_refused() {
        for value in [
            json!({"description": "", "body": {}}),
            json!({"body": {}, "expect": {"notMine": true}}),
            json!({"description": "", "settings": {"a": 1}, "body": {}, "expect": {"notMine": true}}),
            json!({"description": "", "expect": {"notMine": true}}),
            json!({"description": "", "body": {}, "bodyText": "", "expect": {"notMine": true}}),
            json!({"description": "", "body": {}, "expect": {"notMine": false}}),
            json!({"description": "", "body": {}, "expect": {"found": [{"refs": "v1"}]}}),
            json!({"description": "", "body": {}, "expect": {"found": [{"ref": "v1", "refKind": "branch"}]}}),
            json!({"description": "", "body": {}, "expect": {"ignored": "a", "malformed": "b"}}),
        ] {
            assert!(PayloadFile::parse(&value).is_none(), "{value}");
        }
    }
}
