use std::time::Duration;

use kube::ResourceExt as _;
use stoker_git::RefKind;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::*;
use super::fixture::{Bench, GatewaySyncExt as _, METADATA, OBJECT};

/// Waits, in virtual time, until a condition is true.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Runs the controller of a bench until the token is cancelled.
fn start(
    bench: Bench,
) -> (
    Arc<Bench>,
    CancellationToken,
    JoinHandle<Result<(), ControllerError>>,
) {
    let (bench, shutdown) = (Arc::new(bench), CancellationToken::new());
    let (running, token) = (Arc::clone(&bench), shutdown.clone());
    let task = tokio::spawn(async move { running.controller.run(token).await });
    (bench, shutdown, task)
}

#[tokio::test(start_paused = true)]
async fn the_controller_reconciles_existing_objects_polls_and_ends() {
    let bench = Bench::new(&GatewaySync::sample());
    let (bench, shutdown, task) = start(bench);

    until(|| bench.api.get(METADATA).is_some()).await;
    let started = Instant::now();
    bench.git.looked_up();
    until(|| bench.git.looked_up() == ["main"]).await;
    let waited = started.elapsed().as_secs();
    assert!((60..=66).contains(&waited), "{waited}");

    shutdown.cancel();
    assert!(task.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_this_process_wrote_starts_a_pass_before_the_watch_reports_it() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.git.set("v1", 'b', RefKind::Tag);
    // The watch reports nothing.
    let (bench, shutdown, task) = start(bench);
    until(|| bench.api.get(METADATA).is_some()).await;
    bench.change(|sync| sync.requested("v1", Some("t1")));
    let stored = bench.api.get(OBJECT).unwrap();
    let written = Instant::now();
    let stored = serde_json::from_value(stored).unwrap();
    bench.controller.written.add(stored);
    let handled = || bench.object().status?.last_handled_requested_at;
    until(|| handled().as_deref() == Some("t1")).await;
    assert!(written.elapsed() < Duration::from_secs(1));
    shutdown.cancel();
    assert!(task.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_the_receiver_remembers_of_deliveries_starts_no_pass() {
    let bench = Bench::new(&GatewaySync::sample());
    let (bench, shutdown, task) = start(bench);
    until(|| bench.api.get(METADATA).is_some()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let starts_pass = async |name: &str| {
        bench.git.looked_up();
        bench.api.calls();
        bench.change(|mut sync| {
            sync.annotations_mut()
                .insert(name.to_owned(), "x".to_owned());
            sync
        });
        let stored = serde_json::from_value(bench.api.get(OBJECT).unwrap()).unwrap();
        bench.controller.written.add(stored);
        tokio::time::sleep(Duration::from_secs(2)).await;
        !bench.api.calls().is_empty() || !bench.git.looked_up().is_empty()
    };
    for name in ["stoker.io/accepted-deliveries", "stoker.io/accepted-events"] {
        assert!(!starts_pass(name).await, "{name}");
    }
    assert!(starts_pass("example.com/other").await);
    shutdown.cancel();
    assert!(task.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_of_the_api_server_the_watches_restart_within_seconds() {
    let lists = [
        "GET /apis/stoker.io/v1alpha1/gatewaysyncs",
        "GET /api/v1/configmaps",
    ];
    for code in [503, 429, 410] {
        let bench = Bench::new(&GatewaySync::sample());
        for list in lists {
            bench.api.refuse(list, code, "the API server is starting");
        }
        let (bench, shutdown, task) = start(bench);
        tokio::time::sleep(Duration::from_mins(10)).await;
        for list in lists {
            bench.api.allow(list);
        }
        let restored = Instant::now();
        until(|| bench.api.get(METADATA).is_some()).await;
        assert!(
            restored.elapsed() < Duration::from_secs(7),
            "{code}: {:?}",
            restored.elapsed()
        );
        shutdown.cancel();
        assert!(task.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_expires_begins_again_with_a_list() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.git.set("v1", 'b', RefKind::Tag);
    let (bench, shutdown, task) = start(bench);
    until(|| bench.api.get(METADATA).is_some()).await;
    for request in ["t1", "t2"] {
        // The watch does not report this.
        bench.change(|sync| sync.requested("v1", Some(request)));
        let changed = Instant::now();
        bench.api.expire_watches();
        let handled = || bench.object().status?.last_handled_requested_at;
        until(|| handled().as_deref() == Some(request)).await;
        assert!(
            changed.elapsed() < Duration::from_secs(7),
            "{:?}",
            changed.elapsed()
        );
    }
    shutdown.cancel();
    assert!(task.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_status_that_the_api_server_has_no_time_for_is_written_later() {
    let bench = Bench::new(&GatewaySync::sample());
    let line = format!("PATCH {OBJECT}/status");
    bench.api.refuse(&line, 429, "too many requests");
    let (bench, shutdown, task) = start(bench);
    tokio::time::sleep(Duration::from_mins(1)).await;
    let calls = bench.api.calls();
    let tries = calls.iter().filter(|call| **call == line).count();
    assert!((3..10).contains(&tries), "{tries}");
    bench.api.allow(&line);
    let allowed = Instant::now();
    until(|| bench.object().status.is_some()).await;
    assert!(allowed.elapsed() < Duration::from_mins(2));
    shutdown.cancel();
    assert!(task.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_hundred_objects_on_a_silent_host_do_not_delay_the_others() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.git.silence(Some("silent.example"));
    for number in 0..100 {
        let name = format!("o{number}");
        let sync = GatewaySync::sample()
            .repo(&format!("https://silent.example/{name}"))
            .with(|sync| sync.metadata.name = Some(name.clone()));
        let path = OBJECT.replace("plant", &name);
        bench.api.put(&path, serde_json::to_value(sync).unwrap());
    }
    let started = Instant::now();
    let (bench, shutdown, task) = start(bench);
    until(|| bench.api.get(METADATA).is_some()).await;
    assert!(
        started.elapsed() < Duration::from_millis(500),
        "{:?}",
        started.elapsed()
    );
    let is_resolving = |number| {
        let path = OBJECT.replace("plant", &format!("o{number}"));
        bench.api.get(&path).unwrap()["status"]["refResolutionStatus"] == "Resolving"
    };
    until(|| (0..100).all(is_resolving)).await;
    shutdown.cancel();
    assert!(task.await.unwrap().is_ok());
}
