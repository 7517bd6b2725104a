//! Stoker receives webhooks and syncs gateways to the git refs that they announce.
//!
//! ```text
//! HTTP request ─ receiver ─► Delivery ─ auth ─► Verified<Delivery> ─ plugin ─► Detection
//!                                                                                 │
//!     commit ◄─ git ◄─ controller ◄─ watch ◄─ GatewaySync (annotations) ◄─ request
//! ```
//!
//! The names in lower case are modules. Each type between them is created in one place. A test checks which libraries
//! and modules each module uses.

pub mod app;
pub mod auth;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod controller;
pub mod delivery;
#[cfg(test)]
mod fake_client;
pub mod github_app;
pub mod injection;
pub mod lookups;
pub mod metrics;
pub mod operations;
pub mod payload;
pub mod plugin;
pub mod reason;
pub mod receiver;
mod recent;
pub mod request;
mod sampling;
pub mod secrets;
pub mod server;
pub mod telemetry;
