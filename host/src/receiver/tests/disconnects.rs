//! Senders that do not wait for their answer.

use std::time::Duration;

use super::*;

/// Returns a fixture whose submissions are stored when they get a permit.
async fn fixture() -> (Fixture, Arc<Semaphore>) {
    let storing = Arc::new(Semaphore::new(0));
    let requests = FakeRequests {
        storing: Some(Arc::clone(&storing)),
        ..with_object(Policy::default())
    };
    (Fixture::new(requests).await, storing)
}

/// Sends a signed webhook, and disconnects when it is submitted.
async fn send_and_disconnect(fixture: &Fixture) {
    let body = json!({"ref": "v1"});
    tokio::select! {
        _ = fixture.post(PATH, &body) => panic!("it was answered"),
        () = fixture.requests.submitting.notified() => {}
    }
}

async fn drain(fixture: &Fixture) {
    let deadline = Instant::now() + Duration::from_secs(10);
    fixture.receiver.drain(deadline).await;
}

#[tokio::test]
async fn an_authenticated_webhook_is_handled_to_its_end() {
    let (fixture, storing) = fixture().await;
    send_and_disconnect(&fixture).await;
    let answered =
        "stoker_webhook_receiver_requests_total{source=\"generic\",status_code=\"202\"} 1";
    assert!(!fixture.metrics_text().contains(answered));
    storing.add_permits(1);
    drain(&fixture).await;
    let metrics = fixture.metrics_text();
    for line in [
        answered,
        "stoker_webhook_receiver_requests_in_flight 0",
        "stoker_webhook_receiver_body_bytes 0",
        "stoker_webhook_receiver_outcomes_total{reason=\"requested\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(!metrics.contains("disconnected"), "{metrics}");
}

#[tokio::test]
async fn webhooks_without_a_waiting_sender_are_limited_like_others() {
    let (fixture, storing) = fixture().await;
    for _ in 0..512 {
        send_and_disconnect(&fixture).await;
    }
    let reply = fixture.post(PATH, &json!({"ref": "v1"})).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.body["reason"], "overloaded");
    storing.add_permits(513);
    drain(&fixture).await;
    let reply = fixture.post(PATH, &json!({"ref": "v1"})).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_webhook_whose_body_has_not_arrived_is_counted() {
    let (fixture, _) = fixture().await;
    let body = futures::stream::pending::<Result<&'static str, std::io::Error>>();
    let request = Request::post(PATH)
        .header(SIGNATURE_HEADER, sign(SECRET.as_bytes(), b""))
        .body(Body::from_stream(body))
        .unwrap();
    assert!(fixture.send(request).now_or_never().is_none());
    let metrics = fixture.metrics_text();
    for line in [
        "stoker_webhook_receiver_requests_in_flight 0",
        "stoker_webhook_receiver_outcomes_total{reason=\"disconnected\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}
