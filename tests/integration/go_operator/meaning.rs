//! The meaning of payloads.

use anyhow::{Context as _, Result};
use serde_json::json;
use stoker::auth::{AuthConfig, SIGNATURE_HEADER, sign};
use stoker::secrets::SecretSource;
use stoker_tests::{SECRET, TestCluster};

use super::{assert_ignored, assert_requested, deliver, requested};

#[tokio::test]
async fn fault_11_the_event_in_the_headers_decides() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let zeros = "0".repeat(40);
    let event = |name| [("x-github-event", name)];
    let (delete, dispatch) = (event("delete"), event("workflow_dispatch"));
    let (alert, push) = (event("code_scanning_alert"), event("push"));
    assert_ignored(
        &cluster,
        &[
            (&delete, json!({"ref": "v1", "ref_type": "tag"})),
            (
                &dispatch,
                json!({"ref": "refs/heads/main", "workflow": "x"}),
            ),
            (&alert, json!({"ref": "refs/heads/main", "alert": {}})),
            (
                &push,
                json!({"ref": "refs/heads/main", "deleted": true, "after": zeros}),
            ),
        ],
    )
    .await?;
    let create = event("create");
    let created = (&create[..], json!({"ref": "v1", "ref_type": "tag"}));
    assert_requested(&cluster, &[(created, "refs/tags/v1")]).await
}

#[tokio::test]
async fn fault_12_only_a_published_release_is_requested() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let headers = [("x-github-event", "release")];
    let release = |action, draft| {
        let release = json!({"tag_name": "v1", "draft": draft});
        (&headers[..], json!({"action": action, "release": release}))
    };
    let ignored = ["created", "edited", "deleted", "unpublished", "prereleased"];
    let mut ignored: Vec<_> = ignored.map(|action| release(action, false)).into();
    ignored.push(release("published", true));
    assert_ignored(&cluster, &ignored).await?;
    assert_requested(&cluster, &[(release("published", false), "v1")]).await
}

#[tokio::test]
async fn fault_13_a_full_ref_resolves_and_the_spec_returns_without_the_request() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let main = cluster.git.commit("dev", "Work").await?;
    let pushed = json!({"ref": "refs/heads/dev", "after": main.as_str(), "deleted": false});
    let answer = deliver(&cluster, (&[("x-github-event", "push")], pushed)).await?;
    assert_eq!(answer.status, 202);
    cluster.until_handled(main.as_str()).await?;
    let start = cluster.git.commit("main", "Next").await?;
    cluster
        .patch(json!({"metadata": {"annotations": {"stoker.io/requested-ref": null}}}))
        .await?;
    cluster.until_resolved(start.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn fault_13_a_spec_that_is_rolled_back_after_a_webhook_wins() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let stable = cluster.git.commit("stable", "Tested").await?;
    let broken = cluster.git.commit("dev", "Work").await?;
    let answer = deliver(&cluster, (&[], json!({"ref": "dev"}))).await?;
    assert_eq!(answer.status, 202);
    cluster.until_handled(broken.as_str()).await?;
    cluster
        .patch(json!({"spec": {"git": {"ref": "stable"}}}))
        .await?;
    cluster.until_resolved(stable.as_str()).await?;
    assert_eq!(requested(&cluster).await?, None);
    Ok(())
}

#[tokio::test]
async fn fault_14_another_repository_and_excluded_refs_are_ignored() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    let refs = json!(["refs/heads/main", "v*"]);
    cluster.create(json!({"webhook": {"refs": refs}})).await?;
    cluster.start_signed().await?;
    let headers = [("x-github-event", "push")];
    let push = |git_ref, name| {
        let after = "ab".repeat(20);
        let repository = json!({"full_name": name});
        let body = json!({"ref": git_ref, "after": after, "repository": repository});
        (&headers[..], body)
    };
    let ignored = [
        push("refs/heads/main", "someone/else"),
        push("refs/heads/feature", "demo/plant"),
        push("refs/tags/test-1", "demo/plant"),
    ];
    assert_ignored(&cluster, &ignored).await?;
    let main = push("refs/heads/main", "demo/plant");
    assert_requested(&cluster, &[(main, "refs/heads/main")]).await
}

#[tokio::test]
async fn fault_15_kargo_commits_need_no_tag_and_only_success_is_requested() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let id = "ab".repeat(20);
    let by_id = json!({"freight": {"commits": [{"id": id}]}});
    for event in ["PromotionFailed", "PromotionCreated"] {
        let freight = json!({"commits": [{"tag": "v9", "id": id}]});
        let body = json!({"type": event, "freight": freight});
        assert_ignored(&cluster, &[(&[], body)]).await?;
    }
    assert_requested(&cluster, &[((&[], by_id), &id)]).await
}

#[tokio::test]
async fn fault_16_gitlab_bitbucket_and_azure_are_understood_and_authenticated() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    let hmac = Some(SecretSource::Inline(SECRET.to_owned()));
    cluster
        .start(AuthConfig {
            hmac,
            ..AuthConfig::default()
        })
        .await?;
    let id = "ab".repeat(20);
    let azure = json!({
        "eventType": "git.push", "publisherId": "tfs",
        "resource": {"refUpdates": [{"name": "refs/tags/v3", "newObjectId": id}]},
    });
    let bitbucket = json!({"push": {"changes": [{"new": {"type": "tag", "name": "v2"}}]}});
    let bitbucket = serde_json::to_vec(&bitbucket)?;
    let signature = sign(SECRET.as_bytes(), &bitbucket);
    let basic = "Basic c3Rva2VyOnRlc3Qtc2VjcmV0";
    assert_eq!(SECRET, "test-secret", "the password in the header");
    let gitlab = json!({"object_kind": "release", "action": "create", "tag": "v1"});
    for (headers, body, git_ref) in [
        (
            vec![
                ("x-gitlab-event", "Release Hook"),
                ("x-gitlab-token", SECRET),
            ],
            serde_json::to_vec(&gitlab)?,
            "v1",
        ),
        (
            vec![
                ("x-event-key", "repo:push"),
                ("x-hub-signature", &signature),
            ],
            bitbucket,
            "refs/tags/v2",
        ),
        (
            vec![("authorization", basic)],
            serde_json::to_vec(&azure)?,
            "refs/tags/v3",
        ),
    ] {
        let answer = cluster.post(&cluster.url()?, &headers, &body).await?;
        assert_eq!(answer.status, 202, "{git_ref} {:?}", answer.body);
        assert_eq!(requested(&cluster).await?.as_deref(), Some(git_ref));
    }
    Ok(())
}

#[tokio::test]
async fn fault_17_a_ref_that_git_refuses_is_not_written() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let long = "x".repeat(256);
    // Git accepts the last two, which a log or a terminal would show as another ref.
    for git_ref in [
        "",
        "-x",
        "a..b",
        "a b",
        "x\ny",
        "refs/heads/\u{7}",
        &long,
        "v1\u{9b}2J",
        "v1\u{202e}0.2v",
    ] {
        let answer = deliver(&cluster, (&[], json!({ "ref": git_ref }))).await?;
        assert_eq!(answer.status, 400, "{git_ref:?} {answer:?}");
        assert_eq!(answer.body["accepted"], false);
        let message = answer.body["message"].as_str().context("a message")?;
        assert!(
            !message.contains(['\n', '\u{7}', '\u{9b}', '\u{202e}']),
            "{message:?}"
        );
    }
    assert_eq!(requested(&cluster).await?, None);
    Ok(())
}

#[tokio::test]
async fn fault_04_an_object_may_have_a_secret_of_its_own() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    let secret_ref = json!({"name": "gateway-api", "key": "apiKey"});
    cluster
        .create(json!({"webhook": {"secretRef": secret_ref}}))
        .await?;
    cluster.start_signed().await?;
    let body = br#"{"ref":"v1"}"#;
    for (key, status) in [(SECRET, 401), ("name:value", 202)] {
        let signature = sign(key.as_bytes(), body);
        let headers = [(SIGNATURE_HEADER, signature.as_str())];
        let answer = cluster.post(&cluster.url()?, &headers, body).await?;
        assert_eq!(answer.status, status, "{key}");
    }
    Ok(())
}

#[tokio::test]
async fn fault_04_several_secrets_are_valid_while_one_is_rotated() -> Result<()> {
    let body = br#"{"ref":"v1"}"#;
    let rotated = AuthConfig {
        hmac: Some(SecretSource::Inline("new\nold".to_owned())),
        ..AuthConfig::default()
    };
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    cluster.start(rotated).await?;
    for (key, status) in [("old", 202), ("new", 202), ("other", 401)] {
        let signature = sign(key.as_bytes(), body);
        let headers = [(SIGNATURE_HEADER, signature.as_str())];
        let answer = cluster.post(&cluster.url()?, &headers, body).await?;
        assert_eq!(answer.status, status, "{key}");
    }
    Ok(())
}
