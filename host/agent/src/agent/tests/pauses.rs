//! Tests of pauses.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_paused_object_lets_the_gateway_start_with_what_is_there() {
    let it = Fixture::start(Some(Metadata::Paused), Vec::new());
    it.work.script.lock().unwrap().on_disk.commit = "c".repeat(40);
    it.after(1).await;
    assert!(it.health.is_ready());
    assert_eq!(it.report().sync_status, SyncStatus::Pending);
    assert_eq!(it.report().synced_commit, "c".repeat(40));
    it.gateway.send_replace(Availability::Running);
    it.after(600).await;
    assert_eq!(it.syncs(), []);
    it.publish.send_replace(Some(published('b')));
    it.after(1).await;
    assert_eq!(it.report().sync_status, SyncStatus::Synced);
}

#[tokio::test(start_paused = true)]
async fn a_pause_beside_a_running_gateway_is_reported() {
    let mut it = Fixture::start(None, Vec::new());
    it.gateway.send_replace(Availability::Running);
    it.after(1).await;
    it.publish.send_replace(Some(Metadata::Paused));
    assert_eq!(it.count_reports(60).await, 1);
    assert_eq!(it.report().sync_status, SyncStatus::Pending);
    assert_eq!(it.report().profile_name, "edge");
}
