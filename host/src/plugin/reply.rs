//! Checks the answer of a guest, which is not trusted.

mod time;

use stoker_api::detection::{CommitId, Detection, GitRef};
use stoker_report::is_unprintable;

use super::error::CallError;
use super::limits::{Limits, TEXT_BYTES};

/// The maximum number of repositories that one detection may name.
const MAX_REPOSITORIES: usize = 32;
/// The maximum length of a repository name, in bytes.
const MAX_REPOSITORY_BYTES: usize = 2048;
/// The maximum length of a delivery id, in bytes.
const MAX_ID_BYTES: usize = 256;
/// The maximum length of an event, in bytes. The types of CloudEvents are names in reverse domain notation, which are
/// longer than the words of other senders.
const MAX_EVENT_BYTES: usize = 255;
/// The name of the attribute with the event.
const EVENT: &str = "event";

/// The answer of a guest, unchecked.
#[derive(Debug)]
pub(super) enum RawReply {
    NotMine,
    Ignored(String),
    Found(Vec<RawDetection>),
    Malformed(String),
}

/// One detection of a guest, unchecked.
#[derive(Debug, Default)]
pub(super) struct RawDetection {
    pub(super) git_ref: String,
    pub(super) commit: Option<String>,
    pub(super) repositories: Vec<String>,
    pub(super) occurred_at: Option<String>,
    pub(super) delivery_id: Option<String>,
    pub(super) attributes: Vec<(String, String)>,
}

/// The answer of a plugin, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The delivery has another format.
    NotMine,
    /// The delivery has this format and announces nothing. The text is the reason.
    Ignored(String),
    /// The delivery announces at least one ref.
    Found(Vec<Detection>),
    /// The delivery has this format and is malformed. The text is the reason.
    Malformed(String),
}

/// Checks an answer.
pub(super) fn check(raw: RawReply, limits: &Limits) -> Result<Reply, CallError> {
    let text = |text: String| printable(&text, TEXT_BYTES);
    Ok(match raw {
        RawReply::NotMine => Reply::NotMine,
        RawReply::Ignored(reason) => Reply::Ignored(text(reason)),
        RawReply::Malformed(why) => Reply::Malformed(text(why)),
        RawReply::Found(found) if found.is_empty() => {
            return Err(answer("that it found something, and named no ref"));
        }
        RawReply::Found(found) => Reply::Found(usable(found, limits.detections)?),
    })
}

/// Returns the usable detections. An unusable detection does not affect the others. If all are unusable, the error of
/// the first is returned. If there are more than `limit`, the first and the last are kept, because in the order of git,
/// older tags are in the middle.
fn usable(mut found: Vec<RawDetection>, limit: usize) -> Result<Vec<Detection>, CallError> {
    if let Some(beyond) = found.len().checked_sub(limit) {
        let middle = limit.div_ceil(2);
        found.drain(middle..middle + beyond);
    }
    let mut error = None;
    let mut usable = Vec::with_capacity(found.len());
    for raw in found {
        match detection(raw) {
            Ok(detection) => usable.push(detection),
            Err(why) => {
                error.get_or_insert(why);
            }
        }
    }
    match error {
        Some(error) if usable.is_empty() => Err(error),
        _ => Ok(usable),
    }
}

fn detection(raw: RawDetection) -> Result<Detection, CallError> {
    let git_ref = GitRef::parse(&raw.git_ref)?;
    let commit = raw
        .commit
        .as_deref()
        .map(CommitId::parse)
        .transpose()
        .map_err(|error| answer(format!("with a commit that cannot be used: {error}")))?;
    // A name that cannot be used stays a name, which means no repository. A detection without a name would be accepted.
    let mut repositories = raw.repositories;
    repositories.truncate(MAX_REPOSITORIES);
    for name in &mut repositories {
        if name.len() > MAX_REPOSITORY_BYTES || name.chars().any(is_unprintable) {
            *name = printable(name, MAX_REPOSITORY_BYTES);
        }
    }
    let occurred_at = raw.occurred_at.as_deref().map(time::parse).transpose();
    let occurred_at =
        occurred_at.map_err(|why| answer(format!("with a time that cannot be used: {why}")))?;
    // A request is valid without the id.
    let is_fit = |id: &String| id.len() <= MAX_ID_BYTES && !id.chars().any(is_unprintable);
    let delivery_id = raw.delivery_id.filter(is_fit);
    Ok(Detection {
        git_ref,
        commit,
        repositories,
        event: event(&raw.attributes),
        occurred_at,
        delivery_id,
    })
}

/// Returns the event of a detection. An event that is too long is cut, because a detection without one has another
/// meaning.
fn event(attributes: &[(String, String)]) -> Option<String> {
    let (_, event) = attributes.iter().find(|(name, _)| name == EVENT)?;
    let (shown, _) = bounded(event.trim(), MAX_EVENT_BYTES);
    (!shown.is_empty()).then_some(shown)
}

fn answer(what: impl Into<String>) -> CallError {
    CallError::Answer { what: what.into() }
}

/// Makes a text safe to display: at most `max_bytes` bytes, with an ellipsis if it was truncated, and without
/// characters that move a terminal's cursor or change the direction of writing.
pub(super) fn printable(text: &str, max_bytes: usize) -> String {
    let (mut shown, is_cut) = bounded(text, max_bytes);
    if is_cut {
        shown.push('…');
    }
    shown
}

/// Returns the beginning of a text without such characters, and whether the text is longer.
fn bounded(text: &str, max_bytes: usize) -> (String, bool) {
    let mut shown = String::with_capacity(text.len().min(max_bytes));
    for c in text.chars() {
        let c = if is_unprintable(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        };
        if shown.len() + c.len_utf8() > max_bytes {
            return (shown, true);
        }
        shown.push(c);
    }
    (shown, false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(raw: RawDetection) -> Result<Reply, CallError> {
        check(RawReply::Found(vec![raw]), &Limits::default())
    }

    fn raw(git_ref: &str) -> RawDetection {
        RawDetection {
            git_ref: git_ref.to_owned(),
            ..RawDetection::default()
        }
    }

    #[test]
    fn a_sound_detection_is_taken_over() {
        let raw = RawDetection {
            git_ref: "refs/tags/v1".into(),
            commit: Some("AB".repeat(20)),
            repositories: vec!["o/r".into()],
            occurred_at: Some("2026-01-02T03:04:05+01:00".into()),
            delivery_id: Some("id".into()),
            attributes: vec![("event".into(), " push\n".into())],
        };
        let Ok(Reply::Found(found)) = found(raw) else {
            panic!("not found")
        };
        assert_eq!(found[0].git_ref.as_str(), "refs/tags/v1");
        assert_eq!(found[0].commit.as_ref().unwrap().as_str(), "ab".repeat(20));
        assert_eq!(found[0].event.as_deref(), Some("push"));
        assert_eq!(
            found[0].occurred_at.unwrap().to_string(),
            "2026-01-02T02:04:05Z"
        );
    }

    #[test]
    fn an_event_is_bounded_and_printable() {
        let event = |attributes: &[(&str, &str)]| {
            let attributes = attributes
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()));
            let raw = RawDetection {
                attributes: attributes.collect(),
                ..raw("v1")
            };
            let Ok(Reply::Found(found)) = found(raw) else {
                panic!("not found")
            };
            found[0].event.clone()
        };
        assert_eq!(event(&[]), None);
        assert_eq!(event(&[("other", "push"), ("event", " ")]), None);
        let several = [("event", "push"), ("event", "create")];
        assert_eq!(event(&several).as_deref(), Some("push"));
        let colored = event(&[("event", "release\u{1b}[31m")]);
        assert_eq!(colored.as_deref(), Some("release\u{fffd}[31m"));
        let longest = format!("com.example.{}", "x".repeat(243));
        assert_eq!(event(&[("event", &longest)]), Some(longest));
        let long = event(&[("event", &"é".repeat(200))]);
        assert_eq!(long, Some("é".repeat(127)));
    }

    #[test]
    fn a_ref_that_git_refuses_is_no_fault_of_the_plugin() {
        assert!(matches!(found(raw("a b")), Err(CallError::Ref(_))));
        assert!(matches!(found(raw("")), Err(CallError::Ref(_))));
        let commit = RawDetection {
            commit: Some("abc".into()),
            ..raw("v1")
        };
        assert!(matches!(found(commit), Err(CallError::Answer { .. })));
        let zeros = RawDetection {
            commit: Some("0".repeat(40)),
            ..raw("v1")
        };
        assert_eq!(
            found(zeros).unwrap_err().to_string(),
            "it answered with a commit that cannot be used: a commit id of all zeros means that there is no commit"
        );
    }

    #[test]
    fn a_detection_that_cannot_be_used_does_not_affect_the_others() {
        let commit = || RawDetection {
            commit: Some("abc".into()),
            ..raw("v2")
        };
        let refs = |found: Vec<RawDetection>| {
            let reply = check(RawReply::Found(found), &Limits::default());
            reply.map(|reply| match reply {
                Reply::Found(found) => found
                    .iter()
                    .map(|one| one.git_ref.to_string())
                    .collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            })
        };
        let found = refs(vec![raw("a b"), raw("v1"), commit(), raw(""), raw("v3")]);
        assert_eq!(found.unwrap(), ["v1", "v3"]);
        let first = refs(vec![raw("a b"), commit()]);
        assert!(matches!(first, Err(CallError::Ref(_))));
        let first = refs(vec![commit(), raw("a b")]);
        assert!(matches!(first, Err(CallError::Answer { .. })));
    }

    #[test]
    fn what_is_beyond_the_bounds_is_left_out() {
        for limit in [1, 2, 255, 256] {
            let limits = Limits {
                detections: limit,
                ..Limits::default()
            };
            let many = (0..300).map(|number| raw(&format!("v{number}"))).collect();
            let Ok(Reply::Found(found)) = check(RawReply::Found(many), &limits) else {
                panic!("not found")
            };
            assert_eq!(found.len(), limit);
            assert_eq!(found[0].git_ref.as_str(), "v0");
            if limit > 1 {
                assert_eq!(found[limit - 1].git_ref.as_str(), "v299");
            }
        }
        let names = ["x".repeat(3000), "a\nb\u{202e}".to_owned()];
        let names = names
            .into_iter()
            .chain((0..40).map(|number| format!("o/r{number}")));
        let many_names = RawDetection {
            repositories: names.collect(),
            delivery_id: Some("x".repeat(300)),
            ..raw("v1")
        };
        let Ok(Reply::Found(found)) = found(many_names) else {
            panic!("not found")
        };
        assert_eq!(found[0].repositories.len(), 32);
        assert_eq!(found[0].repositories[0], format!("{}…", "x".repeat(2048)));
        assert_eq!(found[0].repositories[1], "a\u{fffd}b\u{fffd}");
        assert_eq!(found[0].repositories[31], "o/r29");
        assert_eq!(found[0].delivery_id, None);
    }

    #[test]
    fn an_answer_without_refs_and_an_invalid_time_are_refused() {
        assert!(check(RawReply::Found(vec![]), &Limits::default()).is_err());
        let time = RawDetection {
            occurred_at: Some("yesterday".into()),
            ..raw("v1")
        };
        assert!(found(time).is_err());
    }

    #[test]
    fn reasons_are_bounded_and_printable() {
        let reason = format!("\u{1b}]0;x\u{7}{}", "é".repeat(2000));
        let Ok(Reply::Ignored(reason)) = check(RawReply::Ignored(reason), &Limits::default())
        else {
            panic!("not ignored")
        };
        assert!(
            reason.len() <= 1024 + '…'.len_utf8()
                && reason.ends_with('…')
                && !reason.contains('\u{1b}')
        );
    }

    fn text() -> impl Strategy<Value = String> {
        let parts = vec![
            "refs/heads/",
            "refs/tags/",
            "v1",
            "/",
            ".lock",
            "..",
            "@{",
            "\u{1b}[31m",
            "\u{202e}",
            "é",
            " ",
            "0000000000",
            "2026-01-02T03:04:05Z",
            "6c1f0a3f0e3b9d57c8f2a4e1d0b6c7a8f9e0d1c2",
        ];
        prop_oneof![
            prop::collection::vec(prop::sample::select(parts), 0..6)
                .prop_map(|parts| parts.concat()),
            any::<String>(),
            "x{0,3000}",
        ]
    }

    fn raw_detection() -> impl Strategy<Value = RawDetection> {
        let optional = || prop::option::of(text());
        let names = prop::collection::vec(text(), 0..40);
        let event = prop::collection::vec((Just(EVENT.to_owned()), text()), 0..3);
        let parts = (text(), optional(), names, optional(), optional(), event);
        parts.prop_map(
            |(git_ref, commit, repositories, occurred_at, delivery_id, attributes)| RawDetection {
                git_ref,
                commit,
                repositories,
                occurred_at,
                delivery_id,
                attributes,
            },
        )
    }

    proptest! {
        #[test]
        fn no_answer_of_a_guest_exceeds_the_bounds(
            found in prop::collection::vec(raw_detection(), 0..6),
            reason in text(),
        ) {
            let limits = Limits { detections: 4, ..Limits::default() };
            let is_fit = |text: &str| !text.is_empty() && !text.chars().any(is_unprintable);
            if let Ok(Reply::Found(found)) = check(RawReply::Found(found), &limits) {
                prop_assert!((1..=4).contains(&found.len()));
                for one in found {
                    prop_assert_eq!(GitRef::parse(one.git_ref.as_str()), Ok(one.git_ref.clone()));
                    prop_assert!(one.event.is_none_or(|event| event.len() <= MAX_EVENT_BYTES && is_fit(&event)));
                    prop_assert!(one.delivery_id.is_none_or(|id| id.len() <= MAX_ID_BYTES && !id.chars().any(is_unprintable)));
                    prop_assert!(one.repositories.len() <= MAX_REPOSITORIES);
                    let longest = MAX_REPOSITORY_BYTES + '…'.len_utf8();
                    let is_name = |name: &String| name.len() <= longest && !name.chars().any(is_unprintable);
                    prop_assert!(one.repositories.iter().all(is_name));
                }
            }
            for raw in [RawReply::Ignored(reason.clone()), RawReply::Malformed(reason)] {
                let reply = check(raw, &limits);
                let Ok(Reply::Ignored(text) | Reply::Malformed(text)) = reply else {
                    panic!("{reply:?}")
                };
                prop_assert!(text.len() <= TEXT_BYTES + '…'.len_utf8() && !text.chars().any(is_unprintable));
            }
        }
    }
}
