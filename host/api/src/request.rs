//! The annotations of a request, as the receiver and `stoker sync` write them. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::GatewaySync;
use super::names::annotation;
use super::requested_over;

/// Annotations and their values, for a merge patch: `None` removes an annotation.
pub type Annotations = BTreeMap<&'static str, Option<String>>;

/// Returns a time as the annotation `requested-at` contains it: in RFC 3339 format with nine fractional digits, so that
/// times sort as text.
#[must_use]
pub fn stamp(time: Timestamp) -> String {
    format!("{time:.9}")
}

/// Returns the annotations that request a ref. `spec_ref` is the present `spec.git.ref`, which the request overrides
/// until it is changed. `commit` is the commit that the sender announces.
#[must_use]
pub fn of_ref(
    requested_ref: &str,
    spec_ref: &str,
    requested_at: &str,
    requested_by: &str,
    commit: Option<&str>,
) -> Annotations {
    let note = requested_over::note(requested_ref, requested_at, spec_ref);
    let mut annotations = of_lookup(requested_at, requested_by);
    annotations.insert(annotation::REQUESTED_REF, Some(requested_ref.to_owned()));
    annotations.insert(annotation::REQUESTED_OVER, Some(note));
    annotations.insert(annotation::REQUESTED_COMMIT, commit.map(str::to_owned));
    annotations
}

/// Returns the annotations that request another lookup of the ref that applies. An earlier request keeps what it
/// overrides, so that a change of the spec remains newer than it.
#[must_use]
pub fn of_same_ref(object: &GatewaySync, requested_at: &str, requested_by: &str) -> Annotations {
    let mut annotations = of_lookup(requested_at, requested_by);
    if let Some((requested_ref, spec_ref)) = object.requested_ref().zip(object.requested_over()) {
        let note = requested_over::note(requested_ref, requested_at, spec_ref);
        annotations.insert(annotation::REQUESTED_OVER, Some(note));
    }
    annotations
}

fn of_lookup(requested_at: &str, requested_by: &str) -> Annotations {
    let annotations = [
        (annotation::REQUESTED_AT, Some(requested_at.to_owned())),
        (annotation::REQUESTED_BY, Some(requested_by.to_owned())),
        // That of an earlier request says nothing about this one.
        (annotation::REQUESTED_COMMIT, None),
    ];
    annotations.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(annotations: &Annotations) -> GatewaySync {
        let spec = json!({
            "git": {"repo": "https://git.example/o/r", "ref": "main"},
            "gateway": {"api": {"secretName": "s", "secretKey": "k"}},
            "sync": {"profiles": {}},
        });
        let mut object = GatewaySync::new("plant", serde_json::from_value(spec).unwrap());
        let annotations = annotations.iter();
        let annotations =
            annotations.filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)));
        object.metadata.annotations = Some(annotations.collect());
        object
    }

    #[test]
    fn a_request_notes_what_it_overrides() {
        let requested = object(&of_ref("v1", "main", "t1", "github", None));
        assert_eq!(requested.requested_ref(), Some("v1"));
        assert_eq!(requested.requested_at(), Some("t1"));
        assert_eq!(requested.requested_over(), Some("main"));
        assert_eq!(requested.requested_commit(), None);
    }

    #[test]
    fn an_announced_commit_belongs_to_its_request_only() {
        let mut annotations = of_ref("main", "v1", "t1", "github", Some("c1"));
        assert_eq!(object(&annotations).requested_commit(), Some("c1"));
        let again = of_same_ref(&object(&annotations), "t2", "stoker-sync");
        assert_eq!(again[annotation::REQUESTED_COMMIT], None);
        let other = of_ref("main", "v1", "t2", "stoker-sync", None);
        assert_eq!(other[annotation::REQUESTED_COMMIT], None);
        // A person changes only the ref.
        annotations.insert(annotation::REQUESTED_REF, Some("dev".to_owned()));
        assert_eq!(object(&annotations).requested_commit(), None);
    }

    #[test]
    fn another_lookup_keeps_what_the_request_overrides() {
        let mut annotations = of_ref("v1", "main", "t1", "github", None);
        let again = of_same_ref(&object(&annotations), "t2", "stoker-sync");
        assert!(!again.contains_key(annotation::REQUESTED_REF));
        annotations.extend(again);
        assert_eq!(object(&annotations).requested_over(), Some("main"));
        let first = of_same_ref(&object(&Annotations::new()), "t1", "stoker-sync");
        assert!(!first.contains_key(annotation::REQUESTED_OVER));
    }

    #[test]
    fn a_stamp_has_nine_digits() {
        let time = "2026-01-02T03:04:05.12Z".parse().unwrap();
        assert_eq!(stamp(time), "2026-01-02T03:04:05.120000000Z");
    }
}
