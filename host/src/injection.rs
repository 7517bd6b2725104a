//! The admission webhook that injects agents into the pods of gateways.
//!
//! The API server sends each new pod before it stores it. A pod that asks for the agent gets it as its first init
//! container, which keeps running beside the gateway. `inject` decides what a pod gets, and is pure. Every replica
//! serves the webhook, and a failure here never stops the receiver.

mod certificate;
mod container;
mod handler;
mod inject;
mod keeper;
mod metrics;
mod objects;
mod permits;
mod pod;
mod review;
mod serving;

pub use certificate::IssueError;
pub use handler::{Injector, router};
pub use inject::{Decision, Denial, Injection, Settings, Unchanged};
pub use keeper::{KeepError, Keeper};
pub use metrics::InjectorMetrics;
pub use objects::{Objects, ReadError};
pub use pod::Pod;
pub use serving::{CertificateSource, Serving};
