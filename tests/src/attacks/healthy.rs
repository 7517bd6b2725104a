//! A healthy sender: signed webhooks at a fixed rate, half of them on a kept connection and half on new ones.

use std::time::Duration;

use anyhow::Result;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::list::{HEALTHY_PATH, request};
use crate::SECRET;
use crate::bench::load::exchange;
use stoker::auth::{SIGNATURE_HEADER, sign};

/// The webhooks per second on each kind of connection.
const RATE: u32 = 10;
/// The time limit of a sender.
const LIMIT: Duration = Duration::from_secs(10);

/// The latencies of the deliveries, sorted. A delivery that failed counts with the time until it failed.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    taken: Vec<Duration>,
    /// The number of deliveries that were not answered with 202.
    pub(super) failed: usize,
}

impl Latencies {
    #[cfg(test)]
    pub(super) fn of(taken: &[Duration]) -> Self {
        Self {
            taken: taken.to_vec(),
            failed: 0,
        }
    }

    /// Returns the latency that this share of the deliveries did not exceed.
    pub(super) fn percentile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let index = (self.taken.len() as f64 * share) as usize;
        let last = self.taken.len().saturating_sub(1);
        self.taken.get(index.min(last)).copied().unwrap_or_default()
    }
}

/// Sends webhooks for some time. A latency is measured from the time at which the webhook was due.
pub(super) async fn send(port: u16, time: Duration) -> Latencies {
    let start = Instant::now();
    let kept = lane(port, start, time, true);
    // The two kinds alternate.
    let new = lane(port, start + Duration::from_secs(1) / RATE / 2, time, false);
    let (mut kept, new) = tokio::join!(kept, new);
    kept.taken.extend(new.taken);
    kept.taken.sort_unstable();
    kept.failed += new.failed;
    kept
}

async fn lane(port: u16, start: Instant, time: Duration, is_kept: bool) -> Latencies {
    let mut latencies = Latencies::default();
    let mut connection = None;
    let total = u32::try_from(time.as_secs()).unwrap_or(u32::MAX) * RATE;
    for number in 0..total {
        let due = start + Duration::from_secs(1) / RATE * number;
        sleep_until(due).await;
        let answer = timeout(LIMIT, deliver(port, &mut connection, number)).await;
        latencies.taken.push(due.elapsed());
        if !matches!(answer, Ok(Ok(202))) {
            latencies.failed += 1;
            connection = None;
        }
        if !is_kept {
            connection = None;
        }
    }
    latencies
}

/// Sends a webhook on the connection, or on a new one if there is none, and returns the status.
async fn deliver(port: u16, connection: &mut Option<TcpStream>, number: u32) -> Result<u16> {
    let body = format!(r#"{{"ref":"v0.0.{number}"}}"#).into_bytes();
    let signature = sign(SECRET.as_bytes(), &body);
    let request = request(HEALTHY_PATH, &[(SIGNATURE_HEADER, &signature)], &body);
    let stream = if let Some(stream) = connection {
        stream
    } else {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        connection.insert(stream)
    };
    exchange(stream, &request, &mut Vec::new()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_latencies() {
        let taken: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let latencies = Latencies::of(&taken);
        assert_eq!(latencies.percentile(0.5), Duration::from_millis(101));
        assert_eq!(latencies.percentile(0.99), Duration::from_millis(199));
        assert_eq!(Latencies::default().percentile(0.5), Duration::ZERO);
    }
}
