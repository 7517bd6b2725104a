//! The receiver: `POST /webhook/{namespace}/{name}`, from the headers to the answer.
//!
//! The object is found, the sender verified, the ref detected, the request submitted. This module knows neither `wasmtime` nor Kubernetes; the types of the web server end here.

mod answer;
mod body;
mod handler;
mod metrics;
mod record;
mod router;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::auth::Authenticator;
use crate::plugin::Detector;
use crate::request::Requests;

pub use metrics::ReceiverMetrics;
pub use router::router;

/// What the receiver works with.
pub struct Receiver {
    /// Verifies the senders.
    pub auth: Arc<Authenticator>,
    /// Asks the plugins.
    pub detector: Arc<Detector>,
    /// Finds the objects and stores the requests.
    pub requests: Arc<dyn Requests>,
    /// The metrics.
    pub metrics: ReceiverMetrics,
    /// The bounds of a delivery.
    pub bounds: Bounds,
}

/// How much of a delivery is read.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The bytes of a body.
    pub body_bytes: usize,
    /// The time from the last header to the last byte of the body.
    pub body_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            body_time: Duration::from_secs(10),
        }
    }
}
