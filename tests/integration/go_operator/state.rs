//! What is stored, and in which order.

use anyhow::{Context as _, Result};
use serde_json::json;
use stoker_tests::TestCluster;

use super::{deliver, requested};

#[tokio::test]
async fn fault_06_an_api_server_that_is_away_is_not_a_404() -> Result<()> {
    let mut cluster = TestCluster::with_host().await?;
    let Some(api) = cluster.api.take() else {
        // A real API server serves the other tests too.
        return Ok(());
    };
    drop(api);
    let answer = deliver(&cluster, (&[], json!({"ref": "v1"}))).await?;
    assert_eq!(answer.status, 503, "{:?}", answer.body);
    assert!(answer.headers.contains_key("retry-after"));
    Ok(())
}

#[tokio::test]
async fn fault_07_other_writers_cause_no_error() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    for number in 0..5 {
        cluster
            .patch(json!({"metadata": {"labels": {"number": number.to_string()}}}))
            .await?;
        let git_ref = format!("v{number}");
        let answer = deliver(&cluster, (&[], json!({ "ref": git_ref }))).await?;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        assert_eq!(requested(&cluster).await?, Some(git_ref));
    }
    Ok(())
}

#[tokio::test]
async fn fault_10_a_webhook_during_the_shutdown_is_stored_and_answered() -> Result<()> {
    let mut cluster = TestCluster::with_host().await?;
    let url = cluster.url()?;
    let client = reqwest::Client::new();
    let body = br#"{"ref":"v1"}"#;
    let signature = stoker::auth::sign(stoker_tests::SECRET.as_bytes(), body);
    let request = client
        .post(url)
        .header(stoker::auth::SIGNATURE_HEADER, signature)
        .body(&body[..]);
    let sent = tokio::spawn(request.send());
    // The connection is open, or is refused. An accepted webhook is stored.
    tokio::task::yield_now().await;
    cluster.stop().await?;
    if let Ok(answer) = sent.await? {
        assert_eq!(answer.status(), 202);
        assert_eq!(requested(&cluster).await?.as_deref(), Some("v1"));
    }
    Ok(())
}

#[tokio::test]
async fn fault_18_a_second_push_to_a_branch_is_a_new_request() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let push = |after: &str| json!({"ref": "refs/heads/main", "after": after});
    let headers = [("x-github-event", "push")];
    let mut stamps = Vec::new();
    for number in 0..2 {
        let commit = cluster
            .git
            .commit("main", &format!("Change {number}"))
            .await?;
        let answer = deliver(&cluster, (&headers, push(commit.as_str()))).await?;
        assert_eq!(answer.status, 202);
        let object = cluster.until_handled(commit.as_str()).await?;
        stamps.push(object.requested_at().map(str::to_owned));
    }
    assert!(stamps[0].is_some() && stamps[0] < stamps[1], "{stamps:?}");
    Ok(())
}

#[tokio::test]
async fn fault_19_a_webhook_causes_a_lookup_at_once() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    let polling = json!({"enabled": true, "interval": "1h"});
    cluster.create(json!({ "polling": polling })).await?;
    cluster.start_signed().await?;
    for message in ["One", "Two"] {
        let commit = cluster.git.commit("main", message).await?;
        let answer = deliver(&cluster, (&[], json!({"ref": "main"}))).await?;
        assert_eq!(answer.status, 202);
        cluster.until_resolved(commit.as_str()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn fault_20_a_request_is_not_erased_when_an_earlier_one_is_cleared() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    cluster.git.tag("v1").await?;
    let second = cluster.git.commit("main", "Two").await?;
    cluster.git.tag("v2").await?;
    deliver(&cluster, (&[], json!({"ref": "v1"}))).await?;
    // The spec catches up with the first request while the second arrives.
    let spec = cluster.patch(json!({"spec": {"git": {"ref": "v1"}}}));
    let request = deliver(&cluster, (&[], json!({"ref": "v2"})));
    let (spec, request) = tokio::join!(spec, request);
    assert_eq!((spec.is_ok(), request?.status), (true, 202));
    cluster.until_resolved(second.as_str()).await?;
    assert_eq!(requested(&cluster).await?.as_deref(), Some("v2"));
    Ok(())
}

#[tokio::test]
async fn fault_21_a_ref_that_does_not_exist_is_reported_and_does_not_block() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let answer = deliver(&cluster, (&[], json!({"ref": "v9"}))).await?;
    assert_eq!(answer.status, 202);
    let failed = |object: &stoker_api::GatewaySync| {
        let status = object.status.as_ref();
        status.is_some_and(|status| {
            status.last_handled_requested_at.as_deref() == object.requested_at()
        }) && object.requested_at().is_some()
    };
    let object = cluster.until("the request is handled", failed).await?;
    let status = serde_json::to_string(&object.status)?;
    assert!(status.contains("v9"), "{status}");
    let commit = cluster.git.commit("main", "Next").await?;
    deliver(&cluster, (&[], json!({"ref": "main"}))).await?;
    cluster.until_handled(commit.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn fault_22_a_repetition_and_a_late_event_roll_nothing_back() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let release = |tag: &str, at: &str| {
        let release = json!({"tag_name": tag, "published_at": at});
        json!({"action": "published", "release": release})
    };
    let headers = |id| [("x-github-event", "release"), ("x-github-delivery", id)];
    let first = release("v1", "2026-01-01T10:00:00Z");
    for body in [&first, &release("v2", "2026-01-01T12:00:00Z")] {
        let answer = deliver(&cluster, (&headers("a"), body.clone())).await?;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
    }
    // The id is not signed, so whoever repeats a delivery can change it.
    let repeated = deliver(&cluster, (&headers("b"), first)).await?;
    assert_eq!(
        (repeated.status, &repeated.body["duplicate"]),
        (202, &json!(true))
    );
    let late = release("v1.1", "2026-01-01T11:00:00Z");
    let late = deliver(&cluster, (&headers("c"), late)).await?;
    assert_eq!(
        (late.status, &late.body["reason"]),
        (200, &json!("superseded"))
    );
    let object = cluster.object().await?;
    assert_eq!(object.requested_ref(), Some("v2"));
    let stamp = object.requested_at().context("a time stamp")?;
    assert_eq!(
        stamp.len(),
        "2026-01-02T03:04:05.123456789Z".len(),
        "{stamp}"
    );
    Ok(())
}

#[tokio::test]
async fn fault_23_a_paused_object_keeps_the_request_for_later() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({"paused": true})).await?;
    cluster.start_signed().await?;
    let commit = cluster.git.commit("main", "Next").await?;
    let answer = deliver(&cluster, (&[], json!({"ref": commit.as_str()}))).await?;
    assert_eq!(answer.status, 202);
    cluster.patch(json!({"spec": {"paused": false}})).await?;
    cluster.until_handled(commit.as_str()).await?;
    // An id that the repository does not have is not published.
    let unknown = "ab".repeat(20);
    deliver(&cluster, (&[], json!({ "ref": unknown }))).await?;
    let is_handled = |object: &stoker_api::GatewaySync| {
        let status = object.status.as_ref();
        status.is_some_and(|status| {
            status.last_handled_requested_at.as_deref() == object.requested_at()
        })
    };
    let object = cluster.until("the request is handled", is_handled).await?;
    let status = object.status.context("a status")?;
    assert_ne!(status.last_sync_commit, Some(unknown));
    Ok(())
}
