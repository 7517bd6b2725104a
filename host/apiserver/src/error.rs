//! Errors of starting the server.
//!
//! Failures of requests are not among them: the client receives those as `Status`
//! objects; see the `status` module.

use std::net::SocketAddr;

/// The reason why the server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not a loopback address. Callers are not authenticated, so other machines must not connect.
    #[error(
        "refusing to listen on {address}: the embedded API server has no authentication and listens on loopback only"
    )]
    NotLoopback {
        /// The requested address.
        address: SocketAddr,
    },
    /// The listening socket could not be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A custom resource definition is neither YAML nor JSON.
    #[error("cannot read a custom resource definition: {reason}")]
    Unreadable {
        /// The position and the reason.
        reason: String,
    },
    /// A custom resource definition is invalid, or uses a feature that the server does not implement.
    #[error("custom resource definition {name}: {reason}")]
    Definition {
        /// The definition's `metadata.name`.
        name: String,
        /// The message of the `Status` that a client would receive.
        reason: String,
    },
    /// The built-in schemas do not compile, which is a bug of this crate.
    #[error("built-in schemas: {reason}")]
    BuiltIn {
        /// The reason.
        reason: String,
    },
}
