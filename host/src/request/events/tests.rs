use std::sync::{Arc, Mutex};

use http::Method;
use kube::client::Body;
use serde_json::Value;
use stoker_api::detection::GitRef;

use super::*;
use crate::request::Ignored;

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

#[tokio::test(start_paused = true)]
async fn a_flood_is_one_event_with_a_count_and_does_not_hide_others() {
    let written = Written::default();
    let (events, write) = publish(client(&written));
    let writing = tokio::spawn(write);
    for count in 0..100 {
        let ignored = Ok(Submitted::Ignored(Ignored::NotFollowed { count }));
        events.submitted(subject(), "github", &ignored);
    }
    let requested = Ok(Submitted::Written(GitRef::parse("v1").unwrap()));
    events.submitted(subject(), "github", &requested);
    let invalid = Err(RequestError::Invalid {
        key: subject().key,
        why: "spec.webhook.refs: no".to_owned(),
    });
    events.submitted(subject(), "github", &invalid);
    events.submitted(subject(), "github", &Err(RequestError::Unavailable(None)));
    events.unannounced(subject(), Unannounced::Ignored, &"é".repeat(2000));
    tokio::time::sleep(2 * UPDATE).await;
    drop(events);
    writing.await.unwrap();
    let written = written.lock().unwrap();
    let created = written.iter().filter(|(method, _)| method == Method::POST);
    let created: Vec<_> = created
        .map(|(_, event)| {
            (
                event["reason"].as_str().unwrap(),
                event["type"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("WebhookIgnored", "Normal"),
        ("WebhookReceived", "Normal"),
        ("WebhookRefused", "Warning"),
        ("WebhookIgnored", "Normal"),
    ];
    assert_eq!(created, expected);
    let counted = written.iter().filter(|(method, _)| method == Method::PATCH);
    let counts: Vec<_> = counted
        .map(|(_, event)| event["series"]["count"].clone())
        .collect();
    // The clock of the test may advance while the first event is written, so the count may be updated once before.
    assert_eq!(counts.last(), Some(&json!(100)));
    assert!(counts.len() <= 2, "{counts:?}");
    let longest = written
        .iter()
        .filter_map(|(_, event)| event["note"].as_str());
    assert!(longest.map(str::len).all(|length| length <= MAX_NOTE));
}
