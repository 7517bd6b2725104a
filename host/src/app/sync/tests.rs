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
        let why = (count == 2).then(|| "gateway g: its agent reports an error".to_owned());
        let waiting = Step::Resolved {
            commit: commit.clone(),
            synced,
            count,
            why,
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
fn a_sync_waits_for_gateways_that_the_status_does_not_list() {
    let with = |type_, state, message| {
        let mut status = handled(&json!([
            gateway("Synced", COMMIT),
            gateway("Synced", COMMIT)
        ]));
        let conditions = status["conditions"].as_array_mut().unwrap();
        conditions.push(condition(type_, state, message));
        step(&status)
    };
    let waiting = |synced, count, why: Option<&str>| Step::Resolved {
        commit: COMMIT.to_owned(),
        synced,
        count,
        why: why.map(str::to_owned),
    };
    let unlisted = with("AllGatewaysSynced", "False", "299/300 synced");
    assert_eq!(unlisted, waiting(299, 300, None));
    let skewed = with(
        "RefSkew",
        "True",
        "1 gateway(s) run another commit: z (bbbbbbb)",
    );
    let why = "1 gateway(s) run another commit: z (bbbbbbb)";
    assert_eq!(skewed, waiting(2, 2, Some(why)));
    let done = Step::Done {
        commit: COMMIT.to_owned(),
        synced: 300,
        count: 300,
    };
    assert_eq!(with("AllGatewaysSynced", "True", "300/300 synced"), done);
}

#[test]
fn a_sync_says_why_a_gateway_fails() {
    let mut failed = gateway("Error", COMMIT);
    failed["message"] = json!("no mapping matches");
    let status = handled(&json!([
        gateway("Synced", COMMIT),
        failed,
        gateway("Error", COMMIT)
    ]));
    let Step::Resolved { why, .. } = step(&status) else {
        panic!("{:?}", step(&status));
    };
    assert_eq!(why.as_deref(), Some("gateway g: no mapping matches"));
}

#[test]
fn a_request_that_is_not_handled_has_a_reason() {
    let why = |status: Value| why_unhandled(&object(&status));
    let lease =
        "no controller has handled the request; check that a replica leads: kubectl get lease";
    for status in [
        json!({}),
        json!({"lastHandledRequestedAt": "t0"}),
        json!({"refResolutionStatus": "Resolved"}),
    ] {
        let why = why(status).unwrap();
        assert!(why.starts_with(lease), "{why}");
    }
    let slow = why(json!({"refResolutionStatus": "Resolving"})).unwrap();
    assert!(
        slow.starts_with("the git server has not answered"),
        "{slow}"
    );
    let message = "token secret \"t\" not found: gone";
    let lacking = json!({"conditions": [condition("Ready", "False", message)]});
    assert_eq!(why(lacking), None);
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
    assert!(!progress.has_said("gateways"));
    for _ in 0..2 {
        progress.say("resolved", "4f\u{1b}[2J").unwrap();
        progress.say("gateways", "0/1 synced").unwrap();
    }
    assert!(progress.has_said("gateways") && !progress.has_said("synced"));
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text,
        "   0.0s  resolved   4f\\u{1b}[2J\n   0.0s  gateways   0/1 synced\n"
    );
}
