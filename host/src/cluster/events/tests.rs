use http::Method;
use serde_json::{Value, json};

use super::*;
use crate::fake_client;

type Written = Arc<Mutex<Vec<(Method, Value)>>>;

/// A client whose API server stores all events.
fn client(written: &Written) -> Client {
    let written = Arc::clone(written);
    fake_client::client(move |request| {
        let written = Arc::clone(&written);
        async move {
            let method = request.method().clone();
            let body = request.into_body().collect_bytes().await.unwrap();
            let event = serde_json::from_slice(&body).unwrap();
            written.lock().unwrap().push((method, event));
            (200, json!({}))
        }
    })
}

fn subject() -> Subject {
    Subject {
        key: ObjectKey::new("plants", "north").unwrap(),
        uid: Some("7".to_owned()),
    }
}

fn event(note: &str) -> Event {
    Event::new(EventType::Normal, "Noted", "Test", note.to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_event_has_the_fields_that_tools_sort_and_filter_by() {
    let written = Written::default();
    let (events, unwritten) = EventQueue::new("one");
    events.add(subject(), &event("a\u{1b}b"));
    let warning = Event {
        type_: EventType::Warning,
        ..event(&"é".repeat(2000))
    };
    events.add(subject(), &warning);
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
    assert_eq!(second["type"], "Warning");
    assert_eq!(second["message"].as_str().unwrap().len(), MAX_NOTE);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_one_event_with_a_count_and_does_not_hide_others() {
    let written = Written::default();
    let (events, unwritten) = EventQueue::new("one");
    let writing = tokio::spawn(unwritten.write(client(&written)));
    for _ in 0..100 {
        events.add(subject(), &event("a flood"));
    }
    events.add(subject(), &event("another"));
    tokio::time::sleep(2 * UPDATE).await;
    drop(events);
    writing.await.unwrap();
    let written = written.lock().unwrap();
    let created = written.iter().filter(|(method, _)| method == Method::POST);
    let notes: Vec<_> = created.map(|(_, event)| &event["message"]).collect();
    assert_eq!(notes, ["a flood", "another"]);
    let counted = written.iter().filter(|(method, _)| method == Method::PATCH);
    let counts: Vec<_> = counted.map(|(_, event)| &event["count"]).collect();
    // The clock of the test may advance while the first event is written, so the count may be updated once before.
    assert_eq!(counts.last(), Some(&&json!(100)));
    assert!(counts.len() <= 2, "{counts:?}");
}

#[test]
fn warnings_have_room_when_the_queue_is_full() {
    let (events, mut unwritten) = EventQueue::new("one");
    for number in 0..QUEUE {
        events.add(subject(), &event(&number.to_string()));
    }
    let warning = Event {
        type_: EventType::Warning,
        ..event("a warning")
    };
    events.add(subject(), &warning);
    let waiting = unwritten.drain();
    assert_eq!(waiting.len(), QUEUE / 2 + 1);
    assert_eq!(waiting.last().unwrap(), "Warning Noted: a warning");
    // What was dropped is a new event when it happens again.
    events.add(subject(), &event(&(QUEUE - 1).to_string()));
    assert_eq!(unwritten.drain().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_written_is_new_when_it_happens_again() {
    let refused = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let client = fake_client::client(move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::future::ready(fake_client::status(403, "Forbidden", "no"))
    });
    let (events, unwritten) = EventQueue::new("one");
    let writing = tokio::spawn(unwritten.write(client));
    for _ in 0..2 {
        events.add(subject(), &event("a"));
        tokio::time::sleep(2 * PAUSE).await;
    }
    drop(events);
    writing.await.unwrap();
    assert_eq!(refused.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[test]
fn a_long_name_or_text_is_shortened() {
    let (events, mut unwritten) = EventQueue::new("one");
    let long = Subject {
        key: ObjectKey::new("plants", &format!("{}-{}", "a".repeat(199), "b".repeat(37))).unwrap(),
        uid: None,
    };
    events.add(long, &event(&"x".repeat(100_000)));
    let new = unwritten.events.try_recv().unwrap();
    assert!(
        new.name.starts_with(&format!("{}.", "a".repeat(199))),
        "{}",
        new.name
    );
    assert_eq!(
        (new.note.len(), new.kind.detail.len()),
        (MAX_NOTE, MAX_NOTE)
    );
}
