use http::Method;
use kube::client::Body;
use serde_json::Value;

use super::*;

type Written = Arc<Mutex<Vec<(Method, Value)>>>;

/// A client whose API server stores all events.
fn client(written: &Written) -> Client {
    let written = Arc::clone(written);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let written = Arc::clone(&written);
        async move {
            let method = request.method().clone();
            let body = request.into_body().collect_bytes().await?;
            let event = serde_json::from_slice(&body)?;
            written.lock().unwrap().push((method, event));
            Ok::<_, tower::BoxError>(http::Response::new(Body::from(b"{}".to_vec())))
        }
    });
    Client::new(service, "plants")
}

fn subject() -> Subject {
    Subject {
        key: ObjectKey::new("plants", "north").unwrap(),
        uid: Some("7".to_owned()),
    }
}

fn event(note: &str) -> Event {
    Event::new(false, "Noted", "Test", note.to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_event_has_the_fields_that_tools_sort_and_filter_by() {
    let written = Written::default();
    let (events, unwritten) = EventQueue::new("one");
    events.add(subject(), event("a\u{1b}b"));
    let warning = Event {
        is_warning: true,
        ..event(&"é".repeat(2000))
    };
    events.reporting_as("other").add(subject(), warning);
    drop(events);
    unwritten.write(client(&written)).await;
    let written = written.lock().unwrap();
    let (method, first) = &written[0];
    assert_eq!(method, Method::POST);
    let name = first["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("north."), "{name}");
    assert_eq!(first["source"]["component"], "one");
    assert_eq!(first["reportingComponent"], "one");
    assert_eq!(first["involvedObject"]["kind"], "GatewaySync");
    assert_eq!(first["involvedObject"]["uid"], "7");
    assert_eq!(
        (&first["count"], &first["type"]),
        (&json!(1), &json!("Normal"))
    );
    assert_eq!(first["message"], "a\\u{1b}b");
    assert!(first["firstTimestamp"].is_string() && first["lastTimestamp"].is_string());
    let (_, second) = &written[1];
    assert_eq!(second["source"]["component"], "other");
    assert_eq!(second["type"], "Warning");
    assert_eq!(second["message"].as_str().unwrap().len(), MAX_NOTE);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_one_event_with_a_count_and_does_not_hide_others() {
    let written = Written::default();
    let (events, unwritten) = EventQueue::new("one");
    let writing = tokio::spawn(unwritten.write(client(&written)));
    for _ in 0..100 {
        events.add(subject(), event("a flood"));
    }
    events.add(subject(), event("another"));
    events
        .reporting_as("other")
        .add(subject(), event("a flood"));
    tokio::time::sleep(2 * UPDATE).await;
    drop(events);
    writing.await.unwrap();
    let written = written.lock().unwrap();
    let created = written.iter().filter(|(method, _)| method == Method::POST);
    let notes: Vec<_> = created.map(|(_, event)| &event["message"]).collect();
    assert_eq!(notes, ["a flood", "another", "a flood"]);
    let counted = written.iter().filter(|(method, _)| method == Method::PATCH);
    let counts: Vec<_> = counted.map(|(_, event)| &event["count"]).collect();
    // The clock of the test may advance while the first event is written, so the count may be updated once before.
    assert_eq!(counts.last(), Some(&&json!(100)));
    assert!(counts.len() <= 2, "{counts:?}");
}

#[test]
fn warnings_have_places_when_the_queue_is_full() {
    let (events, mut unwritten) = EventQueue::new("one");
    for number in 0..QUEUE {
        events.add(subject(), event(&number.to_string()));
    }
    let warning = Event {
        is_warning: true,
        ..event("a warning")
    };
    events.add(subject(), warning);
    let waiting = unwritten.drain();
    assert_eq!(waiting.len(), QUEUE / 2 + 1);
    assert_eq!(waiting.last().unwrap(), "Warning Noted: a warning");
    // What was dropped is a new event when it happens again.
    events.add(subject(), event(&(QUEUE - 1).to_string()));
    assert_eq!(unwritten.drain().len(), 1);
}
