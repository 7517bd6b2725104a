//! Tests of HTTP/2 with a client that sees each frame (RFC 9113).

use axum::routing::post;
use bytes::Bytes;
use tokio::time::timeout;

use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// The flag of the last frame of a stream, and of the answer to a ping.
const END: u8 = 1;
/// Longer than every test.
const PATIENCE: Duration = Duration::from_mins(2);

/// A frame that the server sent.
struct Received {
    kind: u8,
    flags: u8,
    stream: u8,
    payload: Vec<u8>,
}

/// Runs a client of a server with this number of connections.
async fn with_server<T>(
    connections: usize,
    client: impl AsyncFnOnce(SocketAddr, ServerMetrics) -> T,
) -> T {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new()
        .route("/", get(async || "ok"))
        .route("/closing", get(async || ([("connection", "close")], "no")))
        .route("/length", post(async |body: Bytes| body.len().to_string()))
        .layer(axum::extract::DefaultBodyLimit::disable());
    // Refuses a request, and reads its body behind the answer.
    let refuse = async |body: axum::body::Body| {
        tokio::spawn(axum::body::to_bytes(body, usize::MAX));
        ([("connection", "close")], "no")
    };
    let routes = routes.route("/refused", post(refuse));
    let metrics = ServerMetrics::default();
    let options = Options {
        metrics: metrics.clone(),
        connections: Some(connections),
        ..Options::default()
    };
    let serving = serve(listener, routes, options, CancellationToken::new());
    tokio::select! {
        () = serving => panic!("the server ended"),
        ended = timeout(PATIENCE, client(address, metrics)) => ended.unwrap(),
    }
}

/// Returns the next frame, or `None` at the end of the connection. Answers pings.
async fn receive(stream: &mut TcpStream) -> Option<Received> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.ok()?;
        let [_, _, _, kind, flags, .., id] = head;
        if kind == PING && flags & END == 0 {
            head[4] = END;
            stream.write_all(&[&head, &*payload].concat()).await.ok()?;
            continue;
        }
        return Some(Received {
            kind,
            flags,
            stream: id,
            payload,
        });
    }
}

/// Waits for the end of an answer, and returns its body.
async fn body(stream: &mut TcpStream) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let frame = receive(stream).await.unwrap();
        assert_ne!(frame.kind, GO_AWAY, "the answer is not complete");
        if frame.kind == DATA {
            body.extend(frame.payload);
        }
        if matches!(frame.kind, DATA | HEADERS) && frame.flags & END != 0 {
            return body;
        }
    }
}

/// Waits until the connection ends, and returns the time until the server announced it.
async fn end(stream: &mut TcpStream) -> Duration {
    let (started, mut announced) = (Instant::now(), None);
    while let Some(frame) = receive(stream).await {
        if frame.kind == GO_AWAY && announced.is_none() {
            announced = Some(started.elapsed());
        }
    }
    announced.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_can_read_the_answer_that_ends_its_connection() {
    with_server(1, async |address, metrics| {
        let mut stream = connect(address, &http2_request("/closing")).await;
        assert_eq!(body(&mut stream).await, b"no");
        let answered = Instant::now();
        let announced = end(&mut stream).await;
        assert!(
            (READ_TIME..READ_TIME * 2).contains(&announced),
            "{announced:?}"
        );
        assert!(answered.elapsed() < READ_TIME * 2);
        // Meanwhile, the connection makes room for another one.
        let mut stream = connect(address, &http2_request("/closing")).await;
        assert_eq!(body(&mut stream).await, b"no");
        let mut other = connect(address, b"GET / HTTP/1.0\r\n\r\n").await;
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        assert_eq!(metrics.count(Closed::Replaced), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_still_sends_its_body_can_read_the_answer() {
    with_server(1, async |address, _| {
        let mut headers = vec![0x83, 0x86, 4, 8];
        headers.extend(b"/refused\x01\x01x");
        let size = u8::try_from(headers.len()).unwrap();
        let head = [0, 0, size, HEADERS, 4, 0, 0, 0, 1];
        let mut stream = connect(address, &[PREFACE, SETTINGS, &head, &headers].concat()).await;
        assert_eq!(body(&mut stream).await, b"no");
        tokio::time::sleep(READ_TIME * 2).await;
        let last = b"\0\0\x01\0\x01\0\0\0\x01 ";
        stream.write_all(last).await.unwrap();
        let announced = end(&mut stream).await;
        assert!(
            (READ_TIME..READ_TIME * 2).contains(&announced),
            "{announced:?}"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn requests_behind_an_answer_that_ends_the_connection_are_answered_for_a_while() {
    with_server(1, async |address, _| {
        let started = Instant::now();
        let mut stream = connect(address, &http2_request("/closing")).await;
        assert_eq!(body(&mut stream).await, b"no");
        for number in 1.. {
            let pause = tokio::time::sleep(Duration::from_millis(150));
            tokio::select! {
                () = pause => {}
                _ = end(&mut stream) => break,
            }
            let request = http2_headers(2 * number + 1, "/");
            stream.write_all(&request).await.unwrap();
            assert_eq!(body(&mut stream).await, b"ok");
        }
        assert_eq!(started.elapsed().as_secs(), CLOSING_TIME.as_secs());
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_frames_without_a_request_ends_its_connection() {
    with_server(8, async |address, metrics| {
        // Frames of settings, and the answers to pings.
        for flood in [SETTINGS, b"\0\0\x08\x06\x01\0\0\0\0pingpong"] {
            let mut stream = connect(address, &http2_request("/")).await;
            assert_eq!(body(&mut stream).await, b"ok");
            let before = metrics.count(Closed::Flood);
            let (mut reader, mut writer) = stream.split();
            let part = flood.repeat(1000);
            let write = async { while writer.write_all(&part).await.is_ok() {} };
            let mut answers = tokio::io::sink();
            let read = tokio::io::copy(&mut reader, &mut answers);
            tokio::select! {
                () = write => {}
                _ = read => {}
            }
            while metrics.count(Closed::Flood) == before {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    })
    .await;
}

/// Sends a body in frames as the windows of the server permit.
async fn send_body(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    const PART: usize = 16_000;
    // `POST` and `http` by their index, and the length of the body as a text (RFC 7541 §6).
    let mut headers = vec![0x83, 0x86, 4, 7];
    headers.extend(b"/length\x01\x01x");
    let size = u8::try_from(headers.len()).unwrap();
    let head = [0, 0, size, HEADERS, 4, 0, 0, 0, 3];
    stream
        .write_all(&[&head, &*headers].concat())
        .await
        .unwrap();
    // The windows of the stream and of the connection.
    let mut windows = [WINDOW_BYTES as usize; 2];
    let mut rest = length;
    while rest > 0 {
        let part = PART.min(rest);
        if windows.iter().all(|window| *window >= part) {
            rest -= part;
            windows = windows.map(|window| window - part);
            let bytes = u16::try_from(part).unwrap().to_be_bytes();
            let head = [0, bytes[0], bytes[1], DATA, u8::from(rest == 0), 0, 0, 0, 3];
            let frame = [&head, &*vec![b' '; part]].concat();
            stream.write_all(&frame).await.unwrap();
            continue;
        }
        let frame = receive(stream).await.unwrap();
        if frame.kind == WINDOW_UPDATE {
            let bytes: [u8; 4] = frame.payload.try_into().unwrap();
            windows[usize::from(frame.stream == 0)] += u32::from_be_bytes(bytes) as usize;
        }
    }
    body(stream).await
}

#[tokio::test]
async fn a_connection_that_is_used_is_not_a_flood() {
    const BYTES: usize = 4 << 20;
    with_server(8, async |address, metrics| {
        let mut stream = connect(address, &http2_request("/")).await;
        assert_eq!(body(&mut stream).await, b"ok");
        let length = send_body(&mut stream, BYTES).await;
        assert_eq!(length, BYTES.to_string().as_bytes());
        // Two pings a second for hours.
        let pings = b"\0\0\x08\x06\0\0\0\0\0pingpong".repeat(20_000);
        let (mut reader, mut writer) = stream.split();
        let read = async {
            let mut answers = vec![0; pings.len()];
            reader.read_exact(&mut answers).await.unwrap();
        };
        let write = async { writer.write_all(&pings).await.unwrap() };
        futures::future::join(read, write).await;
        stream.write_all(&http2_headers(5, "/")).await.unwrap();
        assert_eq!(body(&mut stream).await, b"ok");
        let body = format!("POST /length HTTP/1.1\r\nhost: x\r\ncontent-length: {BYTES}\r\n\r\n");
        let padding = "x".repeat(2000);
        let request = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {padding}\r\n\r\n");
        let last = b"GET / HTTP/1.0\r\n\r\n";
        let (first, rest) = (vec![b' '; BYTES], request.repeat(1000));
        let requests = [body.as_bytes(), &first, rest.as_bytes(), last].concat();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let mut answers = String::new();
        let write = async { writer.write_all(&requests).await.unwrap() };
        let read = async { reader.read_to_string(&mut answers).await.unwrap() };
        futures::future::join(read, write).await;
        assert_eq!(answers.matches(" 200 OK").count(), 1002);
        assert_eq!(metrics.count(Closed::Flood), 0);
    })
    .await;
}
