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

fn length(bytes: usize) -> HeaderMap {
    HeaderMap::from_iter([(http::header::CONTENT_LENGTH, bytes.into())])
}

async fn read(
    limits: &Limits,
    number: u8,
    bytes: usize,
    body: Body,
) -> Result<usize, &'static str> {
    let received = body::read(&length(bytes), body, Some(source(number)), limits).await;
    received
        .map(|received| received.bytes.len())
        .map_err(|answer| answer.code())
}

/// Starts senders of stalled bodies, each of which begins again when its body is refused.
fn attack(limits: &Arc<Limits>, count: usize, number: u8) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    for _ in 0..count {
        let limits = Arc::clone(limits);
        attackers.spawn(async move {
            loop {
                read(&limits, number, 26_000_000, stalled()).await.ok();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
    attackers
}

#[tokio::test(start_paused = true)]
async fn large_bodies_over_a_slow_line_arrive() {
    let limits = limits();
    for _ in 0..3 {
        let body = read(&limits, 1, 25 * MIB, slow(25 * MIB)).await;
        assert_eq!(body, Ok(25 * MIB));
    }
    // The second of two at a time waits for the first one.
    let one = || read(&limits, 1, 25 * MIB, slow(25 * MIB));
    assert_eq!(tokio::join!(one(), one()), (Ok(25 * MIB), Ok(25 * MIB)));
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
