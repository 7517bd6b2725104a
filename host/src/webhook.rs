//! The receiver: `POST /webhook/{namespace}/{name}` from the first byte to the answer.
//!
//! A delivery is read within bounds, then verified, then shown to the plugins, then requested on the object; each
//! step hands a type to the next that only it can make. The room knows neither `wasmtime` nor Kubernetes; the types
//! of the web server end here.

mod answer;
mod body;
mod handler;
mod metrics;
mod probes;
mod record;
mod router;
mod server;

use std::sync::Arc;
use std::time::Duration;

use crate::auth::Authenticator;
use crate::plugin::Detector;
use crate::request::RequestSink;

/// The routes of one port.
pub use axum::Router;
pub use metrics::ReceiverMetrics;
pub use probes::{Readiness, metrics_router, probe_router};
pub use router::router;
pub use server::{ServeError, listen, serve};

/// What the receiver works with.
pub struct Receiver {
    /// Who is let in.
    pub auth: Arc<Authenticator>,
    /// Who says what a delivery announces.
    pub detector: Arc<Detector>,
    /// Where that goes.
    pub requests: Arc<dyn RequestSink>,
    /// What is counted.
    pub metrics: ReceiverMetrics,
    /// How much of a delivery is taken.
    pub bounds: Bounds,
}

/// How much of a delivery is taken before anything else is spent on it.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// From the last header to the last byte of the body.
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
