//! A load generator: many requests on few connections. Each request waits for the previous answer of its connection. A
//! connection that the server closes is opened again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The result of a load.
pub struct Outcome {
    /// The times from the first byte sent to the last byte received, sorted.
    pub latencies: Vec<Duration>,
    /// The number of answers with another status than the expected one.
    pub others: usize,
    /// The time of the whole load.
    pub time: Duration,
}

impl Outcome {
    /// Returns the latency that this share of the requests did not exceed.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let index = ((self.latencies.len() as f64 * share) as usize)
            .min(self.latencies.len().saturating_sub(1));
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

/// Sends `total` requests on a number of connections, and repeats `requests` in turn. The answers should have this
/// status.
pub async fn run(
    port: u16,
    requests: Vec<Vec<u8>>,
    total: usize,
    connections: usize,
    expected: u16,
) -> Result<Outcome> {
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
        tasks.spawn(async move {
            let mut stream = connect(port).await?;
            let (mut latencies, mut others) = (Vec::new(), 0);
            let mut buffer = Vec::with_capacity(4096);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return anyhow::Ok((latencies, others));
                }
                let started = Instant::now();
                let request = &requests[number % requests.len()];
                let status = exchange(&mut stream, request, &mut buffer).await?;
                latencies.push(started.elapsed());
                others += usize::from(status != expected);
                if is_last(&buffer) {
                    stream = connect(port).await?;
                }
            }
        });
    }
    gather(tasks).await
}

async fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Returns whether the server closes the connection after this answer.
fn is_last(answer: &[u8]) -> bool {
    answer
        .windows(b"connection: close\r\n".len())
        .any(|line| line.eq_ignore_ascii_case(b"connection: close\r\n"))
}

/// The number of connections of a paced load, which is enough for the requests at one time.
const LANES: u32 = 16;

/// Sends the requests in turn at a rate per second, for some time, without regard to the answers.
///
/// A latency is measured from the time at which the request was due, so that it includes the stalls of a server.
pub async fn paced(
    port: u16,
    requests: Vec<Vec<u8>>,
    rate: u32,
    time: Duration,
) -> Result<Outcome> {
    let requests = Arc::new(requests);
    let period = Duration::from_secs(1) / rate;
    let start = tokio::time::Instant::now() + Duration::from_millis(20);
    let mut tasks = JoinSet::new();
    for lane in 0..LANES {
        let requests = Arc::clone(&requests);
        tasks.spawn(async move {
            let mut stream = connect(port).await?;
            let (mut latencies, mut others) = (Vec::new(), 0);
            let mut buffer = Vec::with_capacity(4096);
            for number in (lane..).step_by(LANES as usize) {
                let due = period * number;
                if due > time {
                    break;
                }
                tokio::time::sleep_until(start + due).await;
                let request = &requests[number as usize % requests.len()];
                let status = exchange(&mut stream, request, &mut buffer).await?;
                latencies.push((start + due).elapsed());
                others += usize::from(status != 202);
            }
            anyhow::Ok((latencies, others))
        });
    }
    gather(tasks).await
}

async fn gather(mut tasks: JoinSet<Result<(Vec<Duration>, usize)>>) -> Result<Outcome> {
    let started = Instant::now();
    let mut outcome = Outcome {
        latencies: Vec::new(),
        others: 0,
        time: Duration::ZERO,
    };
    while let Some(task) = tasks.join_next().await {
        let (latencies, others) = task??;
        outcome.latencies.extend(latencies);
        outcome.others += others;
    }
    outcome.latencies.sort_unstable();
    outcome.time = started.elapsed();
    Ok(outcome)
}

/// Sends a request, and returns the status of its answer.
pub(crate) async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<u16> {
    stream.write_all(request).await?;
    answer(stream, buffer).await
}

/// Reads an answer with a `Content-Length`, and returns its status.
pub(crate) async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16> {
    buffer.clear();
    loop {
        ensure!(stream.read_buf(buffer).await? > 0, "the connection ended");
        let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
        let length = text
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let length: usize = length
            .context("an answer without a length")?
            .trim()
            .parse()?;
        if buffer.len() >= head + 4 + length {
            return Ok(text.get(9..12).context("no status")?.parse()?);
        }
    }
}
