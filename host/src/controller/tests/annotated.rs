//! Changes of annotations while the host of the repository is not asked.

use std::time::Duration;

use kube::ResourceExt as _;
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
    // The rest of the time, rounded up.
    assert_eq!(bench.pass().await.unwrap(), after(81));
    assert!(!is_resolved(&bench));
    advance(81 * SECOND).await;
    bench.pass().await.unwrap();
    assert!(is_resolved(&bench));
}
