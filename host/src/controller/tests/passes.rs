use std::time::Duration;

use kube::runtime::controller::Action;
use stoker_git::RefKind;
use tokio::time::Instant;

use super::super::*;
use super::fixture::{self, API_KEY, Bench, GatewaySyncExt as _, METADATA, OBJECT, after, commit};
use crate::fake_client;

const SECOND: Duration = Duration::from_secs(1);

/// The calls of a pass that finds nothing new.
fn quiet() -> [String; 1] {
    [format!("GET {API_KEY}")]
}

fn ready_message(bench: &Bench) -> String {
    bench.condition("Ready").2
}

#[tokio::test(start_paused = true)]
async fn a_first_pass_resolves_publishes_and_reports() {
    let bench = Bench::new(&GatewaySync::sample());
    assert_eq!(bench.pass().await.unwrap(), after(300));
    let expected = [
        format!("GET {METADATA}"),
        format!("GET {API_KEY}"),
        "POST /api/v1/namespaces/edge/configmaps".to_owned(),
        format!("PATCH {OBJECT}/status"),
    ];
    assert_eq!(bench.api.calls(), expected);
    assert_eq!(bench.git.looked_up(), ["main"]);
    assert_eq!(
        bench.api.get(METADATA).unwrap()["data"]["commit"],
        commit('a').as_str()
    );
    assert_eq!(
        bench.object().status.unwrap().last_sync_commit.as_deref(),
        Some(commit('a').as_str())
    );
    assert_eq!(
        bench.events(),
        [format!(
            "Normal RefResolved: Ref \"main\" resolved to {}",
            commit('a')
        )]
    );
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_finds_nothing_new_writes_nothing_and_looks_nothing_up() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    bench.api.calls();
    bench.git.looked_up();
    tokio::time::advance(20 * SECOND).await;
    assert_eq!(bench.pass().await.unwrap(), after(300));
    assert_eq!(bench.api.calls(), quiet());
    assert_eq!(bench.git.looked_up(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_finds_a_new_commit_publishes_and_reports_it() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    bench.git.set("main", 'b', RefKind::Branch);
    bench.events();
    tokio::time::advance(60 * SECOND).await;
    assert_eq!(bench.pass().await.unwrap(), after(300));
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
    assert_eq!(bench.events().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_ref_of_a_changed_spec_is_looked_up_at_once() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    bench.git.looked_up();
    // The same ref in another repository.
    bench.change(|sync| sync.repo("https://git.example/o/other.git").generation(2));
    bench.pass().await.unwrap();
    assert_eq!(bench.git.looked_up(), ["main"]);
}

#[tokio::test(start_paused = true)]
async fn without_polling_there_is_no_timer() {
    for (enabled, interval) in [(false, "60s"), (true, "0s"), (true, "-1m")] {
        let bench = Bench::new(&GatewaySync::sample().polling(enabled, interval));
        assert_eq!(bench.pass().await.unwrap(), Action::await_change());
        tokio::time::advance(1000 * SECOND).await;
        bench.git.looked_up();
        assert_eq!(bench.pass().await.unwrap(), Action::await_change());
        assert_eq!(
            bench.git.looked_up(),
            [""; 0],
            "the pass was not started by a request"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_ref_is_looked_up_again_even_without_polling() {
    let bench = Bench::new(&GatewaySync::sample().git_ref("gone").polling(false, "60s"));
    assert_eq!(bench.pass().await.unwrap(), after(30));
    assert_eq!(bench.git.looked_up(), ["gone"]);
    let (status, reason, message) = bench.condition("RefResolved");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "RefResolutionFailed")
    );
    let expected = "Ref resolution failed (retry in 30s): ref \"gone\" not found in remote https://git.example/o/r.git: ";
    assert!(message.starts_with(expected), "{message}");
    assert_eq!(ready_message(&bench), "Ref not resolved (retry in 30s)");
    assert!(bench.api.get(METADATA).is_none());
    assert_eq!(bench.events().len(), 1);

    // A pass that another event starts.
    bench.api.calls();
    tokio::time::advance(SECOND).await;
    assert_eq!(bench.pass().await.unwrap(), after(29));
    assert_eq!(bench.git.looked_up(), [""; 0]);
    let read = [format!("GET {METADATA}"), format!("GET {API_KEY}")];
    assert_eq!(bench.api.calls(), read);

    tokio::time::advance(29 * SECOND).await;
    assert_eq!(bench.pass().await.unwrap(), after(60));
    assert!(bench.condition("RefResolved").2.contains("(retry in 1m0s)"));
    assert_eq!(bench.events(), [""; 0], "the event is created once");
}

#[tokio::test(start_paused = true)]
async fn a_ref_that_disappears_does_not_change_what_is_published() {
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
async fn an_invalid_spec_waits_for_a_change() {
    for sync in [
        GatewaySync::sample().git_ref("a..b"),
        GatewaySync::sample().repo("/srv/git"),
    ] {
        let bench = Bench::new(&sync);
        assert_eq!(bench.pass().await.unwrap(), Action::await_change());
        assert_eq!(bench.git.looked_up(), [""; 0]);
        let (status, reason, message) = bench.condition("RefResolved");
        assert_eq!(
            (status.as_str(), reason.as_str()),
            ("False", "RefResolutionFailed")
        );
        assert!(message.starts_with("Ref resolution failed: "), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_spec_that_fails_again_has_another_event() {
    let bench = Bench::new(&GatewaySync::sample().git_ref("a..b").generation(1));
    let count = || {
        let events = bench.events();
        let failed = events
            .iter()
            .filter(|event| event.contains("RefResolutionFailed"));
        failed.count()
    };
    bench.pass().await.unwrap();
    bench.pass().await.unwrap();
    assert_eq!(count(), 1, "once until it can be resolved");
    bench.change(|sync| sync.git_ref("c..d").generation(2));
    bench.pass().await.unwrap();
    assert!(bench.condition("RefResolved").2.contains("c..d"));
    assert_eq!(count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_published_with_invalid_profiles() {
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
    let events = bench.events();
    assert!(
        events[0].starts_with(
            "Warning ProfilesInvalid: Profile validation failed: spec.sync.profiles[p]"
        ),
        "{events:?}"
    );
    tokio::time::advance(60 * SECOND).await;
    bench.pass().await.unwrap();
    assert_eq!(bench.events(), [""; 0], "the event is created once");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_interval_is_reported_until_it_is_valid() {
    let bench = Bench::new(&GatewaySync::sample().polling(true, "often"));
    assert_eq!(bench.pass().await.unwrap(), after(300));
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
    assert_eq!(bench.pass().await.unwrap(), after(600));
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
async fn credentials_in_an_address_are_not_shown() {
    for repo in [
        "user:s3cret@host/x",
        "https:/user:s3cret@host",
        "https:/user:s3cret@host/o/r",
        "https://s3cret@host/o/r?private_token=s3cret#s3cret",
        "https://user:s3cret@host",
    ] {
        let mut registry = prometheus_client::registry::Registry::default();
        let bench = Bench::new(&GatewaySync::sample().repo(repo).git_ref("gone"));
        let context = Context {
            metrics: ControllerMetrics::register(&mut registry),
            ..fixture::context(&bench.controller)
        };
        let object = Arc::new(DeserializeGuard(Ok(bench.object())));
        reconcile(object, Arc::new(context)).await.unwrap();
        let mut shown = format!("{:?} {:?}", bench.object().status, bench.events());
        prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
        assert!(
            shown.contains("Ref resolution failed") && shown.contains("cr_info"),
            "{shown}"
        );
        assert!(!shown.contains("s3cret"), "{repo}: {shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_without_credentials_is_shown_as_it_is_written() {
    let mut registry = prometheus_client::registry::Registry::default();
    let mut bench = Bench::new(&GatewaySync::sample().repo("git@Git.example:o/r.git"));
    let context = Arc::get_mut(&mut bench.context).unwrap();
    context.metrics = ControllerMetrics::register(&mut registry);
    bench.pass().await.unwrap();
    let mut shown = String::new();
    prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
    assert!(
        shown.contains(r#"git_repo="git@Git.example:o/r.git""#),
        "{shown}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_that_changed_in_the_meantime_is_not_overwritten() {
    let bench = Bench::new(&GatewaySync::sample());
    let stale = bench.object();
    bench.change(|sync| sync.condition("Foreign", "True"));
    assert_eq!(bench.pass_over(stale).await.unwrap(), after(1));
    assert_eq!(bench.object().status.unwrap().conditions.len(), 1);
    assert_eq!(bench.events(), [""; 0]);
    bench.git.looked_up();
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
        bench.git.looked_up(),
        [""; 0],
        "the last lookup is still valid"
    );
}

#[tokio::test(start_paused = true)]
async fn a_status_is_written_although_others_change_labels_and_annotations() {
    let bench = Bench::new(&GatewaySync::sample());
    for _ in 0..2 {
        bench.api.before(&format!("PATCH {OBJECT}/status"), |api| {
            let mut object = api.get(OBJECT).unwrap();
            object["metadata"]["annotations"]["example.com/at"] = "now".into();
            object["metadata"]["labels"]["example.com/label"] = "new".into();
            api.put(OBJECT, object);
        });
        bench.pass().await.unwrap();
        assert_eq!(bench.condition("RefResolved").0, "True");
        bench.change(|sync| sync.git_ref("gone").generation(2));
        bench.change(|sync| sync.git_ref("main").generation(3));
    }
    // What the status is about must be the same.
    bench.api.before(&format!("PATCH {OBJECT}/status"), |api| {
        let mut object = api.get(OBJECT).unwrap();
        object["metadata"]["annotations"]["stoker.io/requested-ref"] = "v1".into();
        api.put(OBJECT, object);
    });
    let before = bench.object().status;
    bench.change(|sync| sync.git_ref("gone").generation(4));
    assert_eq!(bench.pass().await.unwrap(), after(1));
    assert_eq!(bench.object().status, before);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_an_error() {
    let bench = Bench::new(&GatewaySync::sample());
    let context = Context {
        client: fake_client::silent(),
        ..fixture::context(&bench.controller)
    };
    let object = Arc::new(DeserializeGuard(Ok(bench.object())));
    let error = reconcile(object, Arc::new(context)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to read a Secret's metadata: no answer within 10 s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_poll_of_a_slow_server_keeps_the_last_commit_until_the_answer() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    let before = bench.object().status;
    tokio::time::advance(60 * SECOND).await;
    bench.git.silence(Some("git.example"));
    bench.api.calls();
    let started = Instant::now();
    assert_eq!(bench.pass().await.unwrap(), after(300));
    assert_eq!(started.elapsed(), SECOND);
    assert_eq!(bench.api.calls(), quiet());
    assert_eq!(bench.object().status, before);
}

#[tokio::test(start_paused = true)]
async fn a_changed_spec_is_reported_as_resolving_while_the_server_is_silent() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    bench.change(|sync| sync.repo("https://silent.example/r").generation(2));
    bench.git.silence(Some("silent.example"));
    assert_eq!(bench.pass().await.unwrap(), after(120));
    let status = bench.object().status.unwrap();
    assert_eq!(
        status.ref_resolution_status,
        Some(stoker_api::RefResolutionStatus::Resolving)
    );
    assert_eq!(
        status.last_sync_commit.as_deref(),
        Some(commit('a').as_str())
    );
    assert_eq!(status.observed_generation, Some(1));
    // Another repository is looked up at once.
    bench.change(|sync| sync.repo("https://git.example/other").generation(3));
    assert_eq!(bench.pass().await.unwrap(), after(300));
}
