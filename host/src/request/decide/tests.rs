mod requested;
mod tags;

use stoker_api::WebhookSpec;
use stoker_api::detection::Detection;

use super::*;
use crate::delivery::{Fingerprint, Signed};
use crate::request::detection;

const NOW: &str = "2026-01-01T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn announcement(git_ref: &str, occurred_at: Option<&str>, digest: Option<u8>) -> Announcement {
    Announcement {
        plugin: "github".into(),
        plugin_number: 0,
        detections: vec![Detection {
            occurred_at: occurred_at.map(at),
            ..detection(git_ref)
        }],
        fingerprint: Fingerprint {
            signed: digest.map(|byte| Signed::Id([byte; 32])),
            sent: None,
        },
    }
}

fn decided(state: &RequestState, webhook: &WebhookSpec, announcement: &Announcement) -> Decision {
    let rules = Rules::parse(webhook, &state.repo).unwrap();
    decide(state, &rules, announcement, at(NOW))
}

/// Returns the code of the outcome, as it is once a write is stored.
fn code(state: &RequestState, webhook: &WebhookSpec, announcement: &Announcement) -> &'static str {
    match decided(state, webhook, announcement) {
        Decision::Write(request) => request.outcome().reason().code(),
        Decision::Keep(outcome) => outcome.reason().code(),
        Decision::AlreadySet { git_ref, .. } => Submitted::AlreadySet(git_ref).reason().code(),
        Decision::Refuse(_) => "invalid-object",
    }
}

/// An object after an announcement was accepted for it.
fn after(state: &RequestState, announcement: &Announcement) -> RequestState {
    let decision = decided(state, &WebhookSpec::default(), announcement);
    let Decision::Write(request) = decision else {
        panic!("nothing is written: {decision:?}");
    };
    RequestState {
        requested_ref: Some(request.git_ref.to_string()),
        requested_at: Some(NOW.to_owned()),
        accepted: request.accepted,
        ..state.clone()
    }
}

fn object() -> RequestState {
    RequestState {
        repo: "https://example.com/plant/config.git".to_owned(),
        spec_ref: "main".to_owned(),
        ..RequestState::default()
    }
}

#[test]
fn an_event_that_happened_before_the_last_one_is_superseded() {
    let last = announcement("refs/tags/v2", Some("2026-01-01T11:00:00Z"), None);
    let state = after(&object(), &last);
    // A ref, the time of its event, and the outcome.
    let cases = [
        ("refs/tags/v1", Some("2026-01-01T10:59:59Z"), "superseded"),
        (
            "refs/heads/main",
            Some("2026-01-01T10:59:59Z"),
            "superseded",
        ),
        (
            "refs/tags/v2",
            Some("2026-01-01T10:59:59Z"),
            "already-requested",
        ),
        ("refs/tags/v1", Some("2026-01-01T11:00:00Z"), "requested"),
        ("refs/tags/v3", Some("2026-01-01T11:00:01Z"), "requested"),
        ("refs/tags/v1", None, "requested"),
    ];
    for (git_ref, time, expected) in cases {
        let announcement = announcement(git_ref, time, None);
        let found = code(&state, &WebhookSpec::default(), &announcement);
        assert_eq!(found, expected, "{git_ref} {time:?}");
    }
    let older = announcement("refs/tags/v1", Some("2026-01-01T10:00:00Z"), None);
    let Decision::Keep(Submitted::Ignored(reason)) =
        decided(&state, &WebhookSpec::default(), &older)
    else {
        panic!("the event is older");
    };
    assert_eq!(
        reason.to_string(),
        "superseded by refs/tags/v2, which happened at 2026-01-01T11:00:00Z"
    );
}

#[test]
fn only_the_times_of_one_plugin_are_compared_and_only_where_the_object_wants_it() {
    let last = announcement("refs/tags/v2", Some("2026-01-01T11:00:00Z"), None);
    let state = after(&object(), &last);
    let older = announcement("refs/tags/v1", Some("2026-01-01T10:00:00Z"), None);
    let other = Announcement {
        plugin: "gitlab".into(),
        ..older.clone()
    };
    assert_eq!(code(&state, &WebhookSpec::default(), &other), "requested");
    let unchecked = WebhookSpec {
        order_check: Some(stoker_api::OrderCheck::Off),
        ..WebhookSpec::default()
    };
    assert_eq!(code(&state, &unchecked, &older), "requested");
}

#[test]
fn an_earlier_push_to_the_followed_branch_is_looked_at() {
    let last = announcement("refs/heads/main", Some("2026-01-01T11:00:00Z"), None);
    let state = after(&object(), &last);
    for (git_ref, kind, expected) in [
        ("refs/heads/main", None, "already-requested"),
        ("main", None, "requested"),
        ("main", Some("Branch"), "requested"),
        ("refs/heads/dev", None, "superseded"),
        ("refs/tags/main", None, "superseded"),
    ] {
        let state = RequestState {
            ref_kind: kind.map(str::to_owned),
            ..state.clone()
        };
        let older = announcement(git_ref, Some("2026-01-01T10:00:00Z"), None);
        let found = code(&state, &WebhookSpec::default(), &older);
        assert_eq!(found, expected, "{git_ref} {kind:?}");
    }
    // The time of the last event stays.
    let older = announcement("refs/heads/main", Some("2026-01-01T10:00:00Z"), None);
    let handled = RequestState {
        handled_at: Some(NOW.to_owned()),
        ..state
    };
    let renewed = after(&handled, &older);
    let between = announcement("refs/tags/v1", Some("2026-01-01T10:30:00Z"), None);
    assert_eq!(
        code(&renewed, &WebhookSpec::default(), &between),
        "superseded"
    );
}

#[test]
fn a_repetition_is_a_duplicate_even_if_another_ref_is_requested_since() {
    let first = announcement("v1", None, Some(1));
    let state = after(&object(), &first);
    assert_eq!(code(&state, &WebhookSpec::default(), &first), "duplicate");
    let state = after(&state, &announcement("v2", None, Some(2)));
    assert_eq!(code(&state, &WebhookSpec::default(), &first), "duplicate");
    // A body that only names a ref is not a repetition.
    let again = announcement("v1", None, None);
    assert_eq!(code(&state, &WebhookSpec::default(), &again), "requested");
}

#[test]
fn a_repetition_of_the_requested_ref_is_looked_up_again_once_the_request_was_handled() {
    let first = announcement("v1", None, Some(1));
    let state = after(&object(), &first);
    let webhook = WebhookSpec::default();
    assert!(matches!(
        decided(&state, &webhook, &first),
        Decision::Keep(_)
    ));
    // The ref was resolved to something that may have changed since.
    let handled = RequestState {
        handled_at: state.requested_at.clone(),
        ..state.clone()
    };
    assert!(matches!(
        decided(&handled, &webhook, &first),
        Decision::Write(_)
    ));
    assert_eq!(code(&handled, &webhook, &first), "duplicate");
    let elsewhere = RequestState {
        requested_ref: Some("v2".to_owned()),
        ..handled
    };
    assert!(matches!(
        decided(&elsewhere, &webhook, &first),
        Decision::Keep(_)
    ));
}

#[test]
fn a_signed_body_is_a_repetition_whatever_its_headers_make_of_it() {
    let signed = |plugin: &str, event: Option<&str>, sent: Option<u8>| {
        let mut announcement = announcement("refs/tags/v1", None, None);
        announcement.plugin = plugin.into();
        announcement.detections[0].event = event.map(str::to_owned);
        announcement.fingerprint = Fingerprint {
            signed: Some(Signed::Body([1; 32])),
            sent: sent.map(|byte| [100 + byte; 32]),
        };
        announcement
    };
    let state = after(&object(), &signed("github", Some("push"), Some(1)));
    let state = after(&state, &announcement("refs/tags/v2", None, Some(2)));
    let webhook = WebhookSpec::default();
    for (plugin, event, sent) in [
        ("github", Some("push"), Some(3)),
        ("generic", None, Some(3)),
        ("generic", None, None),
        ("gitea", Some("create"), None),
    ] {
        let again = signed(plugin, event, sent);
        assert_eq!(code(&state, &webhook, &again), "duplicate", "{again:?}");
    }
    // A body that never reported an event can be sent again, to return to its ref.
    let named = |sent| signed("generic", None, sent);
    for sent in [Some(1), None] {
        let state = after(&object(), &named(sent));
        let state = after(&state, &announcement("refs/tags/v2", None, Some(2)));
        assert_eq!(code(&state, &webhook, &named(Some(3))), "requested");
        assert_eq!(code(&state, &webhook, &named(None)), "requested");
    }
}

#[test]
fn a_signed_body_does_not_escape_the_order_by_the_headers_of_another_sender() {
    let pushed = |plugin: &str, git_ref, time, signed: Option<u8>| Announcement {
        plugin: plugin.into(),
        plugin_number: 0,
        fingerprint: Fingerprint {
            signed: signed.map(|byte| Signed::Body([byte; 32])),
            sent: None,
        },
        ..announcement(git_ref, Some(time), None)
    };
    let (earlier, later) = ("2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z");
    let state = after(&object(), &pushed("github", "refs/tags/v2", later, Some(2)));
    let webhook = WebhookSpec::default();
    let replayed = pushed("gitea", "refs/tags/v1", earlier, Some(1));
    assert_eq!(code(&state, &webhook, &replayed), "superseded");
    // The times of senders without a signed body are not compared with those of others.
    let token = pushed("gitea", "refs/tags/v1", earlier, None);
    assert_eq!(code(&state, &webhook, &token), "requested");
    let unsigned = after(&object(), &pushed("github", "refs/tags/v2", later, None));
    assert_eq!(code(&unsigned, &webhook, &replayed), "requested");
}

#[test]
fn a_repeated_push_to_the_followed_branch_is_looked_up_after_its_request_was_removed() {
    let push = announcement("refs/heads/main", None, Some(1));
    let handled = RequestState {
        requested_ref: None,
        requested_at: None,
        handled_at: Some(NOW.to_owned()),
        ref_kind: Some("Branch".to_owned()),
        ..after(&object(), &push)
    };
    let webhook = WebhookSpec::default();
    for spec_ref in ["main", "refs/heads/main"] {
        let state = RequestState {
            spec_ref: spec_ref.to_owned(),
            ..handled.clone()
        };
        assert!(
            matches!(decided(&state, &webhook, &push), Decision::Write(_)),
            "{spec_ref}"
        );
        assert_eq!(code(&state, &webhook, &push), "duplicate");
    }
    // The lookup of the request that is not handled yet may have begun before the push.
    let unhandled = after(&object(), &push);
    assert!(matches!(
        decided(&unhandled, &webhook, &push),
        Decision::Write(_)
    ));
    assert_eq!(code(&unhandled, &webhook, &push), "duplicate");
    for (spec_ref, requested) in [
        ("dev", None),
        ("refs/tags/main", None),
        ("main", Some("v2")),
    ] {
        let state = RequestState {
            spec_ref: spec_ref.to_owned(),
            requested_ref: requested.map(str::to_owned),
            ..handled.clone()
        };
        let decision = decided(&state, &webhook, &push);
        assert!(
            matches!(decision, Decision::Keep(Submitted::Duplicate(_))),
            "{spec_ref} {requested:?}"
        );
    }
}

#[test]
fn an_object_that_is_being_deleted_takes_no_request() {
    let deleting = RequestState {
        is_deleting: true,
        ..object()
    };
    let first = announcement("v1", None, Some(1));
    assert_eq!(
        code(&deleting, &WebhookSpec::default(), &first),
        "being-deleted"
    );
}

#[test]
fn the_steps_have_an_order() {
    let first = announcement("refs/tags/v2", Some("2026-01-01T11:00:00Z"), Some(1));
    let state = after(&object(), &first);
    // A repetition of what the rules no longer accept is not accepted.
    let webhook = WebhookSpec {
        refs: Some(vec!["refs/heads/**".to_owned()]),
        ..WebhookSpec::default()
    };
    assert_eq!(code(&state, &webhook, &first), "ref-not-accepted");
    // A repetition is recognised before its order and before the need of a write.
    let older = announcement("refs/tags/v1", Some("2026-01-01T10:00:00Z"), Some(1));
    assert_eq!(code(&state, &WebhookSpec::default(), &older), "duplicate");
    let paused = RequestState {
        is_paused: true,
        ..state
    };
    let same = announcement("refs/tags/v2", Some("2026-01-01T11:30:00Z"), Some(2));
    assert_eq!(
        code(&paused, &WebhookSpec::default(), &same),
        "already-requested"
    );
}

#[test]
fn the_announced_commit_is_written_unless_a_later_event_was_accepted() {
    let push = |occurred_at: &str, digit: char| {
        let id = digit.to_string().repeat(40);
        let mut push = announcement("refs/heads/main", Some(occurred_at), Some(digit as u8));
        push.detections[0].commit = Some(CommitId::parse(&id).unwrap());
        push
    };
    // The commit that is written. `None` if nothing is written.
    let written = |state: &RequestState, push: &Announcement| match decided(
        state,
        &WebhookSpec::default(),
        push,
    ) {
        Decision::Write(accepted) => Some(accepted.commit),
        _ => None,
    };
    let commit = |push: &Announcement| Some(push.detections[0].commit.clone());
    let handled = |state: &RequestState, push: &Announcement| RequestState {
        handled_at: Some(NOW.to_owned()),
        ..after(state, push)
    };
    let (first, second, third) = (
        push("2026-01-01T10:00:00Z", 'a'),
        push("2026-01-01T11:00:00Z", 'b'),
        push("2026-01-01T11:30:00Z", 'c'),
    );
    assert_eq!(written(&object(), &second), commit(&second));
    let waiting = after(&object(), &second);
    assert_eq!(written(&waiting, &second), commit(&second), "a repetition");
    assert_eq!(written(&waiting, &third), commit(&third));
    // The request of the later push stays as it is until it is handled.
    assert_eq!(written(&waiting, &first), None);
    assert_eq!(written(&after(&waiting, &third), &second), None);
    // The branch has left the commit.
    let settled = handled(&object(), &second);
    assert_eq!(written(&settled, &first), Some(None));
    let settled = handled(&settled, &third);
    assert_eq!(written(&settled, &second), Some(None), "a repetition");
}

#[test]
fn the_choice_is_among_what_the_rules_accept() {
    let mut push = announcement("refs/heads/main", None, None);
    let tag = announcement("refs/tags/v1", None, None);
    push.detections.extend(tag.detections);
    assert!(matches!(
        decided(&object(), &WebhookSpec::default(), &push),
        Decision::Write(accepted) if accepted.git_ref.as_str() == "refs/heads/main"
    ));
    let webhook = WebhookSpec {
        refs: Some(vec!["refs/tags/**".to_owned()]),
        ..WebhookSpec::default()
    };
    assert!(matches!(
        decided(&object(), &webhook, &push),
        Decision::Write(accepted) if accepted.git_ref.as_str() == "refs/tags/v1"
    ));
}
