use serde_json::json;

use super::super::*;
use stoker_git::RefKind;

use super::fixture::{API_KEY, Bench, GatewaySyncExt as _, METADATA, after, commit};

#[tokio::test(start_paused = true)]
async fn changes_of_others_to_the_config_map_are_repaired() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    let mut published = bench.api.get(METADATA).unwrap();
    published["data"]["ref"] = "other".into();
    published["metadata"]["labels"] = json!({"mine": "yes"});
    bench.api.put(METADATA, published);
    bench.pass().await.unwrap();
    let repaired = bench.api.get(METADATA).unwrap();
    assert_eq!(repaired["data"]["ref"], "main");
    assert_eq!(repaired["metadata"]["labels"].as_object().unwrap().len(), 3);
    bench.api.remove(METADATA);
    bench.pass().await.unwrap();
    assert!(bench.api.get(METADATA).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_published_ref_is_one_that_every_agent_can_clone() {
    let (id, upper) = ("a".repeat(40), "A".repeat(40));
    let named_like_a_commit = format!("refs/heads/{}", "b".repeat(40));
    for (git_ref, kind, published) in [
        ("HEAD", RefKind::Branch, "main"),
        ("HEAD", RefKind::Other, &*id),
        ("heads/x/y", RefKind::Branch, "x/y"),
        ("refs/heads/x", RefKind::Branch, "x"),
        ("tags/v2.0.0", RefKind::Tag, "v2.0.0"),
        ("refs/tags/v2.0.0", RefKind::Tag, "v2.0.0"),
        ("refs/pull/7/head", RefKind::Other, &id),
        (&named_like_a_commit, RefKind::Branch, &id),
        (&upper, RefKind::Commit, &id),
    ] {
        let bench = Bench::new(&GatewaySync::sample().git_ref(git_ref));
        bench.git.set(git_ref, 'a', kind);
        bench.pass().await.unwrap();
        let data = bench.api.get(METADATA).unwrap()["data"].clone();
        assert_eq!(
            (&data["ref"], &data["commit"]),
            (&published.into(), &json!(id)),
            "{git_ref}"
        );
        let status = bench.object().status.unwrap();
        assert_eq!(status.last_sync_ref.as_deref(), Some(git_ref));
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_a_branch_and_a_tag_share_is_published_as_the_commit() {
    let (tag, branch) = (commit('a').to_string(), commit('b').to_string());
    for (git_ref, expected) in [
        ("refs/heads/dual", &*branch),
        ("refs/tags/dual", &tag),
        ("dual", "dual"),
    ] {
        let bench = Bench::new(&GatewaySync::sample().git_ref(git_ref));
        bench.git.set("dual", 'a', RefKind::Tag);
        bench.git.set("refs/tags/dual", 'a', RefKind::Tag);
        bench.git.set("refs/heads/dual", 'b', RefKind::Branch);
        bench.pass().await.unwrap();
        let published = &bench.api.get(METADATA).unwrap()["data"]["ref"];
        assert_eq!(published, expected, "{git_ref}");
        let status = bench.object().status.unwrap();
        assert_eq!(status.last_sync_ref.as_deref(), Some(git_ref));
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_has_the_ref_as_it_was_asked_for() {
    for (asked, found) in [("1.0.0", "v1.0.0"), ("refs/tags/v2", "refs/tags/2")] {
        let bench = Bench::new(&GatewaySync::sample().git_ref(asked));
        bench.git.set(found, 'b', RefKind::Tag);
        bench.pass().await.unwrap();
        let status = bench.object().status.unwrap();
        assert_eq!(status.last_sync_ref.as_deref(), Some(asked));
        let published = &bench.api.get(METADATA).unwrap()["data"]["ref"];
        assert_eq!(published, found.trim_start_matches("refs/tags/"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_config_map_that_is_as_it_was_written_is_not_read() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    bench.api.calls();
    bench.git.set("v1", 'b', RefKind::Tag);
    bench.change(|sync| sync.requested("v1", Some("2026-01-01T00:00:01Z")));
    bench.pass().await.unwrap();
    let calls = bench.api.calls();
    let on = |method: &str| format!("{method} {METADATA}");
    assert!(
        !calls.contains(&on("GET")) && calls.contains(&on("PATCH")),
        "{calls:?}"
    );
    let published = bench.api.get(METADATA).unwrap();
    assert_eq!(published["data"]["commit"], commit('b').as_str());
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_fails_unexpectedly_is_reported() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    bench.git.set("v1", 'b', RefKind::Tag);
    bench.change(|sync| sync.requested("v1", Some("2026-01-01T00:00:01Z")));
    bench
        .api
        .refuse(&format!("PATCH {METADATA}"), 403, "not now");
    bench.pass().await.unwrap_err();
    let (status, _, message) = bench.condition("Ready");
    assert_eq!(status, "False");
    assert!(
        message.starts_with("Metadata not published") && message.contains(": not now"),
        "{message}"
    );
    let event = format!("Warning PublicationFailed: {message}");
    assert_eq!(bench.events().last(), Some(&event));
    bench.pass().await.unwrap_err();
    assert_eq!(bench.events(), [""; 0], "the event is created once");
    bench.api.allow(&format!("PATCH {METADATA}"));
    bench.pass().await.unwrap();
    let published = bench.api.get(METADATA).unwrap();
    assert_eq!(published["data"]["commit"], commit('b').as_str());
    assert!(!bench.condition("Ready").2.contains("not published"));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_the_watch_has_not_reported_is_not_overwritten() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    let mut changed = bench.api.get(METADATA).unwrap();
    changed["metadata"]["labels"]["mine"] = "yes".into();
    bench.api.put(METADATA, changed);
    bench.git.set("v1", 'b', RefKind::Tag);
    bench.change(|sync| sync.requested("v1", Some("2026-01-01T00:00:01Z")));
    assert_eq!(bench.pass_over(bench.object()).await.unwrap(), after(300));
    let published = bench.api.get(METADATA).unwrap();
    assert_eq!(published["data"]["commit"], commit('b').as_str());
    assert_eq!(published["metadata"]["labels"]["mine"], "yes");

    let mut taken = published;
    taken["metadata"] = json!({"name": "stoker-metadata-plant"});
    bench.api.put(METADATA, taken);
    bench.git.set("v2", 'c', RefKind::Tag);
    bench.change(|sync| sync.requested("v2", Some("2026-01-01T00:00:02Z")));
    bench.pass_over(bench.object()).await.unwrap_err();
    let message = bench.condition("Ready").2;
    assert!(message.starts_with("Metadata not published"), "{message}");
    let published = bench.api.get(METADATA).unwrap();
    assert_eq!(published["data"]["commit"], commit('b').as_str());
}

#[tokio::test(start_paused = true)]
async fn a_config_map_of_others_is_reported_and_not_overwritten() {
    let deployment = json!([
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x", "uid": "u", "controller": true},
    ]);
    for (owners, whose) in [
        (deployment, "is controlled by Deployment x"),
        (json!([]), "was not created by Stoker"),
    ] {
        let bench = Bench::new(&GatewaySync::sample());
        let other = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"mine": "yes"},
            "metadata": {"name": "stoker-metadata-plant", "ownerReferences": owners},
        });
        bench.api.put(METADATA, other);
        let error = bench.pass().await.unwrap_err();
        let text = format!(
            "the ConfigMap stoker-metadata-plant exists, and it {whose}; \
             delete it, or create the GatewaySync under another name"
        );
        let message = format!("Metadata not published: {text}");
        assert_eq!(error.to_string(), message);
        assert_eq!(bench.condition("Ready").2, message);
        assert_eq!(bench.condition("RefResolved").0, "True");
        let event = format!("Warning MetadataTaken: {message}");
        assert_eq!(bench.events()[1..], [event]);
        assert_eq!(
            bench.api.get(METADATA).unwrap()["data"],
            json!({"mine": "yes"})
        );

        bench.pass().await.unwrap_err();
        assert_eq!(bench.events(), [""; 0], "the event is created once");
        bench.api.remove(METADATA);
        assert_eq!(bench.pass().await.unwrap(), after(300));
        assert_eq!(
            bench.api.get(METADATA).unwrap()["data"]["commit"],
            commit('a').as_str()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_config_map_of_an_earlier_object_or_of_the_go_operator_is_updated() {
    let labels = json!({
        "app.kubernetes.io/managed-by": "stoker-controller", "stoker.io/cr-name": "plant",
    });
    let earlier = json!([{
        "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync", "name": "plant", "uid": "uid-0", "controller": true,
    }]);
    for owners in [earlier, json!([])] {
        let bench = Bench::new(&GatewaySync::sample());
        let present = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"commit": "old"},
            "metadata": {"name": "stoker-metadata-plant", "labels": labels, "ownerReferences": owners},
        });
        bench.api.put(METADATA, present);
        assert_eq!(bench.pass().await.unwrap(), after(300));
        let updated = bench.api.get(METADATA).unwrap();
        assert_eq!(updated["data"]["commit"], commit('a').as_str());
        let owners = updated["metadata"]["ownerReferences"].as_array().unwrap();
        assert_eq!((owners.len(), &owners[0]["uid"]), (1, &"uid-1".into()));
    }
}

/// The ConfigMap of an object that was deleted without its dependents, and created again.
fn orphan(owners: &serde_json::Value) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "data": {"commit": commit('e').as_str(), "paused": "true"},
        "metadata": {
            "name": "stoker-metadata-plant", "uid": "uid-5", "ownerReferences": owners,
            "labels": {"app.kubernetes.io/managed-by": "stoker-controller", "stoker.io/cr-name": "plant"},
        },
    })
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_publishes_nothing_takes_the_config_map_over_too() {
    let paused = |bench: &Bench| {
        bench.change(|sync| sync.with(|sync| sync.spec.paused = Some(true)));
    };
    let cases: [fn(&Bench); 5] = [
        |bench| bench.change(|sync| sync.git_ref("gone")),
        |bench| drop(bench.api.remove(API_KEY)),
        |bench| {
            let secret = json!({"name": "none", "key": "k"});
            bench.change(|sync| sync.auth(json!({"token": {"secretRef": secret}})));
        },
        |bench| bench.git.silence(Some("git.example")),
        paused,
    ];
    let foreign = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "x", "uid": "u"});
    let earlier = json!({
        "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync", "name": "plant", "uid": "uid-0", "controller": true,
    });
    for (number, prepare) in cases.iter().enumerate() {
        for owners in [json!([]), json!([foreign]), json!([earlier])] {
            let bench = Bench::new(&GatewaySync::sample());
            let orphan = orphan(&owners);
            bench.api.put(METADATA, orphan.clone());
            prepare(&bench);
            bench.pass().await.unwrap();
            let found = bench.api.get(METADATA).unwrap();
            assert_eq!(found["data"], orphan["data"], "{number}");
            let owners = found["metadata"]["ownerReferences"].as_array().unwrap();
            assert_eq!(owners[0]["uid"], "uid-1", "{number}");
            assert_eq!(
                owners.len(),
                1 + usize::from(orphan["metadata"]["ownerReferences"] == json!([foreign]))
            );
            bench.api.calls();
            bench.pass().await.unwrap();
            let calls = bench.api.calls();
            assert!(
                !calls.contains(&format!("PATCH {METADATA}")),
                "{number}: {calls:?}"
            );

            bench.change(|sync| {
                sync.with(|sync| {
                    let now = serde_json::from_value(json!("2026-03-01T12:00:00Z"));
                    sync.metadata.deletion_timestamp = now.unwrap();
                })
            });
            bench.pass().await.unwrap();
            assert!(bench.api.get(METADATA).is_none(), "{number}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn labels_that_were_removed_in_a_pause_are_restored() {
    let bench = Bench::new(&GatewaySync::sample().with(|sync| sync.spec.paused = Some(true)));
    bench.pass().await.unwrap();
    let before = bench.api.get(METADATA).unwrap();
    let mut changed = before.clone();
    changed["metadata"]["labels"] = json!({"mine": "yes"});
    changed["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = json!(false);
    bench.api.put(METADATA, changed);
    bench.pass().await.unwrap();
    let after = bench.api.get(METADATA).unwrap();
    for part in [
        "/metadata/labels/stoker.io~1cr-name",
        "/metadata/ownerReferences",
        "/data",
    ] {
        assert_eq!(after.pointer(part), before.pointer(part), "{part}");
    }
    assert_eq!(after["metadata"]["labels"]["mine"], "yes");
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_the_api_server_has_no_time_for_is_tried_again_after_growing_waits() {
    let bench = Bench::new(&GatewaySync::sample());
    let create = "POST /api/v1/namespaces/edge/configmaps";
    bench.api.refuse(create, 429, "too many requests");
    for seconds in [1, 2, 4] {
        let error = bench.pass().await.unwrap_err();
        let object = Arc::new(DeserializeGuard(Ok(bench.object())));
        let next = retry(object, &error, Arc::clone(&bench.context));
        assert_eq!(next, after(seconds));
        let (status, _, message) = bench.condition("Ready");
        assert_eq!(status, "False");
        assert!(message.contains("too many requests"), "{message}");
    }
    bench.api.allow(create);
    assert_eq!(bench.pass().await.unwrap(), after(300));
    assert!(bench.api.get(METADATA).is_some());
}
