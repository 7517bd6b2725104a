use prometheus_client::registry::Registry;

use super::super::*;
use super::fixture::{Bench, GatewaySyncExt as _, METADATA};

/// Lets tasks run, and virtual time pass, until something is so.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn runs_passes_over_what_is_there_polls_and_ends_when_told() {
    let bench = Bench::new(&GatewaySync::sample());
    let metrics = ControllerMetrics::register(&mut Registry::default());
    let shutdown = CancellationToken::new();
    let run = run(
        bench.api.client(),
        None,
        Arc::clone(&bench.git),
        metrics,
        shutdown.clone(),
    );
    let task = tokio::spawn(run);

    until(|| bench.api.get(METADATA).is_some()).await;
    let started = Instant::now();
    bench.git.asked();
    until(|| bench.git.asked() == ["main"]).await;
    assert_eq!(started.elapsed().as_secs(), 60);

    shutdown.cancel();
    assert!(task.await.unwrap().is_ok());
}
