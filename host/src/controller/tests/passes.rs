use kube::runtime::controller::Action;

use super::super::*;
use super::fixture::{API_KEY, Bench, GatewaySyncExt as _, METADATA, OBJECT, after, commit};
use crate::git::RefKind;

const SECOND: Duration = Duration::from_secs(1);

/// What a pass may call that finds nothing new.
fn quiet() -> [String; 2] {
    [format!("GET {METADATA}"), format!("GET {API_KEY}")]
}

fn ready_message(bench: &Bench) -> String {
    bench.condition("Ready").2
}

#[tokio::test(start_paused = true)]
async fn a_first_pass_resolves_publishes_and_reports() {
    let bench = Bench::new(&GatewaySync::sample());
    assert_eq!(bench.pass().await.unwrap(), after(60));
    let expected = [
        format!("GET {METADATA}"),
        format!("GET {API_KEY}"),
        "POST /api/v1/namespaces/edge/configmaps".to_owned(),
        format!("PATCH {OBJECT}/status"),
    ];
    assert_eq!(bench.api.calls(), expected);
    assert_eq!(bench.git.asked(), ["main"]);
    assert_eq!(
        bench.api.get(METADATA).unwrap()["data"]["commit"],
        commit('a').as_str()
    );
    assert_eq!(
        bench.object().status.unwrap().last_sync_commit.as_deref(),
        Some(commit('a').as_str())
    );
    assert_eq!(
        bench.api.events(),
        [format!(
            "Normal RefResolved: Ref \"main\" resolved to {}",
            commit('a')
        )]
    );
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_finds_nothing_new_writes_nothing_and_asks_nobody() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    bench.api.calls();
    bench.git.asked();
    tokio::time::advance(20 * SECOND).await;
    assert_eq!(
        bench.pass().await.unwrap(),
        after(40),
        "the poll is due when it was"
    );
    assert_eq!(bench.api.calls(), quiet());
    assert_eq!(bench.git.asked(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_finds_a_new_commit_publishes_and_reports_it() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    bench.git.set("main", 'b', RefKind::Branch);
    bench.api.events();
    tokio::time::advance(60 * SECOND).await;
    assert_eq!(bench.pass().await.unwrap(), after(60));
    assert_eq!(
        bench.api.get(METADATA).unwrap()["data"]["commit"],
        commit('b').as_str()
    );
    assert_eq!(
        bench
            .object()
            .status
            .unwrap()
            .last_sync_commit_short
            .as_deref(),
        Some("bbbbbbb")
    );
    assert_eq!(bench.api.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_spec_is_looked_at_at_once() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    bench.git.asked();
    // The same ref, but perhaps of another repository.
    bench.change(|sync| sync.repo("https://git.example/o/other.git").generation(2));
    bench.pass().await.unwrap();
    assert_eq!(bench.git.asked(), ["main"]);
}

#[tokio::test(start_paused = true)]
async fn without_polling_there_is_no_timer() {
    for (enabled, interval) in [(false, "60s"), (true, "0s"), (true, "-1m")] {
        let bench = Bench::new(&GatewaySync::sample().polling(enabled, interval));
        assert_eq!(bench.pass().await.unwrap(), Action::await_change());
        tokio::time::advance(1000 * SECOND).await;
        bench.git.asked();
        assert_eq!(bench.pass().await.unwrap(), Action::await_change());
        assert_eq!(
            bench.git.asked(),
            [""; 0],
            "what woke the pass was no request"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_ref_that_is_not_there_is_tried_again_even_without_polling() {
    let bench = Bench::new(&GatewaySync::sample().git_ref("gone").polling(false, "60s"));
    assert_eq!(bench.pass().await.unwrap(), after(30));
    assert_eq!(bench.git.asked(), ["gone"]);
    let (status, reason, message) = bench.condition("RefResolved");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "RefResolutionFailed")
    );
    assert!(
        message.starts_with("Ref resolution failed (retry in 30s): "),
        "{message}"
    );
    assert_eq!(ready_message(&bench), "Ref not resolved");
    assert!(bench.api.get(METADATA).is_none());
    assert_eq!(bench.api.events().len(), 1);

    // The pass that its own status write causes.
    bench.api.calls();
    tokio::time::advance(SECOND).await;
    assert_eq!(bench.pass().await.unwrap(), after(29));
    assert_eq!(bench.git.asked(), [""; 0]);
    assert_eq!(bench.api.calls(), quiet());

    tokio::time::advance(29 * SECOND).await;
    assert_eq!(bench.pass().await.unwrap(), after(60));
    assert!(bench.condition("RefResolved").2.contains("(retry in 1m0s)"));
    assert_eq!(bench.api.events(), [""; 0], "told on entry only");
}

#[tokio::test(start_paused = true)]
async fn a_ref_that_goes_leaves_what_was_published() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    bench.change(|sync| sync.git_ref("gone").generation(2));
    assert_eq!(bench.pass().await.unwrap(), after(30));
    assert_eq!(
        bench.api.get(METADATA).unwrap()["data"]["commit"],
        commit('a').as_str()
    );
    assert_eq!(
        bench.object().status.unwrap().last_sync_ref.as_deref(),
        Some("main")
    );
}

#[tokio::test(start_paused = true)]
async fn texts_that_no_retry_can_help_wait_for_a_change() {
    for sync in [
        GatewaySync::sample().git_ref("a..b"),
        GatewaySync::sample().repo("/srv/git"),
    ] {
        let bench = Bench::new(&sync);
        assert_eq!(bench.pass().await.unwrap(), Action::await_change());
        assert_eq!(bench.git.asked(), [""; 0]);
        let (status, reason, message) = bench.condition("RefResolved");
        assert_eq!(
            (status.as_str(), reason.as_str()),
            ("False", "RefResolutionFailed")
        );
        assert!(message.starts_with("Ref resolution failed: "), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_object_is_left_alone() {
    let bench = Bench::new(&GatewaySync::sample().with(|sync| sync.spec.paused = Some(true)));
    assert_eq!(bench.pass().await.unwrap(), Action::await_change());
    assert_eq!(bench.api.calls(), [format!("PATCH {OBJECT}/status")]);
    assert_eq!(bench.git.asked(), [""; 0]);
    let expected = (
        "False".to_owned(),
        "Paused".to_owned(),
        "Reconciliation paused".to_owned(),
    );
    assert_eq!(bench.condition("Ready"), expected);
    assert_eq!(bench.api.events(), ["Normal Paused: Reconciliation paused"]);
    bench.pass().await.unwrap();
    assert_eq!(bench.api.calls(), [""; 0]);
    assert_eq!(bench.api.events(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn invalid_profiles_do_not_keep_the_commit_back() {
    let bench = Bench::new(&GatewaySync::sample().with(|sync| {
        sync.spec
            .sync
            .profiles
            .values_mut()
            .next()
            .unwrap()
            .mappings[0]
            .source = "../x".to_owned();
    }));
    bench.pass().await.unwrap();
    assert!(bench.api.get(METADATA).is_some());
    assert_eq!(bench.condition("ProfilesValid").1, "ProfilesInvalid");
    assert_eq!(ready_message(&bench), "Profiles invalid");
    let events = bench.api.events();
    assert!(
        events[0].starts_with(
            "Warning ProfilesInvalid: Profile validation failed: spec.sync.profiles[p]"
        ),
        "{events:?}"
    );
    tokio::time::advance(60 * SECOND).await;
    bench.pass().await.unwrap();
    assert_eq!(bench.api.events(), [""; 0], "the same fault is told once");
}

#[tokio::test(start_paused = true)]
async fn an_interval_that_is_none_is_told_until_it_is_one() {
    let bench = Bench::new(&GatewaySync::sample().polling(true, "often"));
    assert_eq!(bench.pass().await.unwrap(), after(60));
    let (status, reason, message) = bench.condition("PollingIntervalValid");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "PollingIntervalInvalid")
    );
    assert!(
        message.starts_with("spec.polling.interval: \"often\" is not a duration"),
        "{message}"
    );
    bench.change(|sync| sync.polling(true, "5m").generation(2));
    assert_eq!(bench.pass().await.unwrap(), after(300));
    assert!(
        bench
            .object()
            .status
            .unwrap()
            .condition("PollingIntervalValid")
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn what_others_change_on_the_published_is_repaired() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    let mut published = bench.api.get(METADATA).unwrap();
    published["data"]["ref"] = "other".into();
    published["metadata"]["labels"] = serde_json::json!({"mine": "yes"});
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
async fn a_config_map_of_somebody_else_is_not_taken() {
    let bench = Bench::new(&GatewaySync::sample());
    let other = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "stoker-metadata-plant", "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x", "uid": "u", "controller": true},
        ]},
    });
    bench.api.put(METADATA, other);
    let error = bench.pass().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the ConfigMap stoker-metadata-plant belongs to Deployment x"
    );
    assert_eq!(
        ready_message(&bench),
        format!("Metadata not published: {error}")
    );
    assert!(bench.api.get(METADATA).unwrap()["data"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_status_that_changed_meanwhile_is_not_written_over() {
    let bench = Bench::new(&GatewaySync::sample());
    let stale = bench.object();
    bench.change(|sync| sync.condition("Foreign", "True"));
    assert_eq!(bench.pass_over(stale).await.unwrap(), after(1));
    assert_eq!(bench.object().status.unwrap().conditions.len(), 1);
    assert_eq!(bench.api.events(), [""; 0]);
    bench.git.asked();
    bench.pass().await.unwrap();
    assert!(
        bench
            .object()
            .status
            .unwrap()
            .condition("Foreign")
            .is_some()
    );
    assert_eq!(
        bench.git.asked(),
        [""; 0],
        "the look of the pass before still holds"
    );
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_given_up_on() {
    let bench = Bench::new(&GatewaySync::sample());
    let silent = tower::service_fn(|_: http::Request<kube::client::Body>| {
        std::future::pending::<Result<http::Response<kube::client::Body>, tower::BoxError>>()
    });
    let context = Context {
        client: Client::new(silent, "default"),
        git: Arc::clone(&bench.git),
        metrics: bench.context.metrics.clone(),
        memory: Memory::default(),
        clock: super::fixture::noon,
    };
    let object = Arc::new(DeserializeGuard(Ok(bench.object())));
    let error = reconcile(object, Arc::new(context)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to read a Secret's metadata: no answer within 10 s"
    );
}
