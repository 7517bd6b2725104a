//! The answers of the receiver.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde_json::json;
use stoker::auth::{AuthConfig, SIGNATURE_HEADER, sign};
use stoker::secrets::SecretSource;
use stoker_tests::{SECRET, TestCluster};

#[tokio::test]
async fn a_missing_object_is_404_for_authenticated_senders_only() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let body = br#"{"ref":"v1"}"#;
    let signature = sign(SECRET.as_bytes(), body);
    for path in [
        "/webhook/nowhere/plant",
        "/webhook/default/UPPER",
        "/webhook/default/..%2f..",
        "/webhook/default/%ff",
    ] {
        let url = format!("{}{path}", cluster.base_url()?);
        let known = cluster
            .post(&url, &[(SIGNATURE_HEADER, &signature)], body)
            .await?;
        assert_eq!(known.status, 404, "{path} {known:?}");
        assert_eq!(known.body["accepted"], false);
        assert_eq!(cluster.post(&url, &[], body).await?.status, 401, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_json() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let elsewhere = cluster.post(cluster.base_url()?, &[], b"").await?;
    assert_eq!(
        (elsewhere.status, elsewhere.body["accepted"].as_bool()),
        (404, Some(false))
    );
    let get = reqwest::get(cluster.url()?).await?;
    assert_eq!(get.status(), 405);
    assert_eq!(get.headers()["allow"], "POST");
    assert_eq!(get.headers()["content-type"], "application/json");
    Ok(())
}

#[tokio::test]
async fn json_is_accepted_with_any_media_type() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    cluster.git.tag("v1").await?;
    let body = br#"{"ref":"v1"}"#;
    let signature = sign(SECRET.as_bytes(), body);
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/vnd.x+json",
        "",
    ] {
        let headers = [
            (SIGNATURE_HEADER, signature.as_str()),
            ("content-type", media_type),
        ];
        assert_eq!(
            cluster.post(&cluster.url()?, &headers, body).await?.status,
            202,
            "{media_type}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn other_formats_are_415_or_400_with_an_explanation() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let form = b"ref=v1";
    let signature = sign(SECRET.as_bytes(), form);
    let headers = [
        (SIGNATURE_HEADER, signature.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let answer = cluster.post(&cluster.url()?, &headers, form).await?;
    assert_eq!(answer.status, 415);
    assert!(
        answer.body["error"]
            .as_str()
            .context("no text")?
            .contains("application/json")
    );
    for body in [&b""[..], b"{", b"\xff", b"{\"ref\":\"\xff\"}", b"ref=v1"] {
        let answer = cluster.send(&[], body).await?;
        assert_eq!(answer.status, 400, "{body:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_format_is_400_and_names_every_plugin() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let answer = cluster.send_json(&json!({"hello": "world"})).await?;
    assert_eq!(answer.status, 400);
    let plugins = answer.body["plugins"].as_array().context("no plugins")?;
    let names: Vec<_> = plugins
        .iter()
        .filter_map(|plugin| plugin["plugin"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "gitea",
            "github",
            "gitlab",
            "bitbucket",
            "azure-devops",
            "codecommit",
            "registry",
            "cloudevents",
            "argocd",
            "kargo",
            "generic"
        ]
    );
    assert!(plugins.iter().all(|plugin| {
        plugin["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty())
    }));
    Ok(())
}

#[tokio::test]
async fn a_ping_is_200_and_ignored() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let answer = cluster
        .send(
            &[("x-github-event", "ping")],
            br#"{"zen":"Keep it logically awesome.","hook_id":1}"#,
        )
        .await?;
    assert_eq!(
        (answer.status, answer.body["accepted"].as_bool()),
        (200, Some(false))
    );
    assert!(
        answer.body["ignored"]
            .as_str()
            .is_some_and(|reason| reason.contains("ping"))
    );
    Ok(())
}

#[tokio::test]
async fn a_ref_that_git_refuses_is_400() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    for git_ref in ["a b", "--upload-pack=x", "a..b", "x\u{0}y", ""] {
        let answer = cluster.send_json(&json!({"ref": git_ref})).await?;
        assert_eq!(answer.status, 400, "{git_ref:?} {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_without_a_check_of_its_signature() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let body = vec![b' '; (25 << 20) + 1];
    let answer = cluster.post(&cluster.url()?, &[], &body).await?;
    assert_eq!(answer.status, 413);
    Ok(())
}

#[tokio::test]
async fn a_body_at_the_limit_is_accepted() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    cluster.git.tag("v1").await?;
    let mut body = br#"{"ref":"v1"}"#.to_vec();
    body.resize(25 << 20, b' ');
    assert_eq!(cluster.send(&[], &body).await?.status, 202);
    Ok(())
}

#[tokio::test]
async fn with_an_empty_or_unreadable_secret_every_webhook_is_503() -> Result<()> {
    for source in [
        SecretSource::Inline(String::new()),
        SecretSource::File("/nonexistent".into()),
    ] {
        let mut cluster = TestCluster::new().await?;
        cluster.create(json!({})).await?;
        cluster
            .start(AuthConfig {
                hmac: Some(source),
                ..AuthConfig::default()
            })
            .await?;
        let answer = cluster.send_json(&json!({"ref": "v1"})).await?;
        assert_eq!(answer.status, 503);
        assert!(answer.headers.contains_key("retry-after"));
    }
    Ok(())
}

#[tokio::test]
async fn an_unreachable_api_server_is_503_and_a_repeated_delivery_succeeds() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    // Only the embedded server can simulate an outage.
    let Some(api) = &cluster.api else {
        return Ok(());
    };
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.git.tag("v1").await?;
    api.outage(true);
    let answer = cluster.send_json(&json!({"ref": "v1"})).await?;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"));
    api.outage(false);
    assert_eq!(cluster.send_json(&json!({"ref": "v1"})).await?.status, 202);
    cluster.until_resolved(commit.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn a_host_of_one_namespace_ignores_others() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    let mut object = cluster.create(json!({})).await?;
    let other = format!("{}-other", cluster.namespace);
    let namespace = serde_json::from_value(json!({"metadata": {"name": other}}))?;
    Api::<Namespace>::all(cluster.client.clone())
        .create(&PostParams::default(), &namespace)
        .await?;
    object.metadata = ObjectMeta {
        name: object.metadata.name,
        ..ObjectMeta::default()
    };
    Api::namespaced(cluster.client.clone(), &other)
        .create(&PostParams::default(), &object)
        .await?;
    cluster.config.namespace = Some(cluster.namespace.clone());
    cluster.start_signed().await?;
    let commit = cluster.git.commit("main", "A release").await?;
    cluster.git.annotated_tag("v1").await?;
    assert_eq!(cluster.send_json(&json!({"ref": "v1"})).await?.status, 202);
    cluster.until_resolved(commit.as_str()).await?;

    let body = br#"{"ref": "v1"}"#;
    let elsewhere = format!("{}/webhook/{other}/plant", cluster.base_url()?);
    let signature = sign(SECRET.as_bytes(), body);
    let answer = cluster
        .post(&elsewhere, &[(SIGNATURE_HEADER, &signature)], body)
        .await?;
    assert_eq!(answer.status, 404, "{answer:?}");
    Ok(())
}
