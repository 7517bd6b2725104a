//! Gateways that run another commit than the published one, over several passes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use stoker_git::RefKind;

use super::super::*;
use super::fixture::{API_KEY, Bench, GatewaySyncExt as _, METADATA, after, key, noon};
use super::gateways::{bench, entry, report, state};

const PERIOD: Duration = Duration::from_secs(30);

/// An object whose only gateway runs the commit that is published, which consists of one digit.
async fn bench_with(digit: char) -> Bench {
    let bench = bench(&["gw-0"]);
    report(&bench, &json!({"gw-0": entry("Synced", digit)}));
    bench.pass().await.unwrap();
    bench
}

fn skewed(bench: &Bench) -> String {
    bench.condition("RefSkew").0
}

/// Forgets everything, as a restart does.
fn restart(bench: &Bench) {
    forget(&bench.context, &key());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_with_another_commit_is_skewed_after_its_period() {
    let bench = bench(&["gw-0"]);
    report(&bench, &json!({"gw-0": entry("Synced", 'b')}));
    // The period of the profile is 30 s. The status has whole seconds, so the next check is up to 1 s later.
    let next = bench.pass().await.unwrap();
    assert!(next != after(300), "{next:?}");
    assert_eq!(bench.condition("RefSkew").0, "False");
    tokio::time::advance(PERIOD).await;
    assert_eq!(bench.pass().await.unwrap(), after(300));
    assert_eq!(
        bench.condition("RefSkew"),
        state(
            "True",
            "CommitDiffers",
            "1 gateway(s) run another commit: gw-0 (bbbbbbb)"
        )
    );
    assert_eq!(
        bench.condition("Ready").0,
        "True",
        "the agent says that it is synced"
    );
}

#[tokio::test(start_paused = true)]
async fn a_gateway_with_the_published_commit_is_not_skewed_while_the_next_one_is_not_published() {
    type Change = fn(&Bench);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api-key"}});
    let line = format!("PATCH {METADATA}");
    let block: [Change; 2] = [
        |bench| drop(bench.api.remove(API_KEY)),
        |bench| {
            bench
                .api
                .refuse(&format!("PATCH {METADATA}"), 403, "not now");
        },
    ];
    for block in block {
        let bench = bench_with('a').await;
        assert_eq!(skewed(&bench), "False");
        let before = bench.object().status.unwrap().condition("RefSkew").cloned();
        block(&bench);
        bench.git.set("main", 'b', RefKind::Branch);
        for is_restarted in [false, true, false] {
            tokio::time::advance(Duration::from_mins(2)).await;
            if is_restarted {
                restart(&bench);
            }
            drop(bench.pass().await);
            let status = bench.object().status.unwrap();
            assert_eq!(status.last_sync_commit_short.as_deref(), Some("bbbbbbb"));
            assert_eq!(status.condition("RefSkew").cloned(), before);
        }
        // The period begins with the publication.
        bench.api.put(API_KEY, secret.clone());
        bench.api.allow(&line);
        for expected in ["False", "True"] {
            bench.pass().await.unwrap();
            assert_eq!(skewed(&bench), expected);
            tokio::time::advance(PERIOD).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_with_another_commit_stays_skewed_while_nothing_is_published() {
    type Change = fn(&Bench);
    let ends: [Change; 3] = [
        |bench| drop(bench.api.remove(API_KEY)),
        |bench| bench.change(|sync| sync.git_ref("gone").generation(2)),
        |bench| {
            bench
                .api
                .refuse(&format!("PATCH {METADATA}"), 403, "not now");
        },
    ];
    for end in ends {
        let bench = bench_with('e').await;
        tokio::time::advance(PERIOD).await;
        bench.pass().await.unwrap();
        assert_eq!(skewed(&bench), "True");
        bench.git.set("main", 'b', RefKind::Branch);
        end(&bench);
        for _ in 0..2 {
            tokio::time::advance(Duration::from_mins(2)).await;
            drop(bench.pass().await);
            assert_eq!(skewed(&bench), "True");
        }
        // It gets the published commit.
        report(&bench, &json!({"gw-0": entry("Synced", 'a')}));
        drop(bench.pass().await);
        assert_eq!(skewed(&bench), "False");
    }
}

#[tokio::test(start_paused = true)]
async fn the_period_goes_on_after_a_restart() {
    fn later() -> Timestamp {
        noon() + SignedDuration::from_secs(30)
    }
    let mut bench = bench_with('b').await;
    Arc::get_mut(&mut bench.context).unwrap().clock = later;
    restart(&bench);
    bench.pass().await.unwrap();
    assert_eq!(skewed(&bench), "True");
}

#[tokio::test(start_paused = true)]
async fn the_period_does_not_depend_on_the_clock() {
    fn earlier() -> Timestamp {
        noon() - SignedDuration::from_hours(24)
    }
    fn later() -> Timestamp {
        noon() + SignedDuration::from_hours(24)
    }
    for clock in [earlier, later] {
        let mut bench = bench_with('b').await;
        Arc::get_mut(&mut bench.context).unwrap().clock = clock;
        bench.pass().await.unwrap();
        assert_eq!(skewed(&bench), "False");
        tokio::time::advance(PERIOD).await;
        bench.pass().await.unwrap();
        assert_eq!(skewed(&bench), "True");
    }
}
