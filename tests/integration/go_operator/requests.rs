//! The handling of HTTP requests.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use stoker::auth::{AuthConfig, AuthState, Authenticator, SIGNATURE_HEADER, sign};
use stoker::secrets::SecretSource;
use stoker_tests::{SECRET, TestCluster};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{assert_ignored, deliver};

const BODY: &[u8] = br#"{"ref":"v1"}"#;

/// Sends bytes to the receiver, and returns what it answers until it closes the connection.
async fn exchange(cluster: &TestCluster, request: &[u8]) -> Result<String> {
    let address = cluster
        .base_url()?
        .strip_prefix("http://")
        .context("a URL")?;
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn fault_01_a_body_that_is_too_large_is_413_and_not_truncated() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let padding = "x".repeat(2 << 20);
    let large = deliver(&cluster, (&[], json!({"ref": "v1", "padding": padding}))).await?;
    assert_eq!(large.status, 202, "{:?}", large.body);
    let length = (25 << 20) + 1;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\n{SIGNATURE_HEADER}: {}\r\ncontent-length: {length}\r\n\r\n",
        cluster.url()?.trim_start_matches(cluster.base_url()?),
        sign(SECRET.as_bytes(), BODY),
    );
    let answer = exchange(&cluster, head.as_bytes()).await?;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn fault_02_an_empty_secret_does_not_open_the_receiver() -> Result<()> {
    let empty = |text: &str| AuthConfig {
        hmac: Some(SecretSource::Inline(text.to_owned())),
        ..AuthConfig::default()
    };
    for text in ["", "\n", "  "] {
        let state = Authenticator::new(empty(text)).state();
        assert!(
            matches!(state, AuthState::Unusable(_)),
            "{text:?} {state:?}"
        );
    }
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    cluster.start(empty("")).await?;
    let answer = cluster.post(&cluster.url()?, &[], BODY).await?;
    assert_eq!(answer.status, 503, "{:?}", answer.body);
    assert_eq!(super::requested(&cluster).await?, None);
    Ok(())
}

#[tokio::test]
async fn fault_03_a_right_token_does_not_save_a_wrong_signature() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    let inline = |text: &str| Some(SecretSource::Inline(text.to_owned()));
    let auth = AuthConfig {
        hmac: inline(SECRET),
        bearer: inline("another-token"),
        ..AuthConfig::default()
    };
    cluster.start(auth).await?;
    let wrong = sign(b"wrong", BODY);
    let token = ("authorization", "Bearer another-token");
    let url = cluster.url()?;
    let headers = [(SIGNATURE_HEADER, wrong.as_str()), token];
    let both = cluster.post(&url, &headers, BODY).await?;
    assert_eq!(both.status, 401);
    assert_eq!(cluster.post(&url, &[token], BODY).await?.status, 202);
    Ok(())
}

#[tokio::test]
async fn fault_05_pings_and_other_events_are_200_and_forms_are_read() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let ignored = [
        (
            &[("x-github-event", "ping")][..],
            json!({"zen": "x", "hook_id": 1}),
        ),
        (
            &[("x-github-event", "star")][..],
            json!({"action": "created"}),
        ),
        (
            &[("x-event-key", "diagnostics:ping")][..],
            json!({"test": true}),
        ),
    ];
    assert_ignored(&cluster, &ignored).await?;
    let form = b"payload=%7B%22ref%22%3A%22refs%2Ftags%2Fv1%22%7D";
    let signature = sign(SECRET.as_bytes(), form);
    let headers = [
        (SIGNATURE_HEADER, signature.as_str()),
        ("x-github-event", "push"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let answer = cluster.post(&cluster.url()?, &headers, form).await?;
    assert_eq!(
        (answer.status, &answer.body["ref"]),
        (202, &json!("refs/tags/v1"))
    );
    Ok(())
}

#[tokio::test]
async fn fault_08_every_answer_is_json() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let url = cluster.url()?;
    let elsewhere = format!("{}/elsewhere", cluster.base_url()?);
    for (url, body, status) in [(&url, &b"{}"[..], 401), (&elsewhere, &b"{}"[..], 404)] {
        let answer = cluster.post(url, &[], body).await?;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert!(answer.body["reason"].is_string(), "{:?}", answer.body);
    }
    for (body, status) in [(&b"not JSON"[..], 400), (b"{}", 400), (BODY, 202)] {
        let answer = cluster.send(&[], body).await?;
        assert_eq!(answer.status, status, "{:?}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert!(answer.body["reason"].is_string(), "{:?}", answer.body);
    }
    Ok(())
}

/// The tests of the server show the same for answers that nobody takes.
#[tokio::test]
async fn fault_09_a_body_that_never_arrives_ends() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let path = cluster.url()?;
    let path = path.trim_start_matches(cluster.base_url()?);
    let signature = sign(SECRET.as_bytes(), BODY);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\n{SIGNATURE_HEADER}: {signature}\r\ncontent-length: 9\r\n\r\n"
    );
    let answer = exchange(&cluster, head.as_bytes());
    let answer = tokio::time::timeout(Duration::from_secs(20), answer).await??;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    Ok(())
}
