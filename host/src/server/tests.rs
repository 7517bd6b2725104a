use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::telemetry::tests::Captured;

/// Returns a connection on which these bytes were sent.
async fn connect(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Starts a server, sends bytes, and returns the answer and the time until the connection was closed.
async fn exchange(bytes: &[u8], options: Options) -> (Vec<u8>, Duration) {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let closing = async || ([("connection", "close")], "no");
    let routes = Router::new()
        .route("/", get(async || "ok"))
        .route("/closing", get(closing));
    let serving = serve(listener, routes, options, CancellationToken::new());
    let started = Instant::now();
    let client = async {
        let mut stream = connect(address, bytes).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        answer
    };
    tokio::select! {
        () = serving => panic!("the server ended"),
        answer = client => (answer, started.elapsed()),
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty frame of the settings (RFC 9113 §6.5).
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_complete_request_is_closed_in_time() {
    let handshake = [PREFACE, SETTINGS].concat();
    let header = b"GET / HTTP/1.1\r\nhost: ";
    for bytes in [&b""[..], b"PRI", header, PREFACE, &handshake] {
        let (_, time) = exchange(bytes, Options::default()).await;
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(time.as_secs(), HEADER_TIME.as_secs(), "{text:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_closed_some_time_after_its_last_request() {
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let (answer, time) = exchange(request, Options::default()).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(time.as_secs(), HEADER_TIME.as_secs());
    let options = || Options {
        idle_time: Some(Duration::from_mins(2)),
        ..Options::default()
    };
    let (answer, time) = exchange(request, options()).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(time.as_secs(), 120);
    // It is not the limit for the first request.
    let (_, time) = exchange(b"GET / HTTP/1.1\r\n", options()).await;
    assert_eq!(time.as_secs(), HEADER_TIME.as_secs());
}

/// Returns an HTTP/2 request without a body: a frame of headers that ends its stream (RFC 9113 §6.2).
fn http2_request(path: &str) -> Vec<u8> {
    [PREFACE, SETTINGS, &http2_headers(1, path)].concat()
}

fn http2_headers(stream: u8, path: &str) -> Vec<u8> {
    // `GET` and `http` by their index, the path and the authority as texts (RFC 7541 §6).
    let mut headers = vec![0x82, 0x86];
    for (name, text) in [(4, path), (1, "x")] {
        headers.extend([name, u8::try_from(text.len()).unwrap()]);
        headers.extend(text.as_bytes());
    }
    let length = u8::try_from(headers.len()).unwrap();
    let frame = [0, 0, length, 1, 5, 0, 0, 0, stream];
    [&frame, &*headers].concat()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_closes_its_connection_does_so_in_http_2_too() {
    // The length, the type, the flags and the stream of the frame that ends a connection (RFC 9113 §6.8).
    let is_ended = |answer: &[u8]| {
        let mut rest = answer;
        while let [a, b, c, kind, _, _, _, _, _, body @ ..] = rest {
            if *kind == 7 {
                return true;
            }
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            rest = body.get(length..).unwrap_or_default();
        }
        false
    };
    let (answer, time) = exchange(&http2_request("/closing"), Options::default()).await;
    assert!(is_ended(&answer), "{answer:?}");
    // This client does not answer pings.
    assert_eq!(time.as_secs(), HEADER_TIME.as_secs());
    let (_, time) = exchange(&http2_request("/"), Options::default()).await;
    assert!(time > HEADER_TIME, "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_ends_its_side_after_the_request_gets_the_answer() {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let handle = async |body: axum::body::Bytes| {
        tokio::time::sleep(Duration::from_secs(5)).await;
        body
    };
    let routes = Router::new().route("/", axum::routing::post(handle));
    let serving = serve(
        listener,
        routes,
        Options::default(),
        CancellationToken::new(),
    );
    let client = async {
        for (version, length, status) in [("1.1", 4, "200"), ("1.0", 4, "200"), ("1.1", 5, "400")] {
            let request =
                format!("POST / HTTP/{version}\r\nhost: x\r\ncontent-length: {length}\r\n\r\nbody");
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let started = Instant::now();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(
                answer.starts_with(&format!("HTTP/{version} {status} ")),
                "{request}: {answer}"
            );
            // The connection is closed behind the answer.
            assert!(started.elapsed() < HEADER_TIME, "{request}");
        }
    };
    tokio::select! {
        () = serving => panic!("the server ended"),
        () = client => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_valid_http_has_an_answer_without_a_body() {
    let start = "POST / HTTP/1.1\r\nhost: x\r\n";
    let large = format!("{start}x: {}\r\n\r\n", "x".repeat(HEADER_BYTES as usize));
    let many = format!("{start}{}\r\n", "x: y\r\n".repeat(101));
    let length = format!("{start}content-length: x\r\n\r\n");
    let name = format!("{start}a b: c\r\n\r\n");
    for (request, status) in [
        (large, "431"),
        (many, "431"),
        (length, "400"),
        (name, "400"),
    ] {
        let (answer, time) = exchange(request.as_bytes(), Options::default()).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(time < HEADER_TIME);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tls_handshake_is_bounded_in_time() {
    let directory = tempfile::TempDir::new().unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: directory.path().join("tls.crt"),
        key: directory.path().join("tls.key"),
    };
    std::fs::write(&files.certificate, certified.cert.pem()).unwrap();
    std::fs::write(&files.key, certified.signing_key.serialize_pem()).unwrap();
    let tls = Arc::new(Tls::load(files).unwrap());
    let options = || Options {
        tls: Some(Arc::clone(&tls)),
        ..Options::default()
    };
    let (_, time) = exchange(b"\x16\x03\x01", options()).await;
    assert_eq!(time.as_secs(), HEADER_TIME.as_secs());
    let captured = Captured::start("info");
    let (answer, time) = exchange(b"GET / HTTP/1.1\r\n\r\n", options()).await;
    assert!(!answer.starts_with(b"HTTP"));
    assert!(time < HEADER_TIME);
    let lines = captured.take();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["client"], "127.0.0.1");
    let message = lines[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("a client does not use TLS"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_frames_of_a_client_are_not_lines_of_the_log() {
    // The answer to a ping that was not sent (RFC 9113 §6.7).
    let frame = b"\0\0\x08\x06\x01\0\0\0\0pingpong";
    let bytes = [PREFACE, SETTINGS, &frame.repeat(100)].concat();
    for (filter, number) in [("info", 0), ("debug", 0), ("info,h2=warn", 100)] {
        let captured = Captured::start(filter);
        exchange(&bytes, Options::default()).await;
        let lines = captured.take();
        let of_h2 = lines.iter().filter(|line| {
            let target = line["target"].as_str();
            target.is_some_and(|target| target.starts_with("h2"))
        });
        assert_eq!(of_h2.count(), number, "{filter}");
    }
}

mod http2;
mod unread;
