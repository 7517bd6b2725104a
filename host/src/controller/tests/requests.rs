use std::time::Duration;

use stoker_api::SyncedRefKind;
use stoker_api::names::annotation::{REQUESTED_AT, REQUESTED_REF};
use stoker_git::RefKind;

use serde_json::json;

use super::super::*;
use super::fake_api::FakeApi;
use super::fixture::{Bench, GatewaySyncExt as _, METADATA, OBJECT, after, commit};

const SECOND: Duration = Duration::from_secs(1);
const NONE: [&str; 0] = [];

fn requested_ref(bench: &Bench) -> Option<String> {
    bench.object().requested_ref().map(str::to_owned)
}

fn handled(bench: &Bench) -> Option<String> {
    bench.object().status.unwrap().last_handled_requested_at
}

#[tokio::test(start_paused = true)]
async fn a_request_has_precedence_over_the_spec_and_stays_while_it_differs() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.git.set("refs/tags/v2", 'b', RefKind::Tag);
    bench.pass().await.unwrap();
    bench.change(|sync| sync.requested("refs/tags/v2", Some("t1")));
    assert_eq!(bench.pass().await.unwrap(), after(300));
    let status = bench.object().status.unwrap();
    assert_eq!(status.last_sync_ref.as_deref(), Some("refs/tags/v2"));
    assert_eq!(status.last_sync_ref_kind, Some(SyncedRefKind::Tag));
    assert_eq!(status.last_handled_requested_at.as_deref(), Some("t1"));
    let data = bench.api.get(METADATA).unwrap()["data"].clone();
    assert_eq!(
        (&data["ref"], &data["commit"]),
        (&"v2".into(), &commit('b').as_str().into())
    );
    assert_eq!(requested_ref(&bench).as_deref(), Some("refs/tags/v2"));
}

#[tokio::test(start_paused = true)]
async fn each_new_request_is_looked_up_at_once_and_once() {
    let bench = Bench::new(&GatewaySync::sample().polling(true, "1h"));
    bench.pass().await.unwrap();
    bench.git.looked_up();
    for (at, digit) in [("t1", 'b'), ("t2", 'c')] {
        // A push to the branch that is synced already.
        tokio::time::advance(Duration::from_millis(1)).await;
        bench.git.set("main", digit, RefKind::Branch);
        bench.change(|sync| sync.requested("main", Some(at)));
        bench.pass().await.unwrap();
        assert_eq!(bench.git.looked_up(), ["main"]);
        assert_eq!(
            bench.object().status.unwrap().last_sync_commit.as_deref(),
            Some(commit(digit).as_str())
        );
        assert_eq!(handled(&bench).as_deref(), Some(at));
        bench.pass().await.unwrap();
        assert_eq!(bench.git.looked_up(), NONE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_alone_starts_a_lookup_of_the_ref_of_the_spec() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    bench.git.looked_up();
    tokio::time::advance(Duration::from_millis(1)).await;
    bench.change(|sync| sync.requested("", Some("t1")));
    bench.pass().await.unwrap();
    assert_eq!(bench.git.looked_up(), ["main"]);
    assert_eq!(handled(&bench).as_deref(), Some("t1"));
}

#[tokio::test(start_paused = true)]
async fn a_ref_without_a_time_is_a_request_too() {
    let bench = Bench::new(&GatewaySync::sample().polling(false, ""));
    bench.git.set("dev", 'b', RefKind::Branch);
    bench.pass().await.unwrap();
    bench.git.looked_up();
    bench.change(|sync| sync.requested("dev", None));
    bench.pass().await.unwrap();
    bench.pass().await.unwrap();
    assert_eq!(bench.git.looked_up(), ["dev"]);
    assert_eq!(handled(&bench), None);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_time_for_the_followed_ref_is_looked_up_without_polling() {
    let bench = Bench::new(&GatewaySync::sample().polling(false, ""));
    bench.pass().await.unwrap();
    for digit in ['b', 'c'] {
        tokio::time::advance(SECOND).await;
        bench.git.set("main", digit, RefKind::Branch);
        bench.git.looked_up();
        bench.change(|sync| sync.requested("main", None));
        bench.pass().await.unwrap();
        let status = bench.object().status.unwrap();
        let found = commit(digit);
        assert_eq!(status.last_sync_commit.as_deref(), Some(found.as_str()));
        assert_eq!(requested_ref(&bench), None);
        // The removal starts a pass.
        bench.pass().await.unwrap();
        assert_eq!(bench.git.looked_up(), ["main"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_is_handled_and_tried_again_at_the_same_interval() {
    let bench = Bench::new(&GatewaySync::sample().git_ref("gone"));
    assert_eq!(bench.pass().await.unwrap(), after(30));
    tokio::time::advance(30 * SECOND).await;
    assert_eq!(bench.pass().await.unwrap(), after(60));
    bench.change(|sync| sync.requested("gone-too", Some("t1")));
    assert_eq!(bench.pass().await.unwrap(), after(30));
    assert_eq!(handled(&bench).as_deref(), Some("t1"));
    for _ in 0..3 {
        tokio::time::advance(30 * SECOND).await;
        assert_eq!(bench.pass().await.unwrap(), after(30));
    }
    let (_, _, message) = bench.condition("RefResolved");
    assert!(message.contains("(retry in 30s)"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_request_is_reported_and_waits_for_the_next() {
    let bench = Bench::new(&GatewaySync::sample().requested("-x", Some("t1")));
    bench.pass().await.unwrap();
    assert_eq!(bench.git.looked_up(), NONE);
    assert_eq!(bench.condition("RefResolved").1, "RefResolutionFailed");
    assert_eq!(handled(&bench).as_deref(), Some("t1"));
    bench.change(|sync| sync.requested("main", Some("t2")));
    bench.pass().await.unwrap();
    assert_eq!(bench.condition("RefResolved").0, "True");
}

#[tokio::test(start_paused = true)]
async fn a_request_for_the_ref_of_the_spec_is_removed_but_not_its_time() {
    let bench = Bench::new(&GatewaySync::sample().requested("main", Some("t1")));
    bench.pass().await.unwrap();
    assert_eq!(requested_ref(&bench), None);
    let annotations = bench.object().metadata.annotations.unwrap();
    assert!(!annotations.contains_key(REQUESTED_REF));
    assert_eq!(annotations[REQUESTED_AT], "t1");
    bench.git.looked_up();
    bench.api.calls();
    bench.pass().await.unwrap();
    assert_eq!(
        bench.git.looked_up(),
        NONE,
        "the removal does not start a lookup"
    );
    assert_eq!(bench.api.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_time_is_removed_too() {
    let bench = Bench::new(&GatewaySync::sample().requested("main", None));
    bench.pass().await.unwrap();
    assert_eq!(requested_ref(&bench), None);
}

#[tokio::test(start_paused = true)]
async fn a_request_between_the_lookup_and_the_removal_stays() {
    for (at, newer) in [(Some("t1"), Some("t2")), (None, Some("t2")), (None, None)] {
        let bench = Bench::new(&GatewaySync::sample().requested("main", at));
        bench.api.before(&format!("PATCH {OBJECT}"), move |api| {
            let mut object = api.get(OBJECT).unwrap();
            if let Some(newer) = newer {
                object["metadata"]["annotations"][REQUESTED_AT] = newer.into();
            }
            api.put(OBJECT, object);
        });
        assert_eq!(bench.pass().await.unwrap(), after(1));
        assert_eq!(
            requested_ref(&bench).as_deref(),
            Some("main"),
            "{at:?} {newer:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_removed_after_a_change_that_starts_no_pass() {
    let label = |api: &FakeApi| {
        let mut object = api.get(OBJECT).unwrap();
        object["metadata"]["labels"] = json!({"team": "edge"});
        api.put(OBJECT, object);
    };
    let sync = GatewaySync::sample().polling(false, "");
    let bench = Bench::new(&sync.clone().requested("main", None));
    bench.api.before(&format!("PATCH {OBJECT}"), label);
    assert_eq!(bench.pass().await.unwrap(), after(1));
    tokio::time::advance(SECOND).await;
    assert_eq!(bench.pass().await.unwrap(), Action::await_change());
    assert_eq!(requested_ref(&bench), None);
    assert_eq!(bench.git.looked_up(), ["main"]);
}

#[tokio::test(start_paused = true)]
async fn a_superseded_request_is_reported_once_it_is_removed() {
    let superseded = |sync: GatewaySync| {
        let sync = sync.git_ref("v2").requested("v1", Some("t1"));
        sync.with(|sync| {
            let annotations = sync.metadata.annotations.get_or_insert_default();
            let name = "stoker.io/requested-over".to_owned();
            annotations.insert(name, "v1 t1 main".to_owned());
        })
    };
    let bench = Bench::new(&superseded(GatewaySync::sample()));
    bench.api.before(&format!("PATCH {OBJECT}"), |api| {
        let mut object = api.get(OBJECT).unwrap();
        object["metadata"]["annotations"][REQUESTED_AT] = "t2".into();
        api.put(OBJECT, object);
    });
    assert_eq!(bench.pass().await.unwrap(), after(1));
    assert_eq!(bench.events(), NONE);
    assert_eq!(requested_ref(&bench).as_deref(), Some("v1"));
}

#[tokio::test(start_paused = true)]
async fn a_note_of_an_earlier_webhook_says_nothing_about_the_request_of_a_person() {
    // A webhook requested v1 over main. While no controller ran, the spec was changed, and then a person requested v2.
    let sync = GatewaySync::sample()
        .git_ref("dev")
        .requested("v2", Some("t1"));
    let bench = Bench::new(&sync.with(|sync| {
        let annotations = sync.metadata.annotations.get_or_insert_default();
        let name = "stoker.io/requested-over".to_owned();
        annotations.insert(name, "v1 t1 main".to_owned());
    }));
    bench.git.set("v2", 'b', RefKind::Tag);
    bench.pass().await.unwrap();
    assert_eq!(requested_ref(&bench).as_deref(), Some("v2"));
    let status = bench.object().status.unwrap();
    assert_eq!(status.last_sync_ref.as_deref(), Some("v2"));
    // Without a note, it also stays after a later change of the spec.
    bench.change(|sync| sync.git_ref("main").generation(2));
    bench.pass().await.unwrap();
    assert_eq!(requested_ref(&bench).as_deref(), Some("v2"));
}

#[tokio::test(start_paused = true)]
async fn a_request_in_another_spelling_is_removed_only_if_the_repository_agrees() {
    let tag = RefKind::Tag;
    let branch = RefKind::Branch;
    let cases = [
        ("v2.2.3", "2.2.3", Some(('b', tag)), true),
        ("v2.2.3", "2.2.3", Some(('c', tag)), false),
        ("v2.2.3", "2.2.3", None, true),
        ("refs/tags/v2.2.3", "v2.2.3", Some(('b', tag)), true),
        (
            "refs/tags/main",
            "refs/heads/main",
            Some(('b', branch)),
            false,
        ),
    ];
    for (requested, spec, of_spec, cleared) in cases {
        let bench = Bench::new(
            &GatewaySync::sample()
                .git_ref(spec)
                .requested(requested, Some("t1")),
        );
        bench.git.set(requested, 'b', tag);
        if let Some((digit, kind)) = of_spec {
            bench.git.set(spec, digit, kind);
        }
        bench.pass().await.unwrap();
        assert_eq!(bench.git.looked_up()[..2], [requested, spec]);
        assert_eq!(
            requested_ref(&bench).is_none(),
            cleared,
            "{requested} {spec}"
        );
        bench.pass().await.unwrap();
        assert_eq!(
            bench.object().status.unwrap().last_sync_commit.as_deref(),
            Some(commit('b').as_str())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_definition_without_the_handled_time_causes_no_extra_lookup() {
    let bench = Bench::new(&GatewaySync::sample().requested("main", Some("t1")));
    bench.pass().await.unwrap();
    bench.git.looked_up();
    bench.change(|sync| {
        sync.with(|sync| {
            sync.status
                .get_or_insert_default()
                .last_handled_requested_at = None;
        })
    });
    bench.pass().await.unwrap();
    assert_eq!(bench.git.looked_up(), NONE);
}

#[tokio::test(start_paused = true)]
async fn a_request_to_a_paused_object_waits_until_the_object_is_resumed() {
    let sync = GatewaySync::sample()
        .with(|sync| sync.spec.paused = Some(true))
        .requested("main", Some("t1"));
    let bench = Bench::new(&sync);
    bench.pass().await.unwrap();
    assert_eq!((bench.git.looked_up().len(), handled(&bench)), (0, None));
    bench.change(|sync| sync.with(|sync| sync.spec.paused = None).generation(2));
    bench.pass().await.unwrap();
    assert_eq!(handled(&bench).as_deref(), Some("t1"));
}

#[tokio::test(start_paused = true)]
async fn a_version_is_found_with_or_without_its_v() {
    for (spec, tag) in [("2.2.3", "v2.2.3"), ("v2.2.3", "2.2.3")] {
        let bench = Bench::new(&GatewaySync::sample().git_ref(spec));
        bench.git.set(tag, 'b', RefKind::Tag);
        bench.pass().await.unwrap();
        let status = bench.object().status.unwrap();
        assert_eq!(
            status.last_sync_commit.as_deref(),
            Some(commit('b').as_str())
        );
        // The agents need the name that exists.
        assert_eq!(bench.api.get(METADATA).unwrap()["data"]["ref"], tag);
        // The exact name has precedence.
        bench.git.set(spec, 'c', RefKind::Tag);
        tokio::time::advance(60 * SECOND).await;
        bench.pass().await.unwrap();
        assert_eq!(bench.api.get(METADATA).unwrap()["data"]["ref"], spec);
    }
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_is_changed_after_a_request_wins() {
    let request = |sync: GatewaySync, over: &str| {
        sync.requested("v1", Some("t1")).with(|sync| {
            let annotations = sync.metadata.annotations.get_or_insert_default();
            let note = format!("v1 t1 {over}");
            annotations.insert("stoker.io/requested-over".to_owned(), note);
        })
    };
    let bench = Bench::new(&request(GatewaySync::sample(), "main"));
    bench.git.set("v1", 'b', RefKind::Tag);
    bench.git.set("v2", 'c', RefKind::Tag);
    bench.pass().await.unwrap();
    let commit_of = |bench: &Bench| bench.object().status.unwrap().last_sync_commit.unwrap();
    assert_eq!(
        commit_of(&bench),
        commit('b').as_str(),
        "the request overrides the spec"
    );
    bench.events();
    bench.change(|sync| sync.git_ref("v2").generation(2));
    assert_eq!(bench.pass().await.unwrap(), Action::await_change());
    let annotations = bench.object().metadata.annotations.unwrap();
    assert_eq!(
        annotations.keys().collect::<Vec<_>>(),
        ["stoker.io/requested-at"]
    );
    assert_eq!(
        bench.events(),
        [
            "Normal RequestSuperseded: The request for \"v1\" was removed: spec.git.ref was changed from \"main\" to \"v2\" after it"
        ]
    );
    bench.pass().await.unwrap();
    assert_eq!(commit_of(&bench), commit('c').as_str());
    // A request that another program wrote over the one of the receiver stays.
    let sync = request(GatewaySync::sample(), "main").git_ref("v2");
    let bench = Bench::new(&sync.requested("v1", Some("t2")));
    bench.git.set("v1", 'b', RefKind::Tag);
    bench.pass().await.unwrap();
    assert_eq!(commit_of(&bench), commit('b').as_str());
    // A request without the note of the receiver stays, as with the Go operator.
    let bench = Bench::new(
        &GatewaySync::sample()
            .requested("v1", Some("t1"))
            .git_ref("v2"),
    );
    bench.git.set("v1", 'b', RefKind::Tag);
    bench.pass().await.unwrap();
    assert_eq!(commit_of(&bench), commit('b').as_str());
}
