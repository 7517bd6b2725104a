use serde_json::{Value, json};

use super::*;

const COMMIT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// An object with the request `t1` and this status.
fn object(status: &Value) -> Box<GatewaySync> {
    serde_json::from_value(json!({
        "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
        "metadata": {"name": "plant", "namespace": "edge", "annotations": {"stoker.io/requested-at": "t1"}},
        "spec": {
            "git": {"repo": "https://h/r", "ref": "main"}, "gateway": {"api": {"secretName": "k"}},
            "sync": {"profiles": {}},
        },
        "status": status,
    }))
    .unwrap()
}

fn step(status: &Value) -> Step {
    Step::of(&Seen::Object(object(status)), "t1", false)
}

fn condition(type_: &str, status: &str, message: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": "Test", "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

fn gateway(state: &str, commit: &str) -> Value {
    json!({"name": "g", "namespace": "edge", "podName": "g", "syncStatus": state, "syncedCommit": commit})
}

fn handled(gateways: &Value) -> Value {
    json!({
        "lastHandledRequestedAt": "t1", "lastSyncCommit": COMMIT, "discoveredGateways": gateways,
        "conditions": [condition("RefResolved", "True", COMMIT)],
    })
}

#[test]
fn a_sync_waits_for_the_controller() {
    assert_eq!(step(&json!({})), Step::Waiting(None));
    let earlier = json!({"lastHandledRequestedAt": "t0", "conditions": [condition("RefResolved", "False", "old")]});
    assert_eq!(step(&earlier), Step::Waiting(None));
    let why = "token secret \"t\" not found: gone (retry in 30s)";
    let lacking = json!({"conditions": [condition("Ready", "False", why)]});
    assert_eq!(step(&lacking), Step::Waiting(Some(why.to_owned())));
}

#[test]
fn a_status_that_never_has_a_handled_request_is_noticed() {
    for (status, expected) in [
        (json!({}), false),
        (json!({"refResolutionStatus": "Resolved"}), true),
        (
            json!({"refResolutionStatus": "Resolved", "lastHandledRequestedAt": "t0"}),
            false,
        ),
    ] {
        assert_eq!(is_never_handled(&object(&status)), expected, "{status}");
    }
}

#[test]
fn a_sync_waits_until_all_gateways_report_its_commit() {
    let other = "b".repeat(40);
    for (gateways, synced) in [
        (json!([gateway("Synced", &other)]), 0),
        (
            json!([gateway("Synced", COMMIT), gateway("Error", COMMIT)]),
            1,
        ),
    ] {
        let count = gateways.as_array().unwrap().len();
        let commit = COMMIT.to_owned();
        let waiting = Step::Resolved {
            commit: commit.clone(),
            synced,
            count,
        };
        assert_eq!(step(&handled(&gateways)), waiting);
        let resolved = Step::Done {
            commit,
            synced,
            count,
        };
        assert_eq!(
            Step::of(&Seen::Object(object(&handled(&gateways))), "t1", true),
            resolved
        );
    }
    for (gateways, count) in [(json!([]), 0), (json!([gateway("Synced", COMMIT)]), 1)] {
        let commit = COMMIT.to_owned();
        let done = Step::Done {
            commit,
            synced: count,
            count,
        };
        assert_eq!(step(&handled(&gateways)), done);
    }
}

#[test]
fn a_sync_that_cannot_succeed_fails() {
    let failed = |why: &str| Step::Failed(why.to_owned());
    let conditions = |list: Value| json!({"lastHandledRequestedAt": "t1", "conditions": list});
    let unresolved = conditions(json!([condition("RefResolved", "False", "no such ref")]));
    assert_eq!(step(&unresolved), failed("no such ref"));
    let unpublished = conditions(json!([condition(
        "Ready",
        "False",
        "Metadata not published: taken"
    )]));
    assert_eq!(step(&unpublished), failed("Metadata not published: taken"));
    let replaced = Step::of(&Seen::Object(object(&json!({}))), "t0", false);
    assert_eq!(replaced, failed("another request replaced this one"));
    assert_eq!(
        Step::of(&Seen::Deleted, "t1", false),
        failed("the object was deleted")
    );
    let mut paused = object(&json!({}));
    paused.spec.paused = Some(true);
    assert_eq!(
        Step::of(&Seen::Object(paused), "t1", false),
        failed("the object was paused")
    );
}

#[test]
fn each_step_is_said_once() {
    let mut out = Vec::new();
    let mut progress = Progress {
        out: &mut out,
        started: Instant::now(),
        last: String::new(),
    };
    for _ in 0..2 {
        progress.say("resolved", "4f\u{1b}[2J").unwrap();
        progress.say("gateways", "0/1 synced").unwrap();
    }
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text,
        "   0.0s  resolved   4f\\u{1b}[2J\n   0.0s  gateways   0/1 synced\n"
    );
}
