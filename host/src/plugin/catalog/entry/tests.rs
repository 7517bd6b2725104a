//! The states of an entry, and the times of its retries.

use super::super::super::limits::Capacity;
use super::super::super::sandbox::Sandbox;
use super::*;
use crate::metrics::Metrics;

fn version(digest: u8) -> Version {
    Version {
        digest: Some([digest; 32]),
        tuning: Arc::default(),
    }
}

#[test]
fn what_was_not_loaded_yet_does_not_serve() {
    let mut entry = Entry::new(Origin::File("acme.wasm".to_owned()));
    assert_eq!(entry.state(), PluginState::Loading);
    entry.refused = Some("it is empty".to_owned());
    assert!(matches!(entry.state(), PluginState::Refused { .. }));
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_loaded_again_after_longer_and_longer_times() {
    let loader = Loader {
        sandbox: Sandbox::new(Capacity::default()).unwrap().into(),
        metrics: Metrics::new().plugin,
    };
    let slow = || {
        let limit = Duration::from_millis(50);
        Err(LoadError::Describe(CallError::TimedOut { limit }))
    };
    let mut entry = Entry::new(Origin::File("acme.wasm".to_owned()));
    for seconds in [15, 30, 60, 120, 240, 480, 600, 600] {
        entry.finish(&loader, version(1), slow());
        tokio::time::advance(Duration::from_secs(seconds - 1)).await;
        entry.retry_if_due();
        assert!(entry.has(&version(1)), "before {seconds} s");
        tokio::time::advance(Duration::from_secs(1)).await;
        entry.retry_if_due();
        assert!(!entry.has(&version(1)), "after {seconds} s");
    }
    // Another version starts anew, and what cannot pass is not loaded again.
    entry.finish(&loader, version(2), slow());
    tokio::time::advance(FIRST_RETRY).await;
    entry.retry_if_due();
    assert!(!entry.has(&version(2)));
    entry.finish(&loader, version(2), Err(LoadError::CoreModule));
    tokio::time::advance(2 * LAST_RETRY).await;
    entry.retry_if_due();
    assert!(entry.has(&version(2)));
}

#[test]
fn a_machine_that_is_busy_is_no_fault_of_a_plugin() {
    let limit = Duration::from_secs(1);
    let source = || std::io::Error::other("busy");
    assert!(may_pass(&LoadError::CompileTimedOut { limit }));
    assert!(may_pass(&LoadError::NoThread(source())));
    assert!(!may_pass(&LoadError::Unreadable(source())));
}

#[test]
fn a_refusal_says_where_a_failed_description_is_explained() {
    let loader = Loader {
        sandbox: Sandbox::new(Capacity::default()).unwrap().into(),
        metrics: Metrics::new().plugin,
    };
    let limit = Duration::from_millis(50);
    let mut entry = Entry::new(Origin::File("acme.wasm".to_owned()));
    entry.refuse(&loader, &LoadError::Describe(CallError::TimedOut { limit }));
    let PluginState::Refused { why } = entry.state() else {
        panic!("{:?}", entry.state());
    };
    assert!(
        why.ends_with("`stoker plugin check` explains what to change"),
        "{why}"
    );
}
