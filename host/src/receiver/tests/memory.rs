//! The memory for bodies, while senders hold it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::task::JoinSet;

use super::*;
use crate::server::Peer;

const MIB: usize = 1 << 20;
const BODY: &str = r#"{"ref":"v1"}"#;

fn source(number: u8) -> IpAddr {
    [192, 0, 2, number].into()
}

fn limits() -> Limits {
    let metrics = ReceiverMetrics::register(&mut Registry::default());
    Limits::new(Bounds::default(), metrics)
}

/// Returns a body of this size that arrives with 2 MiB/s.
fn slow(bytes: usize) -> Body {
    let parts = stream::iter(0..bytes.div_ceil(64 << 10)).then(move |number| async move {
        tokio::time::sleep(Duration::from_micros(31_250)).await;
        let rest = bytes - number * (64 << 10);
        Ok::<_, std::io::Error>(Bytes::from(vec![b' '; rest.min(64 << 10)]))
    });
    Body::from_stream(parts)
}

/// Returns a body whose sender sends 7 MiB at once, and then one byte every two seconds.
fn stalled() -> Body {
    let first = stream::iter((0..112).map(|_| Bytes::from(vec![b' '; 64 << 10])));
    let rest = stream::repeat(()).then(async |()| {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Bytes::from_static(b" ")
    });
    Body::from_stream(first.chain(Box::pin(rest)).map(Ok::<_, std::io::Error>))
}

/// Reads a body of this length, or of an unknown one.
async fn read(
    limits: &Limits,
    number: u8,
    length: impl Into<Option<usize>>,
    body: Body,
) -> Result<usize, &'static str> {
    let length = length.into().map(usize::into);
    let headers = length.map(|length: HeaderValue| (http::header::CONTENT_LENGTH, length));
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.headers.extend(headers);
    let received = body::read(&parts, body, Some(source(number)), limits).await;
    received
        .map(|received| received.bytes.len())
        .map_err(|answer| answer.code())
}

/// Starts senders of stalled bodies, each of which begins again when its body is refused.
fn attack(limits: &Arc<Limits>, count: usize, number: u8) -> JoinSet<()> {
    attack_with(limits, count, move |_| number, Some(26_000_000), stalled)
}

/// Starts senders of such bodies with this length, each of which begins again when its body is refused.
fn attack_with(
    limits: &Arc<Limits>,
    count: usize,
    number: impl Fn(usize) -> u8,
    length: Option<usize>,
    body: impl Fn() -> Body + Clone + Send + 'static,
) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    for sender in 0..count {
        let (limits, number, body) = (Arc::clone(limits), number(sender), body.clone());
        attackers.spawn(async move {
            loop {
                read(&limits, number, length, body()).await.ok();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    attackers
}

/// Returns a body of single bytes, of which this many arrive in a second.
fn dripping(rate: u32) -> Body {
    let parts = stream::repeat(()).then(move |()| async move {
        tokio::time::sleep(Duration::from_secs(1) / rate).await;
        Ok::<_, std::io::Error>(Bytes::from_static(b" "))
    });
    Body::from_stream(parts)
}

#[tokio::test(start_paused = true)]
async fn large_bodies_over_a_slow_line_arrive() {
    let limits = limits();
    for _ in 0..3 {
        let body = read(&limits, 1, 25 * MIB, slow(25 * MIB)).await;
        assert_eq!(body, Ok(25 * MIB));
    }
    // The second of two at a time waits for the first one.
    for length in [Some(25 * MIB), None] {
        let one = || read(&limits, 1, length, slow(25 * MIB));
        assert_eq!(tokio::join!(one(), one()), (Ok(25 * MIB), Ok(25 * MIB)));
    }
}

#[tokio::test(start_paused = true)]
async fn stalled_bodies_do_not_delay_small_ones() {
    for count in [3, 40] {
        let limits = Arc::new(limits());
        // All have the same address, as behind a proxy.
        let _attackers = attack(&limits, count, 1);
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let started = Instant::now();
            let small = read(&limits, 1, 8192, Body::from(vec![b' '; 8192]));
            assert_eq!(small.await, Ok(8192));
            assert_eq!(started.elapsed(), Duration::ZERO);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stalled_bodies_do_not_end_a_large_one_of_another_address() {
    let limits = Arc::new(limits());
    let _attackers = attack(&limits, 40, 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..3 {
        let started = Instant::now();
        let body = read(&limits, 2, 25 * MIB, slow(25 * MIB)).await;
        assert_eq!(body, Ok(25 * MIB));
        let taken = started.elapsed().as_secs_f64();
        assert!(taken < 15.0, "{taken}");
    }
}

#[tokio::test(start_paused = true)]
async fn small_bodies_that_do_not_arrive_delay_others_by_a_tenth_of_a_second() {
    let one: fn(usize) -> u8 = |_| 1;
    let many: fn(usize) -> u8 = |sender| u8::try_from(sender % 250).unwrap_or_default();
    for (number, length, rate) in [
        (one, Some(60_000), 1),
        (many, Some(60_000), 1),
        (many, None, 50),
    ] {
        let limits = Arc::new(limits());
        let _attackers = attack_with(&limits, 700, number, length, move || dripping(rate));
        tokio::time::sleep(Duration::from_millis(1200)).await;
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(77)).await;
            let started = Instant::now();
            let small = read(&limits, 255, 8192, Body::from(vec![b' '; 8192]));
            assert_eq!(small.await, Ok(8192));
            let taken = started.elapsed();
            assert!(taken < Duration::from_millis(110), "{length:?} {taken:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_wait_for_much_memory_do_not_delay_small_ones() {
    let limits = Arc::new(limits());
    let _attackers = attack_with(&limits, 100, |_| 1, None, || slow(128 << 10));
    let _stalled = attack(&limits, 40, 1);
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(77)).await;
        let started = Instant::now();
        let small = read(&limits, 1, 8192, Body::from(vec![b' '; 8192]));
        assert_eq!(small.await, Ok(8192));
        let taken = started.elapsed();
        assert!(taken < Duration::from_millis(210), "{taken:?}");
    }
}

#[tokio::test]
async fn a_signed_webhook_is_accepted_while_strangers_hold_the_memory() {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let forged = |number: u8| {
        let mut request = Request::post(PATH)
            .header(SIGNATURE_HEADER, sign(b"other", BODY.as_bytes()))
            .header("content-length", "26000000")
            .body(stalled())
            .unwrap();
        let peer = Peer(SocketAddr::from(([192, 0, 2, number], 1)));
        request.extensions_mut().insert(peer);
        fixture.send(request)
    };
    let strangers = futures::future::join_all((0..10).map(forged));
    let healthy = async {
        while fixture.metrics.body_bytes().get() < 7 << 20 {
            tokio::task::yield_now().await;
        }
        let body = json!({"ref": "v1", "x": "x".repeat(8000)});
        let sent = fixture.post(PATH, &body);
        tokio::time::timeout(Duration::from_secs(1), sent).await
    };
    let reply = tokio::select! {
        _ = strangers => panic!("the strangers were answered"),
        reply = healthy => reply.unwrap(),
    };
    assert_eq!(reply.status, StatusCode::ACCEPTED);
}
