//! Connections and bodies of hostile, broken and unusual senders.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use stoker::auth::{SIGNATURE_HEADER, sign};
use stoker::server::TlsFiles;
use stoker_tests::{SECRET, TestCluster};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const BODY: &str = r#"{"ref":"v1"}"#;
/// The time limit of each wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// Returns a cluster with a host and the tag `v1`.
async fn cluster() -> Result<TestCluster> {
    let cluster = TestCluster::with_host().await?;
    cluster.git.tag("v1").await?;
    Ok(cluster)
}

async fn connect(cluster: &TestCluster) -> Result<TcpStream> {
    let url = reqwest::Url::parse(cluster.base_url()?)?;
    let port = url.port().context("port")?;
    Ok(TcpStream::connect((url.host_str().context("host")?, port)).await?)
}

fn path(cluster: &TestCluster) -> Result<String> {
    Ok(reqwest::Url::parse(&cluster.url()?)?.path().to_owned())
}

/// Returns a signed request with these lines in its head, and `rest` behind it.
fn request(cluster: &TestCluster, lines: &str, rest: &str) -> Result<String> {
    let (path, signature) = (path(cluster)?, sign(SECRET.as_bytes(), BODY.as_bytes()));
    Ok(format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\n{SIGNATURE_HEADER}: {signature}\r\n{lines}\r\n\r\n{rest}"
    ))
}

/// Sends bytes, and reads until the server closes the connection.
async fn exchange(cluster: &TestCluster, bytes: &str) -> Result<String> {
    let mut connection = connect(cluster).await?;
    connection.write_all(bytes.as_bytes()).await?;
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    // A connection that is reset has sent its answer before.
    tokio::time::timeout(PATIENCE, read).await?.ok();
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn statuses(answer: &str) -> Vec<&str> {
    let lines = answer.split("HTTP/1.1 ").skip(1);
    lines.map(|rest| rest.get(..3).unwrap_or(rest)).collect()
}

#[tokio::test]
async fn idle_connections_do_not_shut_out_a_sender() -> Result<()> {
    let cluster = cluster().await?;
    let mut idle = Vec::new();
    for _ in 0..1100 {
        let mut connection = connect(&cluster).await?;
        // Half of the strangers begin a request.
        if idle.len() % 2 == 0 {
            connection
                .write_all(b"POST /webhook/x/y HTTP/1.1\r\n")
                .await?;
        }
        idle.push(connection);
    }
    let answer = tokio::time::timeout(PATIENCE, cluster.send_json(&json!({"ref": "v1"}))).await??;
    assert_eq!(answer.status, 202, "{answer:?}");
    let metrics = cluster.metrics()?;
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<u64>().ok())
    };
    let replaced = value("stoker_webhook_receiver_connections_closed_total{reason=\"replaced\"}");
    ensure!(replaced.is_some_and(|count| count >= 77), "{metrics}");
    let open = value("stoker_webhook_receiver_connections ");
    ensure!(open.is_some_and(|count| count <= 1024), "{metrics}");
    // The oldest connection was replaced.
    let mut byte = [0];
    let read = tokio::time::timeout(PATIENCE, idle[1].read(&mut byte)).await?;
    ensure!(matches!(read, Ok(0) | Err(_)), "the connection is open");
    Ok(())
}

#[tokio::test]
async fn ambiguous_requests_are_refused_and_none_is_smuggled() -> Result<()> {
    let cluster = cluster().await?;
    let smuggled = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let length = BODY.len();
    for (lines, rest) in [
        // Both lengths: the last one counts for some servers, the first one for others (RFC 9112 §6.1).
        (
            format!("content-length: {length}\r\ntransfer-encoding: chunked"),
            format!("0\r\n\r\n{smuggled}"),
        ),
        (
            format!("content-length: {length}\r\ncontent-length: 0"),
            format!("{BODY}{smuggled}"),
        ),
        (
            format!("content-length: {length}, 0"),
            format!("{BODY}{smuggled}"),
        ),
        (
            format!("content-length: +{length}"),
            format!("{BODY}{smuggled}"),
        ),
        (
            "transfer-encoding: chunked, identity".to_owned(),
            format!("0\r\n\r\n{smuggled}"),
        ),
        (
            "transfer-encoding: xchunked".to_owned(),
            format!("0\r\n\r\n{smuggled}"),
        ),
        // A header on several lines (RFC 9112 §5.2).
        (
            format!("x-folded: a\r\n b\r\ncontent-length: {length}"),
            format!("{BODY}{smuggled}"),
        ),
        (
            format!("content-length : {length}"),
            format!("{BODY}{smuggled}"),
        ),
    ] {
        let answer = exchange(&cluster, &request(&cluster, &lines, &rest)?).await?;
        let statuses = statuses(&answer);
        ensure!(
            matches!(*statuses, ["400" | "401"]),
            "{lines:?} {rest:?}: {answer}"
        );
    }
    // Two requests in a row are two requests.
    let lines = format!("content-length: {length}");
    let answer = exchange(
        &cluster,
        &request(&cluster, &lines, &format!("{BODY}{smuggled}"))?,
    )
    .await?;
    assert_eq!(statuses(&answer), ["202", "200"], "{answer}");
    Ok(())
}

#[tokio::test]
async fn the_absolute_form_of_a_target_is_routed_by_its_path() -> Result<()> {
    let cluster = cluster().await?;
    let lines = format!("content-length: {}\r\nconnection: close", BODY.len());
    let origin = request(&cluster, &lines, BODY)?;
    let absolute = origin.replacen("POST /", "POST http://elsewhere.example/", 1);
    let answer = exchange(&cluster, &absolute).await?;
    assert_eq!(statuses(&answer), ["202"], "{answer}");
    Ok(())
}

#[tokio::test]
async fn chunks_of_one_byte_are_one_body() -> Result<()> {
    let cluster = cluster().await?;
    let chunks: Vec<_> = BODY.chars().map(|one| format!("1\r\n{one}\r\n")).collect();
    let chunks = chunks.concat();
    let lines = "transfer-encoding: chunked\r\nconnection: close";
    let rest = format!("{chunks}0\r\n\r\n");
    let answer = exchange(&cluster, &request(&cluster, lines, &rest)?).await?;
    assert_eq!(statuses(&answer), ["202"], "{answer}");
    Ok(())
}

#[tokio::test]
async fn large_headers_are_refused() -> Result<()> {
    let cluster = cluster().await?;
    let many = "x-many: y\r\n".repeat(200);
    for lines in [format!("x-long: {}", "y".repeat(64 << 10)), many] {
        let answer = exchange(&cluster, &request(&cluster, &lines, "")?).await?;
        assert_eq!(statuses(&answer), ["431"], "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_compressed_body_is_not_decompressed() -> Result<()> {
    let cluster = cluster().await?;
    // The start of a gzip stream, as an archive of any size has it.
    let body =
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\x56\x2a\x4a\x4d\x53\xb2\x52\x2a\x33\x54\xaa\x05\0";
    let answer = cluster.send(&[("content-encoding", "gzip")], body).await?;
    assert_eq!(answer.status, 415, "{answer:?}");
    assert_eq!(answer.body["reason"], "compressed");
    Ok(())
}

#[tokio::test]
async fn hostile_json_is_answered() -> Result<()> {
    let cluster = cluster().await?;
    let deep = format!("{{\"ref\":\"v1\",\"x\":{}", "[".repeat(500_000));
    let answer = cluster.send(&[], deep.as_bytes()).await?;
    assert_eq!(
        (answer.status, &answer.body["reason"]),
        (400, &json!("not-json"))
    );
    let number = format!("{{\"n\":{},\"ref\":\"v1\"}}", "9".repeat(1 << 20));
    assert_eq!(cluster.send(&[], number.as_bytes()).await?.status, 202);
    // The last occurrence of a name counts.
    let repeated = br#"{"ref":"a b","ref":"v1"}"#;
    let answer = cluster.send(&[], repeated).await?;
    assert_eq!((answer.status, &answer.body["ref"]), (202, &json!("v1")));
    Ok(())
}

#[tokio::test]
async fn a_large_push_is_accepted() -> Result<()> {
    let cluster = cluster().await?;
    let commit = json!({
        "id": "ab".repeat(20), "message": "Merge the line of the plant\n\nwith its tests",
        "url": format!("https://github.com/plant/controls/commit/{}", "ab".repeat(20)),
        "author": {"name": "A", "email": "a@example.com"},
        "added": vec!["projects/line-7/views/overview/view.json"; 20],
        "modified": vec!["projects/line-7/views/details/resource.json"; 20],
    });
    let body = json!({"ref": "refs/tags/v1", "commits": vec![commit; 1800]}).to_string();
    ensure!(body.len() > 3 << 20, "{}", body.len());
    let headers = [("x-github-event", "push")];
    let answer = cluster.send(&headers, body.as_bytes()).await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_served() -> Result<()> {
    let cluster = cluster().await?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()?;
    let sent = (0..20).map(|_| {
        let signature = sign(SECRET.as_bytes(), BODY.as_bytes());
        let request = client.post(cluster.url().unwrap_or_default());
        request
            .header(SIGNATURE_HEADER, signature)
            .body(BODY)
            .send()
    });
    for answer in futures::future::try_join_all(sent).await? {
        assert_eq!(answer.version(), http::Version::HTTP_2);
        assert_eq!(answer.status(), 202);
    }
    let answer = client.post(cluster.url()?).body(BODY).send().await?;
    assert_eq!(answer.status(), 401);
    Ok(())
}

#[tokio::test]
async fn a_receiver_with_a_certificate_speaks_tls_only() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    cluster.git.tag("v1").await?;
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let files = TlsFiles {
        certificate: cluster.plugins.path().join("tls.crt"),
        key: cluster.plugins.path().join("tls.key"),
    };
    std::fs::write(&files.certificate, certified.cert.pem())?;
    std::fs::write(&files.key, certified.signing_key.serialize_pem())?;
    cluster.config.tls = Some(files);
    cluster.start_signed().await?;

    let certificate = reqwest::Certificate::from_pem(certified.cert.pem().as_bytes())?;
    let url = cluster
        .url()?
        .replace("http://127.0.0.1", "https://localhost");
    let builder = || {
        let builder = reqwest::Client::builder().no_proxy();
        let address = ([127, 0, 0, 1], 0).into();
        builder
            .tls_certs_only([certificate.clone()])
            .resolve("localhost", address)
    };
    let signature = sign(SECRET.as_bytes(), BODY.as_bytes());
    for (client, version) in [
        (builder().http1_only().build()?, http::Version::HTTP_11),
        (builder().build()?, http::Version::HTTP_2),
    ] {
        let request = client.post(&url).header(SIGNATURE_HEADER, &signature);
        let answer = request.body(BODY).send().await?;
        assert_eq!((answer.status().as_u16(), answer.version()), (202, version));
    }
    let answer = exchange(&cluster, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    ensure!(statuses(&answer).is_empty(), "{answer}");
    Ok(())
}
