//! The receiver: `POST /webhook/{namespace}/{name}`, from the headers to the answer.
//!
//! The receiver finds the object, verifies the sender, detects the ref and submits the request. This module depends
//! neither on `wasmtime` nor on Kubernetes. The types of the web server are not used outside of it.

mod admission;
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

pub use admission::Looks;
pub use metrics::ReceiverMetrics;
pub use router::router;

/// The dependencies of the receiver.
pub struct Receiver {
    /// Verifies the senders.
    pub auth: Arc<Authenticator>,
    /// Calls the plugins.
    pub detector: Arc<Detector>,
    /// Finds the objects and stores the requests.
    pub requests: Arc<dyn Requests>,
    /// The reads that refused deliveries cause.
    pub looks: Looks,
    /// The metrics.
    pub metrics: ReceiverMetrics,
    /// The bounds of a delivery.
    pub bounds: Bounds,
}

/// The limits for reading a delivery.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The maximum size of a body in bytes.
    pub body_bytes: usize,
    /// The maximum time from the last header to the last byte of the body.
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
