//! Servers with configurable answers.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// An HTTP server that computes its answers with a function of the head of a request.
pub(crate) struct Fake {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Fake {
    /// Starts a server. If the function returns `None`, the request is never answered.
    pub(crate) async fn start(
        answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        let (address, task) = listen(move |mut stream| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move {
                while let Some(head) = read_request(&mut stream).await {
                    let reply = answer(&head);
                    log.lock().unwrap().push(head);
                    match reply {
                        Some(reply) => stream.write_all(&reply).await.unwrap(),
                        None => std::future::pending().await,
                    }
                }
            }
        })
        .await;
        Self {
            address,
            seen,
            task,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens on a free port, calls a function with each connection, and returns the address.
pub(crate) async fn listen<F: Future<Output = ()> + Send + 'static>(
    handle: impl Fn(TcpStream) -> F + Send + 'static,
) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    (address, task)
}

/// Reads the head of the next request. The body is dropped.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}

/// Returns an HTTP response.
pub(crate) fn reply(status: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

/// Returns the answer to a request for the advertisement.
pub(crate) fn advertisement(body: &[u8]) -> Vec<u8> {
    reply(
        "200 OK",
        "application/x-git-upload-pack-advertisement",
        body,
    )
}

/// Returns the answer to a request.
pub(crate) fn answer(body: &[u8]) -> Vec<u8> {
    reply("200 OK", "application/x-git-upload-pack-result", body)
}

/// Returns packets. Each text becomes a line, except for the special packets (`0000`).
pub(crate) fn packets(texts: &[&str]) -> Vec<u8> {
    let packet = |text: &&str| match *text {
        special @ ("0000" | "0001" | "0002") => special.to_owned(),
        text => format!("{:04x}{text}", text.len() + 4),
    };
    texts.iter().map(packet).collect::<String>().into_bytes()
}

/// Returns one packet of these bytes.
pub(crate) fn frame(bytes: &[u8]) -> Vec<u8> {
    [format!("{:04x}", bytes.len() + 4).as_bytes(), bytes].concat()
}
