//! Webhooks for the ref that the object has a request for.

use super::*;

#[test]
fn a_ref_that_only_the_spec_names_is_requested_once_for_each_delivery() {
    let resolved = RequestState {
        spec_ref: "v1.0.0".to_owned(),
        resolved: Some(super::super::super::state::Resolved {
            name: "v1.0.0".to_owned(),
            commit: None,
            is_fixed: true,
        }),
        ..object()
    };
    let first = announcement("v1.0.0", None, Some(1));
    let requested = after(&resolved, &first);
    // The controller has handled the request, and removed it.
    let cleared = RequestState {
        requested_ref: None,
        handled_at: requested.requested_at.clone(),
        ..requested
    };
    let webhook = WebhookSpec::default();
    assert_eq!(code(&cleared, &webhook, &first), "duplicate");
    let other = announcement("v1.0.0", None, Some(2));
    assert_eq!(code(&cleared, &webhook, &other), "requested");
}

#[test]
fn a_ref_that_is_requested_already_is_answered_as_such_and_looked_up_again() {
    let requested = RequestState {
        requested_ref: Some("refs/heads/dev".to_owned()),
        requested_at: Some("t1".to_owned()),
        ..object()
    };
    let handled = RequestState {
        handled_at: requested.requested_at.clone(),
        ..requested.clone()
    };
    let by_hand = RequestState {
        requested_at: None,
        ..requested.clone()
    };
    let unresolved = RequestState {
        requested_ref: Some("v9".to_owned()),
        ..handled.clone()
    };
    for (state, git_ref, expected) in [
        (&requested, "refs/heads/dev", "already-requested"),
        (&handled, "refs/heads/dev", "already-requested"),
        (&by_hand, "refs/heads/dev", "already-requested"),
        (&unresolved, "v9", "already-requested"),
        (&handled, "dev", "requested"),
        // The request of an object that follows the ref of its spec was removed.
        (&object(), "main", "requested"),
    ] {
        let announced = announcement(git_ref, None, None);
        let decision = decided(state, &WebhookSpec::default(), &announced);
        assert!(matches!(decision, Decision::Write(_)), "{decision:?}");
        let found = code(state, &WebhookSpec::default(), &announced);
        assert_eq!(found, expected, "{git_ref} {state:?}");
    }
}
