//! The note of a request about the ref that it overrides (annotation [`REQUESTED_OVER`](super::names::annotation::REQUESTED_OVER)).
//!
//! The note contains the ref and the time of its request, so that it says nothing about another request, such as one
//! that a person makes by changing only the ref.

/// Returns the note of a request for the annotation. `spec_ref` is the present `spec.git.ref`.
pub(crate) fn note(requested_ref: &str, requested_at: &str, spec_ref: &str) -> String {
    format!("{requested_ref} {requested_at} {spec_ref}")
}

/// Returns the overridden ref in a note, if the note belongs to the request of this ref and time. A note of an earlier
/// version lacks the requested ref.
#[must_use]
pub fn overridden_ref<'a>(
    note: &'a str,
    requested_ref: &str,
    requested_at: &str,
) -> Option<&'a str> {
    let after = |text: &'a str, word| text.strip_prefix(word)?.strip_prefix(' ');
    after(note, requested_ref)
        .and_then(|rest| after(rest, requested_at))
        .or_else(|| after(note, requested_at))
}

/// Returns whether `spec.git.ref` was changed after a request to something else than the requested ref. Without a note,
/// nothing is known of a change.
#[must_use]
pub fn is_superseded(requested_ref: &str, spec_ref: &str, overridden: Option<&str>) -> bool {
    requested_ref != spec_ref && overridden.is_some_and(|overridden| overridden != spec_ref)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_valid_for_its_request_only() {
        let note = note("v1", "t1", "a b");
        assert_eq!(overridden_ref(&note, "v1", "t1"), Some("a b"));
        for (git_ref, at) in [("v1", "t2"), ("v2", "t1"), ("v", "t1"), ("", "t1")] {
            assert_eq!(overridden_ref(&note, git_ref, at), None, "{git_ref} {at}");
        }
    }

    #[test]
    fn a_note_of_an_earlier_version_has_no_requested_ref() {
        assert_eq!(overridden_ref("t1 a b", "v1", "t1"), Some("a b"));
        assert_eq!(overridden_ref("t1 a b", "v1", "t2"), None);
        assert_eq!(overridden_ref("t1", "v1", "t1"), None);
    }

    #[test]
    fn another_ref_of_the_spec_supersedes_a_request() {
        assert!(is_superseded("v1", "dev", Some("main")));
        for (requested, overridden) in [("v1", Some("dev")), ("v1", None), ("dev", Some("main"))] {
            assert!(!is_superseded(requested, "dev", overridden), "{requested}");
        }
    }
}
