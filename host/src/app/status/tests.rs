mod problems;

use futures::stream;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use serde_json::{Value, json};

use super::*;

const COMMIT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

/// An object that follows `main`. `change` is merged into it.
fn object(name: &str, change: &Value) -> GatewaySync {
    let mut object = json!({
        "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
        "metadata": {"name": name, "namespace": "edge", "creationTimestamp": "2026-03-01T11:00:00Z"},
        "spec": {
            "git": {"repo": "https://user:s3cret@git.example/o/r.git", "ref": "main"},
            "gateway": {"api": {"secretName": "k"}}, "sync": {"profiles": {}},
        },
    });
    json_patch::merge(&mut object, change);
    serde_json::from_value(object).unwrap()
}

fn gateway(name: &str, state: &str, commit: &str) -> Value {
    json!({
        "name": name, "namespace": "edge", "podName": format!("pod-{name}"), "profile": "p", "syncStatus": state,
        "syncedCommit": commit, "lastSyncTime": "2026-03-01T11:57:00Z", "agentVersion": "0.7.0",
    })
}

fn resolved(conditions: &[Value], gateways: &Value) -> Value {
    let mut all = vec![condition("RefResolved", "True", "RefResolved", COMMIT)];
    all.extend(conditions.iter().cloned());
    json!({"status": {
        "lastSyncRef": "main", "lastSyncRefKind": "Branch", "lastSyncCommit": COMMIT,
        "lastSyncTime": "2026-03-01T10:00:00Z", "discoveredGateways": gateways, "conditions": all,
    }})
}

fn flags(name: Option<&str>, output: OutputFormat) -> StatusFlags {
    StatusFlags {
        object: name.map(|name| name.parse().unwrap()),
        namespace: None,
        output,
        watch: false,
        kubeconfig: None,
    }
}

/// The text without colours.
fn plain(objects: &[GatewaySync], name: Option<&str>) -> String {
    let text = text(objects, &flags(name, OutputFormat::Text), now()).unwrap();
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn a_table_shows_every_object_and_the_problems() {
    let ready = condition("Ready", "True", "SyncSucceeded", "All gateways synced");
    let failed = json!({"status": {"conditions": [
        condition("RefResolved", "False", "RefResolutionFailed", "Ref resolution failed: no such ref"),
    ]}});
    let objects = [
        object("red", &failed),
        object(
            "blue",
            &resolved(&[ready], &json!([gateway("g", "Synced", COMMIT)])),
        ),
    ];
    let expected = "\
NAMESPACE   NAME   REF    COMMIT    SINCE   GATEWAYS   STATE
edge        blue   main   aaaaaaa   2h      1/1        Ready
edge        red    main   -         -       0/0        Failed

edge/red
  ! Ref resolution failed: no such ref
    → push the ref, correct spec.git, or request another ref: stoker sync edge/red --ref REF
";
    assert_eq!(plain(&objects, None), expected);
    assert_eq!(plain(&[], None), "There are no GatewaySync objects.\n");
    for (namespace, expected) in [
        (
            "nope",
            "There are no GatewaySync objects in the namespace nope.\n",
        ),
        ("", "There are no GatewaySync objects.\n"),
    ] {
        let mut flags = flags(None, OutputFormat::Text);
        flags.namespace = Some(namespace.to_owned());
        assert_eq!(super::text(&[], &flags, now()).unwrap(), expected);
    }
}

#[test]
fn one_object_is_shown_with_its_gateways() {
    let gateways = json!([
        gateway("blue", "Synced", COMMIT),
        gateway("red", "Error", &"b".repeat(40)),
    ]);
    let mut change = resolved(
        &[condition(
            "Ready",
            "False",
            "Reconciling",
            "Waiting for gateways to sync",
        )],
        &gateways,
    );
    change["status"]["discoveredGateways"][1]["message"] = json!("git fetch: \u{1b}[2Jgone");
    change["metadata"]["annotations"] = json!({
        "stoker.io/requested-ref": "v1", "stoker.io/requested-at": "2026-03-01T11:50:00Z",
        "stoker.io/requested-by": "github",
    });
    change["status"]["lastHandledRequestedAt"] = json!("2026-03-01T11:50:00Z");
    let expected = format!(
        "\
edge/plant   Syncing

  repository https://git.example/o/r.git
  ref        v1, requested by github 10m ago; the spec has main
  commit     {COMMIT} of main, for 2h
  gateways   1/2 synced

  GATEWAY   POD        PROFILE   STATE    COMMIT    LAST SYNC   AGENT
  blue      pod-blue   p         Synced   aaaaaaa   3m          0.7.0
  red       pod-red    p         Error    bbbbbbb   3m          0.7.0

  ! gateway red: git fetch: \\u{{1b}}[2Jgone
    → read the log of the agent: kubectl logs -n edge pod-red -c stoker-agent
"
    );
    assert_eq!(plain(&[object("plant", &change)], Some("plant")), expected);
}

#[test]
fn gateways_that_the_status_does_not_list_are_counted() {
    let ready = condition("Ready", "True", "SyncSucceeded", "All gateways synced");
    let listed = json!([
        gateway("a", "Synced", COMMIT),
        gateway("b", "Synced", COMMIT)
    ]);
    let view = |conditions: &[Value], gateways: &Value| {
        let object = object("plant", &resolved(conditions, gateways));
        let view = ObjectView::new(&object, now());
        let state = format!("{:?}", view.state);
        (
            view.gateways_synced,
            view.gateway_count,
            state,
            plain(&[object], Some("plant")),
        )
    };
    let all = condition(
        "AllGatewaysSynced",
        "True",
        "SyncSucceeded",
        "300/300 synced",
    );
    let (synced, count, state, text) = view(&[ready.clone(), all.clone()], &listed);
    assert_eq!((synced, count, state.as_str()), (300, 300, "Ready"));
    assert!(text.contains("gateways   300/300 synced"), "{text}");
    assert!(
        text.contains("\n  and 298 more, which the status does not list\n"),
        "{text}"
    );
    let other = json!([
        gateway("b", "Synced", &"b".repeat(40)),
        gateway("a", "Synced", COMMIT)
    ]);
    let (synced, count, state, _) = view(&[ready.clone(), all.clone()], &other);
    assert_eq!((synced, count, state.as_str()), (299, 300, "Syncing"));
    let skew = condition(
        "RefSkew",
        "True",
        "CommitDiffers",
        "1 gateway(s) run another commit: z (bbbbbbb)",
    );
    let (_, _, state, text) = view(&[ready, all, skew], &listed);
    assert_eq!(state, "Syncing");
    assert!(
        text.contains("! 1 gateway(s) run another commit: z (bbbbbbb)"),
        "{text}"
    );
    assert!(
        text.contains("kubectl logs -n edge POD -c stoker-agent"),
        "{text}"
    );
}

#[test]
fn states_are_told_apart() {
    let paused = json!({"spec": {"paused": true}});
    let deleting = json!({"metadata": {"deletionTimestamp": "2026-03-01T11:59:59Z"}});
    let new = json!({"metadata": {"creationTimestamp": "2026-03-01T11:59:59Z"}});
    let requested =
        json!({"metadata": {"annotations": {"stoker.io/requested-at": "2026-03-01T11:59:59Z"}}});
    for (change, state) in [
        (paused, "Paused"),
        (deleting, "Deleting"),
        (new, "Pending"),
        (requested, "Pending"),
        (resolved(&[], &json!([])), "Resolved"),
        (
            resolved(&[], &json!([gateway("g", "Pending", "")])),
            "Syncing",
        ),
    ] {
        let view = ObjectView::new(&object("plant", &change), now());
        assert_eq!(format!("{:?}", view.state), state, "{change}");
    }
}

#[test]
fn json_has_the_same_content_and_no_credentials() {
    let objects = [object(
        "plant",
        &resolved(&[], &json!([gateway("g", "Synced", COMMIT)])),
    )];
    let text = text(&objects, &flags(None, OutputFormat::Json), now()).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let shown = &document["objects"][0];
    assert_eq!(
        (
            &shown["namespace"],
            &shown["name"],
            &shown["gitRef"],
            &shown["commit"]
        ),
        (
            &json!("edge"),
            &json!("plant"),
            &json!("main"),
            &json!(COMMIT)
        )
    );
    assert_eq!(
        (&shown["gatewaysSynced"], &shown["gateways"][0]["name"]),
        (&json!(1), &json!("g"))
    );
    assert!(!text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn a_watch_shows_the_objects_after_each_change() {
    let guarded = |name: &str| DeserializeGuard(Ok(object(name, &json!({}))));
    let invalid = DeserializeGuard(Err(InvalidObject {
        error: "no spec".to_owned(),
        metadata: object("invalid", &json!({})).metadata,
    }));
    let events = stream::iter(
        [
            Event::Init,
            Event::InitApply(guarded("gone")),
            Event::InitApply(invalid.clone()),
            Event::InitDone,
            Event::Apply(guarded("one")),
            Event::Apply(guarded("invalid")),
            Event::Apply(invalid),
            Event::Delete(guarded("gone")),
        ]
        .map(Ok),
    );
    let mut out = Vec::new();
    let flags = flags(None, OutputFormat::Json);
    Box::pin(follow_events(events, &flags, false, &mut out))
        .await
        .unwrap();
    let text = String::from_utf8(out).unwrap();
    let names = |line: &str| -> Vec<String> {
        let document: Value = serde_json::from_str(line).unwrap();
        let objects = document["objects"].as_array().unwrap().iter();
        objects
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let lines: Vec<_> = text.lines().map(names).collect();
    let expected = [
        vec!["gone"],
        vec!["gone", "one"],
        vec!["gone", "invalid", "one"],
        vec!["gone", "one"],
        vec!["one"],
    ];
    assert_eq!(lines, expected);
}
