//! Limits: sources, memory, times and rates.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;

use super::*;
use crate::server::Peer;

const BODY: &str = r#"{"ref":"v1"}"#;

/// Returns a webhook from this peer. `signature` overrides the right one.
fn webhook(path: &str, peer: &str, signature: Option<&str>) -> Request<Body> {
    let right = sign(SECRET.as_bytes(), BODY.as_bytes());
    let mut request = Request::post(path)
        .header(SIGNATURE_HEADER, signature.unwrap_or(&right))
        .body(Body::from(BODY))
        .unwrap();
    let peer: SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(Peer(peer));
    request
}

fn wrong() -> String {
    sign(b"other", BODY.as_bytes())
}

/// Returns the webhook of a sender who sends `parts`, one at a time.
fn in_parts(parts: impl futures::Stream<Item = Bytes> + Send + 'static) -> Request<Body> {
    let parts = futures::StreamExt::map(parts, Ok::<_, std::io::Error>);
    Request::post(PATH)
        .header(SIGNATURE_HEADER, wrong())
        .body(Body::from_stream(parts))
        .unwrap()
}

fn reason(reply: &Reply) -> &str {
    reply.body["reason"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn only_allowed_sources_are_accepted() {
    let bounds = Bounds {
        allowed_sources: Some(Networks::parse(&["192.0.2.0/24"]).unwrap()),
        trusted_proxies: Networks::parse(&["10.0.0.0/8"]).unwrap(),
        ..Bounds::default()
    };
    let fixture = Fixture::with_bounds(with_object(Policy::default()), bounds).await;
    for (peer, forwarded, status) in [
        ("192.0.2.1:1", None, 202),
        ("[::ffff:192.0.2.1]:1", None, 202),
        ("198.51.100.1:1", None, 401),
        ("198.51.100.1:1", Some("192.0.2.1"), 401),
        ("10.0.0.1:1", Some("192.0.2.1"), 202),
        ("10.0.0.1:1", Some("192.0.2.1, 198.51.100.1"), 401),
    ] {
        let mut request = webhook(PATH, peer, None);
        if let Some(forwarded) = forwarded {
            let value = forwarded.parse().unwrap();
            request.headers_mut().insert("x-forwarded-for", value);
        }
        let reply = fixture.send(request).await;
        assert_eq!(reply.status.as_u16(), status, "{peer} {forwarded:?}");
    }
    // Without the address of the peer, nobody is known to be allowed.
    let reply = fixture.post(PATH, &json!({"ref": "v1"})).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_object_accepts_only_its_sources_and_does_not_reveal_itself() {
    for (allowed, status) in [
        (&["192.0.2.0/24"][..], 202),
        (&["198.51.100.0/24", "192.0.2.1"], 202),
        (&["198.51.100.0/24"], 401),
        (&[], 401),
        // A list with an error accepts nobody, and only whoever has the key is told.
        (&["192.0.2.0/24", "x"], 422),
        (&["192.0.2.0/99"], 422),
    ] {
        let policy = || Policy {
            allowed_sources: Some(allowed.iter().map(|text| (*text).to_owned()).collect()),
            ..Policy::default()
        };
        let unwatched = FakeRequests {
            unwatched: HashMap::from([(key(), policy())]),
            ..FakeRequests::default()
        };
        for requests in [with_object(policy()), unwatched] {
            let fixture = Fixture::new(requests).await;
            let reply = fixture.send(webhook(PATH, "192.0.2.1:1", None)).await;
            assert_eq!(reply.status.as_u16(), status, "{allowed:?}");
            if status == 422 {
                assert_eq!(reason(&reply), "invalid-object");
                let reported = fixture.requests.reported.lock().unwrap().clone();
                let [(Unannounced::Misconfigured, why)] = reported.as_slice() else {
                    panic!("{reported:?}")
                };
                assert!(why.starts_with("spec.webhook.allowedSources: "), "{why}");
                let refused = webhook(PATH, "192.0.2.1:1", Some(&wrong()));
                let refused = fixture.send(refused).await;
                let elsewhere = webhook("/webhook/plants/other", "192.0.2.1:1", Some(&wrong()));
                assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
                assert_eq!(refused.body, fixture.send(elsewhere).await.body);
                assert_eq!(fixture.submitted(), 0);
            }
            if status == 401 {
                let reported = fixture.requests.reported.lock().unwrap().clone();
                let why = "spec.webhook.allowedSources does not allow 192.0.2.1";
                assert_eq!(reported, [(Unannounced::WrongSource, why.to_owned())]);
                let refused = webhook(PATH, "192.0.2.1:1", Some(&wrong()));
                assert_eq!(fixture.send(refused).await.body, reply.body);
                assert_eq!(fixture.requests.reported.lock().unwrap().len(), 1);
                let elsewhere = webhook("/webhook/plants/other", "192.0.2.1:1", Some(&wrong()));
                let elsewhere = fixture.send(elsewhere).await;
                assert_eq!(
                    (reply.body, reply.headers),
                    (elsewhere.body, elsewhere.headers)
                );
                assert_eq!(fixture.submitted(), 0);
            }
        }
    }
}

#[tokio::test]
async fn refusals_of_a_source_are_limited_and_valid_deliveries_are_not() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    // The plugins are loaded. From here on, only the test moves the time, except while a plugin is called.
    tokio::time::pause();
    let send = |peer: &str, signature: Option<&str>| {
        let request = webhook(PATH, peer, signature);
        fixture.send(request)
    };
    let wrong = wrong();
    // A source has many ports, and an IPv6 source many addresses.
    let mut refused = 0;
    let reply = loop {
        let peer = format!("[2001:db8::{refused:x}]:{}", 1000 + refused);
        let reply = send(&peer, Some(&wrong)).await;
        if reply.status != 401 {
            break reply;
        }
        assert_eq!(reply.headers["connection"], "close");
        refused += 1;
    };
    // Each refusal takes 25 ms, in which the source earns a few more.
    assert!((100..=105).contains(&refused), "{refused}");
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reason(&reply), "rate-limited");
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(reply.headers["connection"], "close");
    assert_eq!(send("[2001:db8:0:1::1]:1", Some(&wrong)).await.status, 401);
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut refused = 0;
    while send("[2001:db8::1]:1", Some(&wrong)).await.status == 401 {
        refused += 1;
    }
    assert!((1..=2).contains(&refused), "{refused}");
    tokio::time::resume();
    assert_eq!(send("[2001:db8::1]:1", None).await.status, 202);
}

/// A sender that waits for the challenge before it sends its password, such as Amazon SNS, causes one refusal for each
/// delivery.
#[tokio::test]
async fn a_delivery_without_a_proof_is_challenged_however_many_there_were() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    for proof in [None, Some("Authorization"), Some(SIGNATURE_HEADER)] {
        for _ in 0..150 {
            let mut request = Request::post(PATH).extension(Peer("192.0.2.1:1".parse().unwrap()));
            if let Some(name) = proof {
                // An empty proof is none.
                request = request.header(name, "");
            }
            let reply = fixture.send(request.body(Body::from("{}")).unwrap()).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
            assert!(reply.headers.contains_key("www-authenticate"));
        }
    }
    let reply = fixture
        .send(webhook(PATH, "192.0.2.1:1", Some(&wrong())))
        .await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "a guess");
}

#[tokio::test]
async fn the_deliveries_for_one_object_are_limited() {
    let bounds = Bounds {
        object_rate: 1,
        ..Bounds::default()
    };
    let mut requests = with_object(Policy::default());
    let other = ObjectKey::new("plants", "south").unwrap();
    requests.watched.insert(other, Policy::default());
    let fixture = Fixture::with_bounds(requests, bounds).await;
    let reply = fixture.post(PATH, &json!({"ref": "v1"})).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    let reply = fixture.post(PATH, &json!({"ref": "v1"})).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(reason(&reply), "rate-limited");
    assert_eq!(reply.headers["retry-after"], "1");
    let south = fixture
        .post("/webhook/plants/south", &json!({"ref": "v1"}))
        .await;
    assert_eq!(south.status, StatusCode::ACCEPTED);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    let reply = fixture.post(PATH, &json!({"ref": "v1"})).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_refused() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    tokio::time::pause();
    let started = Instant::now();
    let reply = fixture.send(in_parts(stream::pending())).await;
    assert_eq!(
        (reply.status.as_u16(), reason(&reply)),
        (408, "body-timeout")
    );
    assert_eq!(started.elapsed().as_secs(), 10);

    let drops = stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Bytes::from_static(b" "), ()))
    });
    let started = Instant::now();
    let reply = fixture.send(in_parts(Box::pin(drops))).await;
    assert_eq!(
        (reply.status.as_u16(), reason(&reply)),
        (408, "body-timeout")
    );
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_body_of_single_bytes_is_refused_early() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let used = fixture.metrics.body_bytes();
    let highest = Arc::new(Mutex::new(0));
    let note = {
        let (used, highest) = (used.clone(), Arc::clone(&highest));
        move |_| {
            let mut highest = highest.lock().unwrap();
            *highest = used.get().max(*highest);
            Bytes::from_static(b" ")
        }
    };
    let parts = futures::StreamExt::map(stream::iter(0..1 << 20), note);
    let reply = fixture.send(in_parts(parts)).await;
    assert_eq!(
        (reply.status.as_u16(), reason(&reply)),
        (400, "chunks-too-small")
    );
    // The memory of a small body of unknown length.
    assert_eq!(*highest.lock().unwrap(), 64 << 10);
    assert_eq!(used.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_without_memory_waits_and_is_then_503() {
    let bounds = Bounds {
        body_bytes: 64 << 10,
        body_memory: 128 << 10,
        ..Bounds::default()
    };
    let metrics = ReceiverMetrics::register(&mut Registry::default());
    let limits = Limits::new(bounds, metrics);
    let (parts, ()) = Request::new(()).into_parts();
    let read = || body::read(&parts, Body::from(BODY), None, &limits);
    // Other bodies have arrived, and take all memory for small ones.
    let mut others = Vec::new();
    for _ in 0..8 {
        let mut other = limits.bodies.reserve(None, 64 << 10).await.unwrap();
        other.complete(64 << 10).unwrap();
        others.push(other);
    }
    let started = Instant::now();
    let answer = read().await.err().unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.code()),
        (503, "overloaded")
    );
    assert_eq!(started.elapsed().as_secs(), 10);
    let response = axum::response::IntoResponse::into_response(answer);
    assert_eq!(response.headers()["retry-after"], "5");

    let release = async {
        tokio::time::sleep(Duration::from_secs(9)).await;
        drop(others);
    };
    let (received, ()) = tokio::join!(read(), release);
    assert_eq!(received.unwrap().bytes, BODY);
}

#[tokio::test]
async fn a_body_of_very_many_values_is_not_parsed() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let body = format!("[0{}]", ",0".repeat(2 << 20));
    let signature = sign(SECRET.as_bytes(), body.as_bytes());
    let request = Request::post(PATH).header(SIGNATURE_HEADER, signature);
    let reply = fixture.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(
        (reply.status.as_u16(), reason(&reply)),
        (413, "too-many-values")
    );
}

#[tokio::test]
async fn every_answer_has_a_reason_and_a_message() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let refused = [
        (get(PATH), "wrong-method", 405),
        (get("/webhook"), "no-route", 404),
        (webhook(PATH, "[::1]:1", Some("x")), "unauthorized", 401),
    ];
    for (request, code, status) in refused {
        let reply = fixture.send(request).await;
        assert_eq!((reason(&reply), reply.status.as_u16()), (code, status));
        assert_eq!(reply.body["accepted"], false);
        assert!(reply.body["message"].is_string());
        assert_eq!(reply.body["error"], reply.body["message"]);
    }
    let reply = fixture.post("/webhook/x/y", &json!({"ref": "v1"})).await;
    assert_eq!(reason(&reply), "not-found");
    for (body, code) in [
        (json!({"hello": "world"}), "unrecognised"),
        (json!({"ref": "a b"}), "malformed"),
    ] {
        let reply = fixture.post(PATH, &body).await;
        assert_eq!(reason(&reply), code);
        assert_eq!(reply.body["plugins"].is_array(), code == "unrecognised");
        assert_eq!(reply.body["plugin"] == "generic", code == "malformed");
    }
    let bearer = Request::post(PATH).header("authorization", format!("Bearer {SECRET}"));
    fixture.send(bearer.body(Body::from("{}")).unwrap()).await;
    let text = fixture.metrics_text();
    for (scheme, count) in [("github", 3), ("bearer", 1)] {
        let line = format!("authenticated_total{{scheme=\"{scheme}\"}} {count}");
        assert!(text.contains(&line), "{text}");
    }
    let outcomes = ["unauthorized", "wrong-method", "not-found", "malformed"];
    let text = fixture.metrics_text();
    for outcome in outcomes {
        let line = format!("outcomes_total{{reason=\"{outcome}\"}} 1");
        assert!(text.contains(&line), "{outcome} {text}");
    }
    // As with the Go operator.
    let refused = "requests_total{source=\"unknown\",status_code=\"400\"} 3";
    assert!(text.contains(refused), "{text}");
    assert!(!text.contains("last_accepted_timestamp_seconds{"));
    fixture.post(PATH, &json!({"ref": "v1"})).await;
    let line = "last_accepted_timestamp_seconds{namespace=\"plants\",name=\"north\"}";
    assert!(fixture.metrics_text().contains(line));
}
