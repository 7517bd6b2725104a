//! A small Kubernetes API over loopback HTTP, in memory.
//!
//! The server stores objects, validates custom resources and sets their defaults by their definitions, and
//! reports changes to watches, as a cluster's API server does. It calls mutating webhooks for new objects. Programs connect to it with their
//! ordinary Kubernetes client, and `kubectl` with [`ApiServer::kubeconfig`]. It refuses requests
//! that it does not implement, and names the missing feature.
//!
//! Callers are not authenticated, so it listens on loopback addresses only and refuses requests
//! for other hosts. Nothing is kept when it stops.
//!
//! ```no_run
//! # async fn example() -> Result<(), stoker_apiserver::Error> {
//! let server = stoker_apiserver::ApiServer::builder().start().await?;
//! let config = server.kubeconfig();
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod api;
mod body;
mod builtin;
mod crd;
mod discovery;
mod embedded;
mod error;
mod lifecycle;
mod meta;
mod openapi;
mod patch;
mod read;
mod request;
mod resource;
mod schema;
mod selector;
mod server;
mod status;
mod store;
mod table;
mod time;
mod watch;
mod webhooks;
mod write;

pub use embedded::{ApiServer, ApiServerBuilder};
pub use error::Error;
