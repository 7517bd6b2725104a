//! The senders: webhooks at a fixed rate, each of which announces a tag of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use stoker::auth::{SIGNATURE_HEADER, sign};
use stoker_http_client::Trust;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::verdict::{Delivery, Reply};
use super::{NAMESPACE, OBJECTS, RATE, object_name};
use crate::SECRET;

/// The time limit of a sender, which is that of GitHub.
const SENDER_LIMIT: Duration = Duration::from_secs(10);
/// The time limit for a connection. A connection on this machine is accepted or refused at once.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// The prefix of the tags.
const TAG: &str = "v0.0.";

/// Returns the tag of a delivery.
pub(super) fn tag(number: u32) -> String {
    format!("{TAG}{number}")
}

/// Returns the number of the delivery that announced a ref.
pub(super) fn number_of(git_ref: &str) -> Option<u32> {
    git_ref.strip_prefix(TAG)?.parse().ok()
}

/// The senders of all objects.
pub(super) struct Load {
    client: reqwest::Client,
    ports: [u16; 2],
    start: Instant,
}

impl Load {
    /// Returns senders that use the replicas on these ports. All times are measured from `start`.
    pub(super) fn new(ports: [u16; 2], start: Instant) -> Result<Self> {
        let settings = |builder: reqwest::ClientBuilder| {
            builder
                .timeout(SENDER_LIMIT)
                .connect_timeout(CONNECT_LIMIT)
                .pool_idle_timeout(Duration::from_secs(5))
        };
        Ok(Self {
            client: stoker_http_client::build(&Trust::of_this_machine(), settings)?,
            ports,
            start,
        })
    }

    /// Sends all deliveries at their time, without regard to the answers to earlier ones.
    pub(super) async fn send(self: Arc<Self>, total: u32) -> Result<Vec<Delivery>> {
        let period = Duration::from_secs(1) / RATE;
        let mut tasks = JoinSet::new();
        for number in 0..total {
            sleep_until(self.start + period * number).await;
            let load = Arc::clone(&self);
            tasks.spawn(async move { load.deliver(number).await });
        }
        let mut deliveries = Vec::with_capacity(tasks.len());
        while let Some(delivery) = tasks.join_next().await {
            deliveries.push(delivery?);
        }
        deliveries.sort_by_key(|delivery| delivery.number);
        Ok(deliveries)
    }

    /// Sends a delivery to one replica, and to the other one if no answer arrives, as a Service does.
    async fn deliver(&self, number: u32) -> Delivery {
        let object = number as usize % OBJECTS;
        let body = body(number);
        let begun = self.start.elapsed();
        let mut cuts = Vec::new();
        let mut reply = Reply::None;
        for attempt in 0..2 {
            let port = self.ports[(number as usize + attempt) % self.ports.len()];
            match self.post(port, object, number, &body).await {
                Ok(answered) => {
                    reply = answered;
                    break;
                }
                Err(_) => cuts.push(self.start.elapsed()),
            }
        }
        Delivery {
            number,
            object,
            begun,
            ended: self.start.elapsed(),
            cuts,
            reply,
        }
    }

    async fn post(
        &self,
        port: u16,
        object: usize,
        number: u32,
        body: &[u8],
    ) -> reqwest::Result<Reply> {
        let object = object_name(object);
        let answer = self
            .client
            .post(format!(
                "http://127.0.0.1:{port}/webhook/{NAMESPACE}/{object}"
            ))
            .header("content-type", "application/json")
            .header("x-github-event", "release")
            .header("x-github-delivery", format!("delivery-{number}"))
            .header(SIGNATURE_HEADER, sign(SECRET.as_bytes(), body))
            .body(body.to_vec())
            .send()
            .await?;
        let status = answer.status().as_u16();
        let has_retry_after = answer.headers().contains_key("retry-after");
        // An answer that is cut is no answer.
        answer.bytes().await?;
        Ok(match status {
            200 | 202 => Reply::Done { status },
            503 => Reply::Unavailable { has_retry_after },
            _ => Reply::Other { status },
        })
    }
}

/// Returns a release of GitHub with the tag of the delivery. The release is published now, so that the releases of an
/// object are in order.
fn body(number: u32) -> Vec<u8> {
    let (tag, now) = (tag(number), jiff::Timestamp::now().to_string());
    let body = json!({
        "action": "published",
        "release": {
            "id": number, "tag_name": tag, "target_commitish": "main", "name": tag, "draft": false,
            "prerelease": false, "created_at": now, "published_at": now,
        },
        "repository": {"id": 611_204_988, "name": "plant", "full_name": "demo/plant", "private": true},
    });
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_delivery_is_in_its_tag() {
        assert_eq!(number_of(&tag(17)), Some(17));
        assert_eq!(number_of("main"), None);
    }
}
