//! What can go wrong before the server answers its first request, and when it stops.
//!
//! Failures of single requests are not errors of this kind: the client reads them as `Status`
//! objects, see the `status` module.

use std::net::SocketAddr;

/// Why the server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is reachable from other machines, and nothing here authenticates a caller.
    #[error(
        "refusing to listen on {address}: the embedded API server has no authentication and listens on loopback only"
    )]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The listening socket could not be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A custom resource definition is no YAML or JSON.
    #[error("cannot read a custom resource definition: {reason}")]
    Unreadable {
        /// Where and why reading stopped.
        reason: String,
    },
    /// A custom resource definition is invalid or uses what the server does not implement.
    #[error("custom resource definition {name}: {reason}")]
    Definition {
        /// The definition's `metadata.name`.
        name: String,
        /// The message of the `Status` a client would have got.
        reason: String,
    },
    /// The schemas built into the crate do not compile. A defect of the crate.
    #[error("built-in schemas: {reason}")]
    BuiltIn {
        /// What did not compile.
        reason: String,
    },
}
