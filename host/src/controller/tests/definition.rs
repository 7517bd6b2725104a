//! Tests with a definition that is older than Stoker.

use std::time::Duration;

use super::super::*;
use super::fixture::{Bench, GatewaySyncExt as _, commit};

#[tokio::test(start_paused = true)]
async fn fields_that_an_older_definition_lacks_are_reported_and_not_written_each_time() {
    let bench = Bench::new(&GatewaySync::sample().requested("main", Some("t1")));
    bench
        .api
        .drop_from_status(&["lastHandledRequestedAt", "lastSyncRefKind"]);
    bench.pass().await.unwrap();
    let outdated = "Warning DefinitionOutdated: The definition of GatewaySync is older than Stoker and does not have \
                    status.lastHandledRequestedAt, status.lastSyncRefKind; apply the one that `stoker crd` prints";
    let events = bench.events();
    assert!(events.iter().any(|event| event == outdated), "{events:?}");
    let status = bench.object().status.unwrap();
    assert_eq!(
        status.last_sync_commit.as_deref(),
        Some(commit('a').as_str())
    );
    let is_patch = |call: &String| call.starts_with("PATCH ");
    bench.api.calls();
    bench.pass().await.unwrap();
    assert!(!bench.api.calls().iter().any(is_patch));
    assert_eq!(bench.events(), [""; 0]);
    // The definition is replaced.
    bench.api.drop_from_status(&[]);
    tokio::time::advance(Duration::from_secs(30)).await;
    bench.pass().await.unwrap();
    let status = bench.object().status.unwrap();
    assert_eq!(status.last_handled_requested_at.as_deref(), Some("t1"));
}
