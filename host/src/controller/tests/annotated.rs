//! Changes of annotations while the host of the repository is not asked.

use std::time::Duration;

use kube::ResourceExt as _;
use kube::runtime::controller::Action;
use stoker_git::GitError;
use tokio::time::advance;

use super::super::*;
use super::fixture::{Bench, GatewaySyncExt as _, after};

const SECOND: Duration = Duration::from_secs(1);

fn unreachable() -> GitError {
    GitError::Unreachable {
        host: "git.example:443".to_owned(),
        source: "connection refused".into(),
    }
}

fn asks_to_wait() -> GitError {
    GitError::Status {
        status: 429,
        retry_after: Some(90 * SECOND),
        text: String::new(),
    }
}

/// Annotates the object of a bench as a person does.
fn annotate(bench: &Bench, value: &str) {
    bench.change(|mut sync| {
        let annotations = sync.annotations_mut();
        annotations.insert("example.com/try".to_owned(), value.to_owned());
        sync
    });
}

fn is_resolved(bench: &Bench) -> bool {
    bench.condition("RefResolved").0 == "True"
}

/// Runs passes over an object without a reachable git server, until the wait is the longest.
async fn bench_without_git() -> Bench {
    let bench = Bench::new(&GatewaySync::sample().polling(false, "60s"));
    bench.git.fail(Some(unreachable));
    for seconds in [30, 60, 120, 240] {
        assert_eq!(bench.pass().await.unwrap(), after(seconds));
        advance(Duration::from_secs(seconds)).await;
    }
    assert_eq!(bench.pass().await.unwrap(), after(300));
    bench
}

#[tokio::test(start_paused = true)]
async fn a_changed_annotation_does_not_wait_for_the_end_of_the_wait_after_errors() {
    let bench = bench_without_git().await;
    bench.git.fail(None);
    advance(SECOND).await;
    // Nobody asks for this pass.
    bench.pass().await.unwrap();
    assert!(!is_resolved(&bench));
    annotate(&bench, "1");
    bench.pass().await.unwrap();
    assert!(is_resolved(&bench));
}

#[tokio::test(start_paused = true)]
async fn a_changed_annotation_is_a_lookup_after_the_time_that_the_host_asks_for() {
    let bench = bench_without_git().await;
    bench.git.fail(Some(asks_to_wait));
    advance(SECOND).await;
    annotate(&bench, "1");
    bench.pass().await.unwrap();
    bench.git.fail(None);
    advance(10 * SECOND).await;
    annotate(&bench, "2");
    // The rest of the time.
    assert_eq!(bench.pass().await.unwrap(), after(80));
    assert!(!is_resolved(&bench));
    let message = bench.condition("RefResolved").2;
    assert!(message.contains("(retry in 1m30s)"), "{message}");
    advance(80 * SECOND).await;
    bench.pass().await.unwrap();
    assert!(is_resolved(&bench));
}

#[tokio::test(start_paused = true)]
async fn a_commit_stays_while_the_host_is_not_asked_and_the_lookup_follows() {
    let bench = Bench::new(&GatewaySync::sample().polling(false, "60s"));
    bench.pass().await.unwrap();
    // Another repository of the host.
    let other = GatewaySync::sample()
        .repo("https://git.example/o/other.git")
        .with(|sync| sync.metadata.name = Some("other".to_owned()));
    bench.git.fail(Some(asks_to_wait));
    // It is not in the API server.
    drop(bench.pass_over(other).await);
    bench.git.looked_up();
    advance(10 * SECOND).await;
    annotate(&bench, "1");
    assert_eq!(bench.pass().await.unwrap(), after(80));
    assert!(is_resolved(&bench));
    bench.git.fail(None);
    advance(80 * SECOND).await;
    bench.pass().await.unwrap();
    assert_eq!(bench.git.looked_up(), ["main"]);
}

#[tokio::test(start_paused = true)]
async fn the_message_names_the_time_of_the_next_try_and_does_not_change_during_the_wait() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.git.fail(Some(asks_to_wait));
    assert_eq!(bench.pass().await.unwrap(), after(90));
    let message = bench.condition("RefResolved").2;
    assert!(message.contains("(retry in 1m30s)"), "{message}");
    for left in [60, 30] {
        advance(30 * SECOND).await;
        assert_eq!(bench.pass().await.unwrap(), after(left));
        assert_eq!(bench.condition("RefResolved").2, message);
        bench.api.calls();
        bench.pass().await.unwrap();
        let written = bench.api.calls();
        assert!(
            !written.iter().any(|call| call.contains("/status")),
            "{written:?}"
        );
    }
    bench.git.fail(None);
    advance(30 * SECOND).await;
    bench.pass().await.unwrap();
    assert!(is_resolved(&bench));
}

#[tokio::test(start_paused = true)]
async fn an_annotation_that_changes_often_is_one_lookup_per_second() {
    let bench = Bench::new(&GatewaySync::sample().polling(false, "60s"));
    bench.pass().await.unwrap();
    bench.git.looked_up();
    for number in 0..50 {
        advance(SECOND / 10).await;
        annotate(&bench, &number.to_string());
        bench.pass().await.unwrap();
    }
    assert_eq!(bench.git.looked_up().len(), 5);
    // The last change is not lost.
    bench.git.set("main", 'b', stoker_git::RefKind::Branch);
    assert_eq!(bench.pass().await.unwrap(), Action::requeue(SECOND / 10));
    advance(SECOND).await;
    bench.pass().await.unwrap();
    assert_eq!(bench.git.looked_up().len(), 1);
}
