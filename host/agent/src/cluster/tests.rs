//! What the agent sends to the API server, with an API server that answers by a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::events::{Event, EventSender};
use crate::fake_client::{client, status};
use crate::report::Report;

/// The requests of the agent, such as `PATCH /api/v1/…`, each with its body.
type Requests = Arc<Mutex<Vec<(String, Value)>>>;

/// Returns a cluster whose API server gives these answers, and then empty objects.
fn cluster(answers: Vec<(u16, Value)>) -> (Cluster, Requests) {
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let client = client(move |request| {
        let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
        async move {
            let line = format!("{} {}", request.method(), request.uri().path());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            seen.lock().unwrap().push((line, body));
            let answer = answers.lock().unwrap().pop_front();
            answer.unwrap_or((200, json!({"metadata": {}})))
        }
    });
    let cluster = Cluster {
        client,
        namespace: "edge".to_owned(),
        object: "plant".to_owned(),
        pod_namespace: "edge".to_owned(),
        pod_name: "gw-0".to_owned(),
    };
    (cluster, requests)
}

fn refusal(code: u16, reason: &str) -> (u16, Value) {
    status(code, reason, "")
}

fn lines(requests: &Requests) -> Vec<String> {
    let requests = requests.lock().unwrap();
    requests.iter().map(|(line, _)| line.clone()).collect()
}

const STATUS: &str = "/api/v1/namespaces/edge/configmaps/stoker-status-plant";

/// Writes a report to an API server with these answers, and returns the requests.
async fn write(answers: Vec<(u16, Value)>) -> Requests {
    let (cluster, requests) = cluster(answers);
    let (sender, receiver) = watch::channel(None);
    sender.send_replace(Some(Report::default()));
    drop(sender);
    Reports::new(cluster, "blue".to_owned()).run(receiver).await;
    requests
}

#[tokio::test(start_paused = true)]
async fn a_report_is_a_patch_of_its_own_key() {
    let requests = write(Vec::new()).await;
    assert_eq!(lines(&requests), [format!("PATCH {STATUS}")]);
    let entry = Report::default().to_json().unwrap();
    let expected = json!({"data": {"blue": entry}});
    assert_eq!(requests.lock().unwrap()[0].1, expected);
}

#[tokio::test(start_paused = true)]
async fn a_missing_config_map_is_created_unless_another_agent_was_faster() {
    let answers = vec![refusal(404, "NotFound"), refusal(409, "AlreadyExists")];
    let requests = write(answers).await;
    let create = "POST /api/v1/namespaces/edge/configmaps".to_owned();
    let patch = format!("PATCH {STATUS}");
    assert_eq!(lines(&requests), [patch.clone(), create, patch]);
    let labels = requests.lock().unwrap()[1].1["metadata"]["labels"].clone();
    let expected = json!({
        "app.kubernetes.io/managed-by": "stoker-agent", "stoker.io/cr-name": "plant",
    });
    assert_eq!(labels, expected);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_is_refused_is_written_later() {
    let unavailable = || refusal(503, "ServiceUnavailable");
    let requests = write(vec![unavailable(), unavailable()]).await;
    assert_eq!(requests.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn equal_events_are_counted() {
    let object = json!({
        "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
        "metadata": {"name": "plant", "namespace": "edge", "uid": "uid-1"},
        "spec": {
            "git": {"repo": "https://git.example/o/r.git", "ref": "main"},
            "gateway": {"api": {"secretName": "s"}}, "sync": {"profiles": {}},
        },
    });
    let created = json!({"metadata": {"name": "plant.1"}, "involvedObject": {}});
    let answers = vec![(200, object), (201, created.clone()), (200, created)];
    let (cluster, requests) = cluster(answers);
    let (sender, events) = EventSender::channel();
    for _ in 0..2 {
        sender.send(Event {
            is_warning: true,
            reason: "SyncFailed",
            message: "\u{e9}".repeat(900),
        });
    }
    drop(sender);
    Events::new(cluster, events).run().await;
    let path = "/api/v1/namespaces/edge/events";
    let expected = [
        "GET /apis/stoker.io/v1alpha1/namespaces/edge/gatewaysyncs/plant".to_owned(),
        format!("POST {path}"),
        format!("PATCH {path}/plant.1"),
    ];
    assert_eq!(lines(&requests), expected);
    let requests = requests.lock().unwrap();
    let event = &requests[1].1;
    assert_eq!(event["involvedObject"]["uid"], "uid-1");
    assert_eq!(
        (&event["type"], &event["reason"]),
        (&json!("Warning"), &json!("SyncFailed"))
    );
    assert_eq!(event["source"]["component"], "stoker-agent");
    assert_eq!(event["message"].as_str().unwrap().len(), 1000);
    assert_eq!(requests[2].1["count"], 2);
}
