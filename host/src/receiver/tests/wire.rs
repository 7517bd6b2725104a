//! Requests as bytes on a connection, with what the HTTP library makes of them.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::server::{Options, listen, serve};

/// Runs a client of a receiver.
async fn with_receiver<T>(client: impl AsyncFnOnce(TcpStream) -> T) -> T {
    let fixture = Fixture::new(with_object(Policy::default())).await;
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = serve(listener, fixture.router, Options::default(), shutdown);
    let client = async { client(TcpStream::connect(address).await.unwrap()).await };
    tokio::select! {
        () = serving => panic!("the server ended"),
        ended = client => ended,
    }
}

/// Sends a whole request of HTTP/1, and returns the status, the head and the body of the answer.
async fn answer(request: &[u8]) -> (u16, String, Value) {
    let answer = with_receiver(async |mut stream| {
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // The receiver does not read what follows a malformed chunk, and TCP may reset the connection.
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    })
    .await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), serde_json::from_str(body).unwrap())
}

fn request(version: &str, path: &str, lines: &str, body: &str) -> Vec<u8> {
    let signature = sign(SECRET.as_bytes(), body.as_bytes());
    format!("POST {path} HTTP/{version}\r\n{SIGNATURE_HEADER}: {signature}\r\n{lines}\r\n{body}")
        .into_bytes()
}

#[tokio::test]
async fn chunks_that_cannot_be_read_are_told_from_a_body_that_ends() {
    let long = "x".repeat(17_000);
    let chunks = "transfer-encoding: chunked\r\n";
    for (lines, body, reason) in [
        (chunks, "x\r\n", "invalid-chunks"),
        (chunks, "2\n{}\r\n0\r\n\r\n", "invalid-chunks"),
        (chunks, &format!("2;{long}\r\n"), "invalid-chunks"),
        (chunks, &format!("0\r\nx: {long}\r\n"), "invalid-chunks"),
        (chunks, "2\r\n{", "body-incomplete"),
        ("content-length: 2\r\n", "{", "body-incomplete"),
    ] {
        let request = request("1.1", PATH, &format!("host: x\r\n{lines}"), body);
        let text = &body[..body.len().min(20)];
        let (status, head, answer) = answer(&request).await;
        assert_eq!(status, 400, "{text}: {answer}");
        assert_eq!(answer["reason"], reason, "{text}");
        assert!(head.contains("connection: close"), "{text}: {head}");
        let message = answer["message"].as_str().unwrap();
        let is_announced = lines.starts_with("content-length");
        assert_eq!(message.contains("announced"), is_announced, "{text}");
    }
}

#[tokio::test]
async fn a_request_has_one_valid_host() {
    let body = "{\"ref\":\"v1\"}";
    for (version, hosts, status) in [
        ("1.1", &[][..], 400),
        ("1.1", &["x", "x"], 400),
        ("1.1", &["a b/c"], 400),
        ("1.1", &["a/b"], 400),
        ("1.1", &["user@x"], 400),
        ("1.0", &["x", "y"], 400),
        ("1.0", &[], 202),
        ("1.1", &["x"], 202),
        ("1.1", &[""], 202),
        ("1.1", &["under_score.example:8080"], 202),
        ("1.1", &["[::1]:80"], 202),
    ] {
        let hosts = hosts.iter().map(|host| format!("host: {host}\r\n"));
        let length = format!("content-length: {}\r\n", body.len());
        let lines = hosts.collect::<String>() + &length + "connection: close\r\n";
        let (answered, head, answer) = answer(&request(version, PATH, &lines, body)).await;
        assert_eq!(answered, status, "{version} {lines}");
        assert!(status == 202 || version == "1.0" || head.contains("connection: close"));
        let is_refused = answer["reason"] == "invalid-host";
        assert_eq!(is_refused, status == 400, "{answer}");
    }
}

#[tokio::test]
async fn a_path_may_be_percent_encoded() {
    let body = "{\"ref\":\"v1\"}";
    let lines = format!(
        "host: x\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    for (path, status) in [
        ("/webhook/plants/n%6frth", 202),
        ("/w%65bhook/plants/north", 202),
        ("/w%65bhook/plants/n%6frth", 202),
        // It is decoded once.
        ("/w%2565bhook/plants/north", 404),
        ("/w%65bhook/plants%2fnorth", 404),
        ("/w%65bhook/%ff/north", 404),
        ("/other/plants/north", 404),
    ] {
        let (answered, ..) = answer(&request("1.1", path, &lines, body)).await;
        assert_eq!(answered, status, "{path}");
    }
    let text = "GET /w%65bhook/plants/north HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (status, _, answer) = answer(text.as_bytes()).await;
    assert_eq!(status, 405);
    assert_eq!(answer["reason"], "wrong-method");
}

/// Returns a frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [0, length[0], length[1], kind, flags, 0, 0, 0, stream];
    [&head, payload].concat()
}

/// Returns the start of a connection and the headers of a signed webhook whose sender expects the status 100.
fn expecting(body: &str) -> Vec<u8> {
    let signature = sign(SECRET.as_bytes(), body.as_bytes());
    let mut headers = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", PATH),
        (SIGNATURE_HEADER, &*signature),
        ("expect", "100-continue"),
    ] {
        // Literals that are not indexed (RFC 7541 §6.2.2).
        headers.push(0);
        for text in [name, value] {
            headers.push(u8::try_from(text.len()).unwrap());
            headers.extend(text.as_bytes());
        }
    }
    let start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    [start, frame(4, 0, 0, &[]), frame(1, 4, 1, &headers)].concat()
}

/// Sends the body after a delay, unless the answer arrives before. Returns the body of the answer.
async fn expect(body: &str, delay: Duration) -> Value {
    with_receiver(async |mut stream| {
        stream.write_all(&expecting(body)).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let write = async {
            tokio::time::sleep(delay).await;
            let data = frame(0, 1, 1, body.as_bytes());
            writer.write_all(&data).await.unwrap();
            std::future::pending().await
        };
        let read = async {
            loop {
                let mut head = [0; 9];
                reader.read_exact(&mut head).await.unwrap();
                let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
                reader.read_exact(&mut payload).await.unwrap();
                if head[3] == 0 {
                    return serde_json::from_slice(&payload).unwrap();
                }
            }
        };
        tokio::select! {
            answer = write => answer,
            answer = read => answer,
        }
    })
    .await
}

#[tokio::test]
async fn a_sender_over_http_2_that_waits_for_100_is_answered() {
    let body = "{\"ref\":\"v1\"}";
    for (delay, reason) in [
        (Duration::ZERO, "requested"),
        (Duration::from_millis(500), "requested"),
        (Duration::from_mins(1), "expectation-failed"),
    ] {
        let answer = expect(body, delay).await;
        assert_eq!(answer["reason"], reason, "{delay:?}");
    }
}
