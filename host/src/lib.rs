//! Stoker: a webhook becomes a commit that a gateway runs.
//!
//! ```text
//! HTTP request ─ webhook ─► Delivery ─ auth ─► Verified<Delivery> ─ plugin ─► Detection
//!                                                                                │
//!      commit ◄─ git ◄─ controller ◄─ watch ◄─ GatewaySync (annotations) ◄─ request
//! ```
//!
//! Every arrow is one function, and every word between two arrows a type that is made in one place. The rooms know
//! each other only by these types; which room may name which library is held by a test.

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod controller;
pub mod delivery;
pub mod leader;
pub mod metrics;
pub mod operations;
pub mod payload;
pub mod plugin;
pub mod plugin_maps;
pub mod receiver;
pub mod request;
pub mod secrets;
pub mod server;
pub mod telemetry;
mod watch_backoff;

pub use stoker_api::{self as api, detection};
pub use stoker_git as git;
#[cfg(feature = "sandbox")]
pub use stoker_local_cluster as sandbox;
pub use stoker_report as report;
