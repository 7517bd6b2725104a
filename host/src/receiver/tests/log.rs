//! The log lines of deliveries.

use futures::future::join_all;

use super::*;
use crate::telemetry::tests::Captured;

/// Returns the lines of deliveries.
fn deliveries(captured: &Captured) -> Vec<Value> {
    let lines = captured.take().into_iter();
    lines.filter(|line| line["message"] == "webhook").collect()
}

#[tokio::test]
async fn texts_of_unknown_senders_are_short_and_printable_in_the_log() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let captured = Captured::start("debug");
    let name = "x".repeat(5000);
    let request = Request::post(format!("/webhook/a%0Ab%E2%80%AE/{name}"))
        .header("x-github-delivery", "d".repeat(100))
        .body(Body::empty());
    assert_eq!(fixture.send(request.unwrap()).await.status, 401);
    let lines = captured.take();
    let refused = lines
        .iter()
        .filter(|line| line["message"] == "a delivery was refused");
    let ended = lines.iter().filter(|line| line["message"] == "webhook");
    for line in refused.clone().chain(ended.clone()) {
        assert_eq!(line["sync.namespace"], r"a\nb\u{202e}");
        assert_eq!(line["sync.name"], format!("{}…", "x".repeat(64)));
        assert_eq!(line["delivery.id"], format!("{}…", "d".repeat(64)));
    }
    assert_eq!((refused.count(), ended.count()), (1, 1));
}

#[tokio::test]
async fn refusals_have_a_limited_number_of_lines_and_accepted_webhooks_have_all() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    tokio::time::pause();
    let captured = Captured::start("info");
    let refused = (0..30).map(|_| fixture.send(Request::post(PATH).body(Body::empty()).unwrap()));
    for reply in join_all(refused).await {
        assert_eq!(reply.status, 401);
    }
    assert_eq!(deliveries(&captured).len(), 10);
    tokio::time::resume();
    for number in 0..30 {
        let reply = fixture
            .post(PATH, &json!({"ref": format!("v{number}")}))
            .await;
        assert_eq!(reply.status, 202);
    }
    let lines = deliveries(&captured);
    assert_eq!(lines.len(), 30);
    assert_eq!(
        (&lines[0]["ref"], &lines[0]["outcome"]),
        (&json!("v0"), &json!("accepted"))
    );
}
