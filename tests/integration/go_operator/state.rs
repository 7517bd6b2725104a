//! What is stored, and in which order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::client::Body;
use serde_json::{Value, json};
use stoker::auth::{SIGNATURE_HEADER, Scheme, sign};
use stoker_api::GatewaySync;
use stoker_api::names::{FINALIZER, annotation};
use stoker_tests::{SECRET, TestCluster};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::BoxError;

use super::{deliver, requested};

/// Returns whether the controller has handled the last request.
fn is_handled(object: &GatewaySync) -> bool {
    let handled = object.status.as_ref();
    let handled = handled.and_then(|status| status.last_handled_requested_at.as_deref());
    handled.is_some() && handled == object.requested_at()
}

/// Returns why the ref was not resolved.
fn resolution(object: &GatewaySync) -> Result<String> {
    let status = object.status.as_ref().context("a status")?;
    let condition = status.condition("RefResolved").context("a condition")?;
    assert_eq!(condition.status, "False", "{condition:?}");
    Ok(condition.message.clone())
}

#[tokio::test]
async fn fault_06_an_api_server_that_is_away_is_not_a_404() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    let (client, fails) = failing(&cluster);
    cluster.client = client;
    cluster.start_signed().await?;
    let known = cluster.url()?;
    let unknown = known.replace("/plant", "/unknown");
    let body = br#"{"ref":"v1"}"#;
    let signature = sign(SECRET.as_bytes(), body);
    let headers = [(SIGNATURE_HEADER, signature.as_str())];
    fails.store(true, Ordering::SeqCst);
    let (to_known, to_unknown) = tokio::join!(
        cluster.post(&known, &headers, body),
        cluster.post(&unknown, &headers, body)
    );
    for answer in [to_known?, to_unknown?] {
        assert_eq!(answer.status, 503, "{:?}", answer.body);
        assert_eq!(answer.body["reason"], "api-unavailable");
        assert!(answer.headers.contains_key("retry-after"));
    }
    // Only an API server that answers knows that an object does not exist.
    fails.store(false, Ordering::SeqCst);
    let answer = cluster.post(&unknown, &headers, body).await?;
    assert_eq!(answer.status, 404, "{:?}", answer.body);
    let answer = cluster.post(&known, &headers, body).await?;
    assert_eq!(answer.status, 202, "{:?}", answer.body);
    Ok(())
}

/// Returns a client to which the API server does not answer about one object, and fails about another, while the flag is
/// set.
fn failing(cluster: &TestCluster) -> (Client, Arc<AtomicBool>) {
    let flag = Arc::new(AtomicBool::new(false));
    let (client, fails) = (cluster.client.clone(), Arc::clone(&flag));
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let client = client.clone();
        let path = request.uri().path().to_owned();
        let fails = fails.load(Ordering::SeqCst) && path.contains("/gatewaysyncs/");
        async move {
            if !fails {
                return Ok::<_, BoxError>(client.send(request).await?);
            }
            if path.ends_with("/unknown") {
                return Err(BoxError::from("the connection was closed"));
            }
            let answer = http::Response::builder().status(500);
            Ok(answer.body(Body::empty())?)
        }
    });
    (Client::new(service, "default"), flag)
}

#[tokio::test]
async fn fault_07_other_writers_cause_no_error() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    let own = cluster.client.clone();
    let (client, interferes) = contended(&cluster);
    cluster.client = client;
    cluster.start_signed().await?;
    cluster.client = own;
    for number in 0..5 {
        interferes.store(true, Ordering::SeqCst);
        let git_ref = format!("v{number}");
        let answer = deliver(&cluster, (&[], json!({ "ref": git_ref }))).await?;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        assert!(!interferes.load(Ordering::SeqCst), "nothing was written");
        assert_eq!(requested(&cluster).await?, Some(git_ref));
    }
    Ok(())
}

/// Returns a client, and a flag. If it is set, another writer changes the object immediately before the receiver's next
/// write, so that the version that was read is not the current one. This resets the flag.
fn contended(cluster: &TestCluster) -> (Client, Arc<AtomicBool>) {
    let flag = Arc::new(AtomicBool::new(false));
    let (client, objects) = (cluster.client.clone(), cluster.objects());
    let interferes = Arc::clone(&flag);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (client, objects) = (client.clone(), objects.clone());
        let uri = request.uri().to_string();
        let is_write = uri.contains("/gatewaysyncs/plant?") && uri.contains("stoker-receiver");
        let interferes = is_write && interferes.swap(false, Ordering::SeqCst);
        async move {
            if interferes {
                let time = Timestamp::now().as_nanosecond().to_string();
                let label = json!({"metadata": {"labels": {"changed": time}}});
                objects
                    .patch("plant", &PatchParams::default(), &Patch::Merge(label))
                    .await?;
            }
            Ok::<_, BoxError>(client.send(request).await?)
        }
    });
    (Client::new(service, cluster.namespace.clone()), flag)
}

#[tokio::test]
async fn fault_10_a_webhook_in_progress_is_stored_and_answered_before_the_shutdown() -> Result<()> {
    let mut cluster = TestCluster::with_host().await?;
    let body = br#"{"ref":"v1"}"#;
    let address = cluster.base_url()?.strip_prefix("http://");
    let mut connection = TcpStream::connect(address.context("a URL")?).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nexpect: 100-continue\r\n{SIGNATURE_HEADER}: {}\r\n\r\n",
        cluster.url()?.trim_start_matches(cluster.base_url()?),
        body.len(),
        sign(SECRET.as_bytes(), body)
    );
    connection.write_all(head.as_bytes()).await?;
    // The server has read the headers when it asks for the body.
    let mut interim = [0; 25];
    connection.read_exact(&mut interim).await?;
    assert!(interim.starts_with(b"HTTP/1.1 100"));

    let ended = async { cluster.stop().await };
    let answered = async {
        connection.write_all(body).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let (ended, answer) = tokio::join!(ended, answered);
    ended?;
    assert!(answer?.starts_with("HTTP/1.1 202"));
    assert_eq!(requested(&cluster).await?.as_deref(), Some("v1"));
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

/// Returns a client that requests `v2` just before the next JSON patch, each time that the flag is set.
fn interrupted(cluster: &TestCluster) -> (Client, Arc<AtomicBool>) {
    let flag = Arc::new(AtomicBool::new(false));
    let (client, objects) = (cluster.client.clone(), cluster.objects());
    let interrupts = Arc::clone(&flag);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (client, objects) = (client.clone(), objects.clone());
        let interrupts = Arc::clone(&interrupts);
        async move {
            let content = request.headers().get("content-type");
            let is_json_patch = content.is_some_and(|value| value == "application/json-patch+json");
            if is_json_patch && interrupts.swap(false, Ordering::SeqCst) {
                let annotations = json!({
                    annotation::REQUESTED_REF: "v2",
                    annotation::REQUESTED_AT: "2100-01-01T00:00:00Z",
                });
                let request = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
                objects
                    .patch("plant", &PatchParams::default(), &request)
                    .await?;
            }
            client.send(request).await
        }
    });
    (Client::new(service, "default"), flag)
}

#[tokio::test]
async fn fault_20_a_request_is_not_erased_when_an_earlier_one_is_cleared() -> Result<()> {
    let mut cluster = TestCluster::new().await?;
    cluster.create(json!({})).await?;
    let first = cluster.git.tag("v1").await?;
    let second = cluster.git.commit("main", "Two").await?;
    cluster.git.tag("v2").await?;
    let (client, interrupts) = interrupted(&cluster);
    cluster.client = client;
    cluster.start_signed().await?;
    deliver(&cluster, (&[], json!({"ref": "v1"}))).await?;
    cluster.until_handled(first.as_str()).await?;
    // The spec catches up with the first request. The second arrives just before the first is cleared.
    interrupts.store(true, Ordering::SeqCst);
    cluster
        .patch(json!({"spec": {"git": {"ref": "v1"}}}))
        .await?;
    cluster.until_handled(second.as_str()).await?;
    assert!(!interrupts.load(Ordering::SeqCst));
    assert_eq!(requested(&cluster).await?.as_deref(), Some("v2"));
    Ok(())
}

/// Returns the number of passes of the controller that have ended.
fn passes(metrics: &str) -> u64 {
    let lines = metrics.lines();
    let counts = lines.filter(|line| line.starts_with("stoker_controller_reconcile_total{"));
    counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Changes the metadata of the object, and waits for the pass that this starts.
async fn change(cluster: &TestCluster, metadata: Value) -> Result<()> {
    let before = passes(&cluster.metrics()?);
    cluster.patch(json!({ "metadata": metadata })).await?;
    cluster
        .until_metrics(|metrics| passes(metrics) > before)
        .await?;
    Ok(())
}

#[tokio::test]
async fn fault_21_a_ref_that_does_not_exist_is_looked_up_after_a_wait_only() -> Result<()> {
    let cluster = TestCluster::with_host().await?;
    let answer = deliver(&cluster, (&[], json!({"ref": "v9"}))).await?;
    assert_eq!(answer.status, 202);
    let object = cluster.until("the request is handled", is_handled).await?;
    let message = resolution(&object)?;
    assert!(message.contains("v9"), "{message}");
    assert!(message.contains("(retry in 30s)"), "{message}");
    // Each pass of the Go operator over a requested ref restarted the wait. Here, passes neither look up the ref nor restart
    // the wait.
    let lookups = cluster.git.requests();
    for number in 0..3 {
        let finalizers = [FINALIZER.to_owned(), format!("example.com/{number}")];
        change(&cluster, json!({"finalizers": finalizers})).await?;
    }
    assert_eq!(cluster.git.requests(), lookups);
    // Somebody who changes an annotation wants to know now. This does not restart the wait either.
    let annotations = json!({"example.com/try": "again"});
    change(&cluster, json!({ "annotations": annotations })).await?;
    // At most one lookup per second is for such changes.
    cluster
        .until_metrics(|_| cluster.git.requests() > lookups)
        .await?;
    assert_eq!(resolution(&cluster.object().await?)?, message);
    // The next request does not wait.
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
    // A signed message is accepted for some minutes only.
    let body = br#"{"ref":"v0"}"#;
    let scheme = Scheme::named("standard-webhooks").context("the scheme")?;
    let sent_at = Timestamp::now() - SignedDuration::from_mins(6);
    let proof = scheme.headers(SECRET, body, sent_at, "msg_1");
    let proof: Vec<_> = proof
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let old = cluster.post(&cluster.url()?, &proof, body).await?;
    assert_eq!(old.status, 401);
    let object = cluster.object().await?;
    assert_eq!(object.requested_ref(), Some("v2"));
    // What was accepted is on the object: who detected it, when, and which deliveries.
    let annotations = object.metadata.annotations.clone().context("annotations")?;
    assert_eq!(annotations[annotation::REQUESTED_BY], "github");
    let accepted = annotations[annotation::ACCEPTED_DELIVERIES].split(',');
    assert_eq!(accepted.count(), 2);
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
    // An id that the repository does not have is looked up, and not published.
    let unknown = "ab".repeat(20);
    deliver(&cluster, (&[], json!({ "ref": unknown }))).await?;
    let object = cluster.until("the request is handled", is_handled).await?;
    let message = resolution(&object)?;
    assert!(message.contains(&unknown), "{message}");
    let status = object.status.context("a status")?;
    assert_eq!(status.last_sync_commit.as_deref(), Some(commit.as_str()));
    // Nobody would follow a ref that is requested for an object that is being deleted.
    cluster
        .patch(json!({"metadata": {"finalizers": ["example.com/wait"]}}))
        .await?;
    let objects = cluster.objects();
    objects.delete("plant", &DeleteParams::default()).await?;
    let answer = deliver(&cluster, (&[], json!({"ref": "main"}))).await?;
    assert_eq!(
        (answer.status, &answer.body["reason"]),
        (200, &json!("being-deleted"))
    );
    cluster
        .patch(json!({"metadata": {"finalizers": null}}))
        .await?;
    Ok(())
}
