use std::time::Duration;

use kube::runtime::controller::Action;
use stoker_git::RefKind;

use super::super::*;
use super::fixture::{Bench, GatewaySyncExt as _, METADATA, OBJECT, key};

#[tokio::test(start_paused = true)]
async fn a_paused_object_is_only_reported() {
    let bench = Bench::new(&GatewaySync::sample().with(|sync| sync.spec.paused = Some(true)));
    assert_eq!(bench.pass().await.unwrap(), Action::await_change());
    let read = format!("GET {METADATA}");
    let create = "POST /api/v1/namespaces/edge/configmaps".to_owned();
    assert_eq!(
        bench.api.calls(),
        [format!("PATCH {OBJECT}/status"), read.clone(), create]
    );
    assert_eq!(bench.git.looked_up(), [""; 0]);
    let expected = (
        "False".to_owned(),
        "Paused".to_owned(),
        "Reconciliation paused".to_owned(),
    );
    assert_eq!(bench.condition("Ready"), expected);
    assert_eq!(bench.events(), ["Normal Paused: Reconciliation paused"]);
    bench.pass().await.unwrap();
    assert_eq!(bench.api.calls(), [read]);
    assert_eq!(bench.events(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_reaches_the_agents_and_changes_nothing_else_of_what_they_read() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    let data = || bench.api.get(METADATA).unwrap()["data"].clone();
    let before = data();
    let pause = |paused| bench.change(|sync| sync.with(|sync| sync.spec.paused = Some(paused)));
    pause(true);
    bench.change(|sync| sync.git_ref("gone"));
    bench.pass().await.unwrap();
    let mut told = before.clone();
    told["paused"] = "true".into();
    assert_eq!(data(), told);
    bench.api.calls();
    assert_eq!(bench.pass().await.unwrap(), Action::await_change());
    assert_eq!(bench.api.calls(), [format!("GET {METADATA}")]);
    pause(false);
    bench.change(|sync| sync.git_ref("main"));
    bench.pass().await.unwrap();
    assert_eq!(data(), before);
}

#[tokio::test(start_paused = true)]
async fn a_pause_before_the_first_publication_is_published_without_a_commit() {
    let bench = Bench::new(&GatewaySync::sample().with(|sync| sync.spec.paused = Some(true)));
    bench.pass().await.unwrap();
    let paused = bench.api.get(METADATA).unwrap();
    let mut data = paused["data"].clone();
    assert_eq!(data["paused"], "true");
    assert_eq!(data["gitURL"], "https://git.example/o/r.git");
    // The agents of the Go operator wait for the commit.
    assert!(data.get("commit").is_none() && data.get("ref").is_none());

    bench.change(|sync| sync.with(|sync| sync.spec.paused = None).generation(2));
    bench.pass().await.unwrap();
    let published = bench.api.get(METADATA).unwrap();
    data["paused"] = "false".into();
    data["commit"] = "a".repeat(40).into();
    data["ref"] = "main".into();
    assert_eq!(published["data"], data);
    for part in ["labels", "ownerReferences", "uid"] {
        assert_eq!(paused["metadata"][part], published["metadata"][part]);
    }
    assert_eq!(paused["metadata"]["ownerReferences"][0]["name"], "plant");
}

#[tokio::test(start_paused = true)]
async fn a_pause_does_not_change_a_config_map_of_others() {
    let bench = Bench::new(&GatewaySync::sample().with(|sync| sync.spec.paused = Some(true)));
    let other = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stoker-metadata-plant"}, "data": {"mine": "yes"},
    });
    bench.api.put(METADATA, other.clone());
    bench.pass().await.unwrap();
    assert_eq!(bench.api.get(METADATA).unwrap()["data"], other["data"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_pause_is_told_also_without_a_commit() {
    let sample = GatewaySync::sample().git_ref("gone");
    let bench = Bench::new(&sample.with(|sync| sync.spec.paused = Some(true)));
    bench.pass().await.unwrap();
    let paused = || bench.api.get(METADATA).unwrap()["data"]["paused"].clone();
    assert_eq!(paused(), "true");
    bench.change(|sync| sync.with(|sync| sync.spec.paused = Some(false)));
    bench.pass().await.unwrap();
    assert_eq!(bench.condition("RefResolved").0, "False");
    assert_eq!(paused(), "false");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_pause_is_told_while_the_git_server_is_silent() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    let data = || bench.api.get(METADATA).unwrap()["data"].clone();
    let before = data();
    let pause = |paused, generation| {
        bench.change(|sync| {
            sync.with(|sync| sync.spec.paused = Some(paused))
                .generation(generation)
        });
    };
    pause(true, 2);
    bench.pass().await.unwrap();
    assert_eq!(data()["paused"], "true");
    bench.git.silence(Some("git.example"));
    pause(false, 3);
    bench.pass().await.unwrap();
    assert_eq!(data(), before);
    let ready = ["False", "Reconciling", "Resolving the ref"].map(str::to_owned);
    assert_eq!(bench.condition("Ready"), ready.into());
    let resolving = Some(stoker_api::RefResolutionStatus::Resolving);
    assert_eq!(
        bench.object().status.unwrap().ref_resolution_status,
        resolving
    );

    // A failure is tried again.
    pause(true, 4);
    bench.pass().await.unwrap();
    pause(false, 5);
    let refused = format!("PATCH {METADATA}");
    bench.api.refuse(&refused, 500, "no");
    bench.pass().await.unwrap_err();
    bench.api.allow(&refused);
    bench.pass().await.unwrap();
    assert_eq!(data(), before);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_ends_with_a_correction_does_not_publish_what_was_corrected() {
    type Correction = fn(GatewaySync) -> GatewaySync;
    let corrections: [Correction; 3] = [
        |sync| sync.git_ref("fixed"),
        |sync| sync.with(|sync| sync.spec.git.repo = "https://git.example/o/other.git".to_owned()),
        |sync| sync.with(|sync| sync.spec.sync.profiles.clear()),
    ];
    for correct in corrections {
        let bench = Bench::new(&GatewaySync::sample());
        bench.git.set("fixed", 'f', RefKind::Branch);
        bench.pass().await.unwrap();
        let data = || bench.api.get(METADATA).unwrap()["data"].clone();
        bench.change(|sync| {
            sync.with(|sync| sync.spec.paused = Some(true))
                .generation(2)
        });
        bench.pass().await.unwrap();
        let paused = data();
        assert_eq!(paused["paused"], "true");
        bench.git.silence(Some("git.example"));
        bench
            .change(|sync| correct(sync.with(|sync| sync.spec.paused = Some(false))).generation(3));
        // After a restart, the controller knows no commit.
        bench.context.states.remove(&key());
        bench.pass().await.unwrap();
        assert_eq!(data(), paused);
        // The lookup ends by its limit, and the next one succeeds.
        bench.git.silence(None);
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_mins(2)).await;
            bench.pass().await.unwrap();
        }
        assert_eq!(data()["paused"], "false");
    }
}
