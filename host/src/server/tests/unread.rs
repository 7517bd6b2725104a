//! Tests of clients that do not take their answers.

use tokio::time::timeout;

use super::*;

/// Settings with an initial window of zero (RFC 9113 §6.5.2): the server may send headers, and no bytes of a body.
const CLOSED_WINDOW: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
/// Longer than every limit.
const PATIENCE: Duration = Duration::from_mins(10);

/// Returns HTTP/2 requests whose answers cannot be sent.
fn unread(requests: u8) -> Vec<u8> {
    let streams = (0..requests).map(|index| 2 * index + 1);
    let requests = streams.flat_map(|stream| http2_headers(stream, "/"));
    [PREFACE, CLOSED_WINDOW]
        .concat()
        .into_iter()
        .chain(requests)
        .collect()
}

/// Returns a server with this number of connections.
fn server(connections: usize) -> (SocketAddr, ServerMetrics, impl Future<Output = ()>) {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let slow = async || tokio::time::sleep(Duration::from_secs(1)).await;
    let routes = Router::new()
        .route("/", get(async || "ok"))
        .route("/slow", get(slow))
        .route("/large", get(async || vec![b'x'; 16 << 20]));
    let metrics = ServerMetrics::default();
    let options = Options {
        metrics: metrics.clone(),
        connections: Some(connections),
        ..Options::default()
    };
    let serving = serve(listener, routes, options, CancellationToken::new());
    (address, metrics, serving)
}

/// Answers the pings of a server until it closes the connection.
async fn answer_pings(stream: &mut TcpStream) -> std::io::Result<()> {
    const PING: u8 = 6;
    const ACK: u8 = 1;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await?;
        if head[3] == PING && head[4] & ACK == 0 {
            head[4] = ACK;
            stream.write_all(&[&head, &*payload].concat()).await?;
        }
    }
}

#[tokio::test]
async fn clients_that_take_no_answer_do_not_shut_out_others() {
    let (address, metrics, serving) = server(2);
    let client = async {
        let mut first = connect(address, &unread(1)).await;
        let mut second = connect(address, &unread(16)).await;
        let healthy = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let mut stream = connect(address, b"GET / HTTP/1.0\r\n\r\n").await;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::select! {
            answer = healthy => answer,
            (..) = futures::future::join(answer_pings(&mut first), answer_pings(&mut second)) => {
                panic!("both connections ended")
            }
        }
    };
    tokio::select! {
        () = serving => panic!("the server ended"),
        answer = timeout(Duration::from_secs(10), client) => {
            assert!(answer.unwrap().starts_with("HTTP/1.0 200"));
        }
    }
    assert_eq!(metrics.count(Closed::Replaced), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_ends_its_connection_in_time() {
    let (address, metrics, serving) = server(8);
    let client = async {
        for requests in [1, 16] {
            let started = Instant::now();
            let mut stream = connect(address, &unread(requests)).await;
            answer_pings(&mut stream).await.unwrap_err();
            assert_eq!(started.elapsed().as_secs(), ANSWER_TIME.as_secs());
        }
        assert_eq!(metrics.count(Closed::Unread), 2);
        // The answer is larger than all buffers. HTTP/1.1 gets no further request until it is sent.
        let started = Instant::now();
        let request = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2);
        let stream = connect(address, &request).await;
        while metrics.count(Closed::Silent) == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(started.elapsed().as_secs(), IDLE_TIME.as_secs() + 1);
        drop(stream);
    };
    tokio::select! {
        () = serving => panic!("the server ended"),
        ended = timeout(PATIENCE, client) => ended.unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_for_a_place_is_counted() {
    let (address, metrics, serving) = server(1);
    let client = async {
        let request = b"GET /slow HTTP/1.0\r\n\r\n";
        let first = connect(address, request).await;
        // A connection whose request has not arrived would be replaced.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut streams = [first, connect(address, request).await];
        for stream in &mut streams {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        }
    };
    tokio::select! {
        () = serving => panic!("the server ended"),
        ended = timeout(PATIENCE, client) => ended.unwrap(),
    }
    assert_eq!(metrics.delays(), 1);
}
