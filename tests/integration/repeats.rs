//! Repeated and concurrent webhooks.

use anyhow::Result;
use futures::future::try_join_all;
use serde_json::{Value, json};
use stoker::auth::{AuthConfig, bearer};
use stoker::secrets::SecretSource;
use stoker_tests::{SECRET, TestCluster};

#[tokio::test]
async fn a_tag_that_is_requested_and_resolved_is_not_written_again() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.git.annotated_tag("v1").await?;
    let first = cluster.send_json(&json!({"ref": "v1"})).await?;
    assert_eq!(first.body["message"], "ref requested");
    let before = cluster.until_handled(commit.as_str()).await?;
    let repeat = cluster.send_json(&json!({"ref": "v1"})).await?;
    assert_eq!(
        (repeat.status, &repeat.body["message"]),
        (202, &json!("ref already set"))
    );
    let after = cluster.object().await?;
    assert_eq!(after.metadata.annotations, before.metadata.annotations);
    Ok(())
}

#[tokio::test]
async fn each_push_to_a_branch_is_a_new_request() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let mut stamps = Vec::new();
    for message in ["First", "Second", "Third"] {
        let commit = cluster.git.commit("main", message).await?;
        let answer = cluster
            .send_json(&json!({"ref": "refs/heads/main"}))
            .await?;
        assert_eq!(
            (answer.status, &answer.body["message"]),
            (202, &json!("ref requested"))
        );
        let object = cluster.until_handled(commit.as_str()).await?;
        stamps.push(
            object.metadata.annotations.unwrap_or_default()["stoker.io/requested-at"].clone(),
        );
    }
    assert!(
        stamps.windows(2).all(|pair| pair[0] < pair[1]),
        "{stamps:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_ref_that_was_not_resolved_is_requested_again() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    assert_eq!(cluster.send_json(&json!({"ref": "v9"})).await?.status, 202);
    let failed = |object: &stoker_api::GatewaySync| {
        object.status.as_ref().is_some_and(|status| {
            status
                .condition("RefResolved")
                .is_some_and(|condition| condition.status == "False")
                && status.last_handled_requested_at.is_some()
        })
    };
    cluster.until("the failure is reported", failed).await?;
    let commit = cluster.git.commit("main", "Late").await?;
    cluster.git.tag("v9").await?;
    let again = cluster.send_json(&json!({"ref": "v9"})).await?;
    assert_eq!(again.body["message"], "ref already set");
    cluster.until_resolved(commit.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn alternating_refs_on_sixteen_connections_are_all_accepted() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    cluster.git.tag("v1").await?;
    cluster.git.tag("v2").await?;
    let senders = (0..16).map(|sender| {
        let cluster = &cluster;
        async move {
            for round in 0..8 {
                let git_ref = if (sender + round) % 2 == 0 {
                    "v1"
                } else {
                    "v2"
                };
                let answer = cluster.send_json(&json!({ "ref": git_ref })).await?;
                anyhow::ensure!(answer.status == 202, "{answer:?}");
            }
            anyhow::Ok(())
        }
    });
    try_join_all(senders).await?;
    Ok(())
}

#[tokio::test]
async fn the_last_push_of_a_burst_is_resolved() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let mut last = None;
    for push in 0..12 {
        last = Some(cluster.git.commit("main", &format!("Push {push}")).await?);
        assert_eq!(
            cluster.send_json(&json!({"ref": "main"})).await?.status,
            202
        );
    }
    cluster.until_resolved(last.unwrap().as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn with_alternating_requests_the_last_one_applies() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    cluster.git.tag("v1").await?;
    cluster.git.commit("main", "Second").await?;
    cluster.git.tag("v2").await?;
    for _ in 0..10 {
        for git_ref in ["v1", "v2", "v1"] {
            assert_eq!(
                cluster.send_json(&json!({ "ref": git_ref })).await?.status,
                202
            );
        }
        let object = cluster.object().await?;
        assert_eq!(
            object.metadata.annotations.unwrap_or_default()["stoker.io/requested-ref"],
            "v1"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_not_handled_yet_is_not_written_again() -> Result<()> {
    // The controller does not handle requests of a paused object.
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({"paused": true})).await?;
    cluster.start(stoker::auth::AuthConfig::default()).await?;
    let first = cluster.send_json(&json!({"ref": "v1"})).await?;
    assert_eq!(first.body["message"], "ref requested");
    let stamp = cluster.object().await?.requested_at().map(str::to_owned);
    for _ in 0..3 {
        let repeat = cluster.send_json(&json!({"ref": "v1"})).await?;
        assert_eq!(
            (repeat.status, &repeat.body["message"]),
            (202, &json!("ref already set"))
        );
    }
    assert_eq!(
        cluster.object().await?.requested_at().map(str::to_owned),
        stamp
    );
    Ok(())
}

/// The push of a tag, as GitHub sends it.
fn pushed(number: u32) -> Value {
    json!({
        "ref": format!("refs/tags/v{number}"),
        "after": "ab".repeat(20),
        "repository": {"pushed_at": 1_772_444_477 + number},
        "sender": {"login": "mara-okafor"},
    })
}

#[tokio::test]
async fn a_recorded_push_rolls_nothing_back_whatever_its_headers_are() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let sent = |headers: &'static [(&str, &str)], number| {
        let (cluster, body) = (&cluster, pushed(number).to_string());
        async move { cluster.send(headers, body.as_bytes()).await }
    };
    let event: &[_] = &[("x-github-event", "push"), ("x-github-delivery", "first")];
    let replayed: [&[_]; 6] = [
        &[("x-github-event", "push"), ("x-github-delivery", "other")],
        &[],
        &[("x-github-delivery", "other")],
        &[("x-gitea-event", "push")],
        &[("x-gitlab-event", "Tag Push Hook")],
        &[
            ("ce-specversion", "1.0"),
            ("ce-type", "push"),
            ("ce-id", "other"),
            ("ce-time", "2026-03-02T12:00:00Z"),
        ],
    ];
    for number in 0..2 {
        assert_eq!(sent(event, number).await?.status, 202);
    }
    for headers in replayed {
        let answer = sent(headers, 0).await?;
        assert_eq!(
            (answer.status, &answer.body["duplicate"]),
            (202, &json!(true)),
            "{headers:?}"
        );
    }
    // The object remembers 32 deliveries. Then the time in the body decides.
    for number in 2..35 {
        assert_eq!(sent(event, number).await?.status, 202);
    }
    for headers in replayed {
        let answer = sent(headers, 0).await?;
        assert_eq!(
            (answer.status, &answer.body["reason"]),
            (200, &json!("superseded")),
            "{headers:?}"
        );
    }
    let object = cluster.object().await?;
    assert_eq!(object.requested_ref(), Some("refs/tags/v34"));
    Ok(())
}

#[tokio::test]
async fn an_id_in_the_body_identifies_a_repetition_of_a_sender_without_a_signature() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    let token = Some(SecretSource::Inline(SECRET.to_owned()));
    cluster
        .start(AuthConfig {
            bearer: token,
            ..AuthConfig::default()
        })
        .await?;
    let proof = bearer(SECRET);
    let headers = [("authorization", proof.as_str())];
    let event = |id: &str, git_ref: &str| json!({"specversion": "1.0", "type": "release", "id": id, "data": {"ref": git_ref}});
    let url = cluster.url()?;
    for (id, git_ref, is_duplicate) in [
        ("1", "v1", false),
        ("2", "v2", false),
        ("1", "v1", true),
        ("3", "v1", false),
    ] {
        let body = event(id, git_ref).to_string();
        let answer = cluster.post(&url, &headers, body.as_bytes()).await?;
        assert_eq!(answer.status, 202, "{answer:?}");
        let duplicate = answer.body.get("duplicate").is_some();
        assert_eq!(duplicate, is_duplicate, "{id} {answer:?}");
    }
    Ok(())
}
