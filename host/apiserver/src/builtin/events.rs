//! The two forms of an event. Events are stored in the older form.

use serde_json::{Map, Value, json};

/// Fields that have another name in the newer form: older name, newer name.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Converts the stored form to that of `events.k8s.io`.
pub(crate) fn to_newer(event: &Value) -> Value {
    renamed(event, "events.k8s.io/v1", |name| {
        RENAMED
            .iter()
            .find(|(older, _)| *older == name)
            .map(|(_, newer)| *newer)
    })
}

/// Converts the form of `events.k8s.io` to the stored one.
pub(crate) fn to_stored(event: &Value) -> Value {
    let mut stored = renamed(event, "v1", |name| {
        RENAMED
            .iter()
            .find(|(_, newer)| *newer == name)
            .map(|(older, _)| *older)
    });
    // The older form requires this field. The newer form does not.
    if stored["involvedObject"].is_null() {
        stored["involvedObject"] = json!({});
    }
    stored
}

/// Returns the stored name of a selector's field.
pub(crate) fn selector_path(path: &str) -> String {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, ""), |(first, rest)| (first, rest));
    let stored = RENAMED
        .iter()
        .find(|(_, newer)| *newer == first)
        .map_or(first, |(older, _)| older);
    if rest.is_empty() {
        stored.to_owned()
    } else {
        format!("{stored}.{rest}")
    }
}

fn renamed(
    event: &Value,
    api_version: &str,
    rename: impl Fn(&str) -> Option<&'static str>,
) -> Value {
    let mut out = Map::new();
    for (name, value) in event.as_object().into_iter().flatten() {
        out.insert(rename(name).unwrap_or(name).to_owned(), value.clone());
    }
    out.insert("apiVersion".into(), api_version.into());
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_the_way_there_and_back() {
        let stored = json!({ "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e" },
            "involvedObject": { "name": "x" }, "message": "m", "reason": "r", "count": 2,
            "reportingComponent": "c" });
        let newer = to_newer(&stored);
        assert_eq!(newer["regarding"]["name"], "x");
        assert_eq!(newer["note"], "m");
        assert_eq!(newer["reportingController"], "c");
        assert_eq!(to_stored(&newer), stored);
    }

    #[test]
    fn selectors_name_the_stored_field() {
        assert_eq!(selector_path("regarding.name"), "involvedObject.name");
        assert_eq!(selector_path("reason"), "reason");
    }
}
