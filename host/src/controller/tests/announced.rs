//! Requests whose senders announce a commit, of a server that is behind.

use std::time::Duration;

use kube::runtime::controller::Action;
use stoker_api::RefResolutionStatus;
use stoker_git::RefKind;

use super::super::*;
use super::fixture::{Bench, GatewaySyncExt as _, METADATA, after, commit, key};

const NONE: [&str; 0] = [];
const MILLISECOND: Duration = Duration::from_millis(1);
/// The waits until a server that is behind is asked again, in milliseconds.
const WAITS: [u64; 5] = [500, 1000, 2000, 4000, 8000];

fn wait(milliseconds: u64) -> Action {
    Action::requeue(Duration::from_millis(milliseconds))
}

fn handled(bench: &Bench) -> Option<String> {
    bench.object().status?.last_handled_requested_at
}

fn published(bench: &Bench) -> String {
    let map = bench.api.get(METADATA).unwrap();
    map["data"]["commit"].as_str().unwrap().to_owned()
}

/// An object that follows `main` at the commit `a`, and for which a webhook announces `b`.
async fn pushed() -> Bench {
    let bench = Bench::new(&GatewaySync::sample().polling(true, "5m"));
    bench.pass().await.unwrap();
    tokio::time::advance(MILLISECOND).await;
    bench.change(|sync| sync.announced("refs/heads/main", "t1", 'b'));
    bench.git.set("refs/heads/main", 'a', RefKind::Branch);
    bench.git.looked_up();
    bench.events();
    bench
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_moves_later_is_followed_at_the_next_lookup() {
    let bench = pushed().await;
    assert_eq!(bench.pass().await.unwrap(), wait(500));
    let status = bench.object().status.unwrap();
    let resolving = Some(RefResolutionStatus::Resolving);
    assert_eq!(status.ref_resolution_status, resolving);
    assert_eq!(
        (handled(&bench), published(&bench)),
        (None, commit('a').to_string())
    );
    // The next passes return without a lookup, until the wait is over.
    bench.git.looked_up();
    tokio::time::advance(Duration::from_millis(200)).await;
    assert_eq!(bench.pass().await.unwrap(), wait(300));
    assert_eq!(bench.git.looked_up(), NONE);
    tokio::time::advance(Duration::from_millis(300)).await;
    assert_eq!(bench.pass().await.unwrap(), wait(1000));
    bench.git.set("main", 'b', RefKind::Branch);
    bench.git.set("refs/heads/main", 'b', RefKind::Branch);
    tokio::time::advance(Duration::from_secs(1)).await;
    bench.pass().await.unwrap();
    assert_eq!(handled(&bench).as_deref(), Some("t1"));
    assert_eq!(published(&bench), commit('b').as_str());
    // The request means the ref of the spec, so all of it is removed.
    let annotations = bench.object().metadata.annotations.unwrap();
    let names: Vec<_> = annotations.keys().collect();
    assert_eq!(names, ["stoker.io/requested-at"]);
    let events = bench.events();
    assert_eq!(events.len(), 1, "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_never_moves_is_settled_and_reported_once() {
    let bench = pushed().await;
    for milliseconds in WAITS {
        assert_eq!(bench.pass().await.unwrap(), wait(milliseconds));
        assert_eq!(handled(&bench), None);
        tokio::time::advance(Duration::from_millis(milliseconds)).await;
    }
    bench.pass().await.unwrap();
    assert_eq!(handled(&bench).as_deref(), Some("t1"));
    assert_eq!(bench.condition("RefResolved").2, commit('a').as_str());
    let events = bench.events();
    let event = events
        .iter()
        .find(|event| event.starts_with("Warning AnnouncedCommitMissing: "))
        .unwrap();
    assert!(event.contains(commit('b').as_str()), "{event}");
    bench.git.looked_up();
    bench.pass().await.unwrap();
    tokio::time::advance(MILLISECOND).await;
    bench.pass().await.unwrap();
    assert!(
        bench.git.looked_up().len() <= 2,
        "the removal may start one lookup"
    );
    assert_eq!(bench.events(), NONE);
    // Another delivery of the same push.
    bench.change(|sync| sync.announced("refs/heads/main", "t2", 'b'));
    assert_eq!(bench.pass().await.unwrap(), wait(500));
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_leads_to_a_later_push_is_settled_at_once() {
    let bench = pushed().await;
    bench.git.set("refs/heads/main", 'c', RefKind::Branch);
    bench.pass().await.unwrap();
    assert_eq!(handled(&bench).as_deref(), Some("t1"));
    assert_eq!(published(&bench), commit('c').as_str());
}

#[tokio::test(start_paused = true)]
async fn a_new_branch_that_appears_later_is_found_before_the_retry() {
    let bench = Bench::new(&GatewaySync::sample().polling(false, ""));
    bench.pass().await.unwrap();
    tokio::time::advance(MILLISECOND).await;
    bench.change(|sync| sync.announced("refs/heads/dev", "t1", 'b'));
    for milliseconds in [500, 1000] {
        assert_eq!(bench.pass().await.unwrap(), wait(milliseconds));
        assert_eq!(handled(&bench), None);
        tokio::time::advance(Duration::from_millis(milliseconds)).await;
    }
    bench.git.set("refs/heads/dev", 'b', RefKind::Branch);
    assert_eq!(bench.pass().await.unwrap(), Action::await_change());
    assert_eq!(published(&bench), commit('b').as_str());
    assert_eq!(bench.condition("RefResolved").0, "True");
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_missing_is_reported_after_the_last_lookup() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.pass().await.unwrap();
    tokio::time::advance(MILLISECOND).await;
    bench.change(|sync| sync.announced("refs/tags/v1", "t1", 'b'));
    for milliseconds in WAITS {
        assert_eq!(bench.pass().await.unwrap(), wait(milliseconds));
        tokio::time::advance(Duration::from_millis(milliseconds)).await;
    }
    assert_eq!(bench.pass().await.unwrap(), after(30));
    assert_eq!(handled(&bench).as_deref(), Some("t1"));
    assert_eq!(bench.condition("RefResolved").1, "RefResolutionFailed");
    // A retry is no new request.
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(bench.pass().await.unwrap(), after(30));
}

#[tokio::test(start_paused = true)]
async fn a_tag_with_another_commit_is_settled_at_once() {
    let bench = Bench::new(&GatewaySync::sample());
    bench.git.set("refs/tags/v1", 'a', RefKind::Tag);
    bench.change(|sync| sync.announced("refs/tags/v1", "t1", 'b'));
    bench.pass().await.unwrap();
    tokio::time::advance(MILLISECOND).await;
    bench.change(|sync| sync.announced("refs/tags/v1", "t2", 'c'));
    bench.pass().await.unwrap();
    assert_eq!(handled(&bench).as_deref(), Some("t2"));
}

#[tokio::test(start_paused = true)]
async fn a_newer_request_during_the_waits_is_looked_up_at_once() {
    let bench = pushed().await;
    assert_eq!(bench.pass().await.unwrap(), wait(500));
    bench.change(|sync| sync.announced("refs/heads/main", "t2", 'c'));
    bench.git.set("refs/heads/main", 'c', RefKind::Branch);
    tokio::time::advance(MILLISECOND).await;
    bench.pass().await.unwrap();
    assert_eq!(handled(&bench).as_deref(), Some("t2"));
    assert_eq!(published(&bench), commit('c').as_str());
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_a_prefetch_is_not_used_again() {
    use stoker_api::detection::GitRef;
    let bench = pushed().await;
    let key = key();
    let git_ref = GitRef::parse("refs/heads/main").unwrap();
    bench.context.lookups.prefetch(&key, &git_ref, "t1");
    tokio::time::sleep(MILLISECOND).await;
    assert_eq!(bench.git.looked_up().len(), 2, "main and refs/heads/main");
    assert_eq!(bench.pass().await.unwrap(), wait(500));
    bench.git.set("refs/heads/main", 'b', RefKind::Branch);
    tokio::time::advance(Duration::from_millis(500)).await;
    bench.pass().await.unwrap();
    assert_eq!(published(&bench), commit('b').as_str());
}
