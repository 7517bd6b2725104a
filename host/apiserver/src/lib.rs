//! A small Kubernetes API over loopback HTTP, in memory.
//!
//! The server stores objects, validates and defaults custom resources by their definitions, and
//! tells watches of changes, like a cluster's API server does. Programs reach it through their
//! ordinary Kubernetes client and `kubectl` through [`ApiServer::kubeconfig`]. What it does not
//! implement it refuses by name.
//!
//! Nothing authenticates a caller, so it listens on loopback only and refuses requests that were
//! meant for another host. Nothing is kept when it stops.
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
mod write;

pub use embedded::{ApiServer, ApiServerBuilder};
pub use error::Error;
