//! Problems apart from failed syncs, in the report.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_problem_is_shown_until_it_is_solved() {
    let mut it = Fixture::start(None, Vec::new());
    it.problems.set_published("the published ref is invalid");
    it.after(1).await;
    let report = it.report();
    assert_eq!(report.sync_status, SyncStatus::Error);
    assert_eq!(report.error_message, "the published ref is invalid");
    assert_eq!(report.profile_name, "edge");
    assert_eq!(it.reasons(), ["SyncFailed"]);
    it.gateway.send_replace(Availability::Running);
    it.problems.set_published("");
    it.publish.send_replace(Some(published('a')));
    it.after(1).await;
    assert_eq!(it.report().sync_status, SyncStatus::Synced);
    it.problems.set_gateway("the gateway refuses the API key");
    it.after(1).await;
    assert_eq!(it.report().sync_status, SyncStatus::Error);
    assert_eq!(it.report().synced_commit, "a".repeat(40));
    assert_eq!(it.report().history.len(), 1);
    it.problems.set_gateway("the gateway refuses the API key");
    assert_eq!(it.count_reports(60).await, 1, "the report of before");
    it.problems.set_gateway("");
    it.after(1).await;
    assert_eq!(it.report().sync_status, SyncStatus::Synced);
    assert_eq!(it.report().error_message, "");
    assert_eq!(it.syncs().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_problem_stands_beside_the_error_of_a_sync() {
    let it = Fixture::start(Some(published('a')), vec![failed(Step::Fetch)]);
    it.problems.set_gateway("the gateway refuses the API key");
    it.after(1).await;
    let text = "git fetch: gone; the gateway refuses the API key";
    assert_eq!(it.report().error_message, text);
    it.after(30).await;
    let report = it.report();
    assert_eq!(report.sync_status, SyncStatus::Error);
    assert_eq!(report.error_message, "the gateway refuses the API key");
    assert_eq!(report.synced_commit, "a".repeat(40));
}

#[tokio::test(start_paused = true)]
async fn a_report_that_waits_for_the_gateway_says_why() {
    let mut it = Fixture::start(Some(published('a')), Vec::new());
    it.after(1).await;
    it.problems.set_unconfirmed("the gateway does not answer");
    it.after(1).await;
    let report = it.report();
    assert_eq!(report.sync_status, SyncStatus::Pending);
    assert_eq!(report.error_message, "the gateway does not answer");
    assert_eq!(it.reasons(), ["SyncCompleted"], "it may only be slow");
    it.problems.set_unconfirmed("");
    it.gateway.send_replace(Availability::Running);
    it.after(1).await;
    assert_eq!(it.report().sync_status, SyncStatus::Synced);
    assert_eq!(it.report().error_message, "");
}
