//! The receiver: `POST /webhook/{namespace}/{name}`, from the headers to the answer.
//!
//! The receiver finds the object, verifies the sender, detects the ref and submits the request. This module depends
//! neither on `wasmtime` nor on Kubernetes. Of the modules that handle a delivery, only this one uses the types of the
//! web server.

mod answer;
mod body;
mod budget;
mod buffer;
mod handler;
mod handshake;
mod limits;
mod metrics;
mod path_object;
mod rate;
mod record;
mod refusal_reads;
mod router;
mod source;
mod verify;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::auth::Authenticator;
use crate::plugin::Chain;
use crate::request::Requests;

pub use limits::{Bounds, Limits};
pub use metrics::ReceiverMetrics;
pub use refusal_reads::RefusalReads;
pub use router::router;
pub use source::{NetworkError, Networks};

/// The time between two reports of omitted log lines.
const OMITTED_PERIOD: Duration = Duration::from_secs(10);

/// The dependencies of the receiver.
pub struct Receiver {
    /// Verifies the senders.
    pub auth: Arc<Authenticator>,
    /// Calls the plugins.
    pub chain: Arc<Chain>,
    /// Finds the objects and stores the requests.
    pub requests: Arc<dyn Requests>,
    /// The reads that refused deliveries cause.
    pub refusal_reads: RefusalReads,
    /// The metrics.
    pub metrics: ReceiverMetrics,
    /// The limits of deliveries.
    pub limits: Limits,
    /// The tasks of the deliveries whose senders are authenticated. They continue if the senders disconnect.
    pub deliveries: TaskTracker,
}

impl Receiver {
    /// Waits for the remaining deliveries after the last connection ended. Each has an answer within seconds.
    pub async fn drain(&self, deadline: Instant) {
        self.deliveries.close();
        let drained = tokio::time::timeout_at(deadline, self.deliveries.wait());
        if drained.await.is_err() {
            tracing::warn!("some webhooks were not handled before the shutdown, and were aborted");
        }
    }

    /// Reports the log lines about refusals that were omitted, from time to time.
    pub async fn report_omitted(&self) {
        loop {
            tokio::time::sleep(OMITTED_PERIOD).await;
            let omitted = self.limits.refusal_lines.take_omitted();
            if omitted > 0 {
                tracing::info!(
                    omitted,
                    "further webhooks were refused, without a log line for each"
                );
            }
        }
    }
}
