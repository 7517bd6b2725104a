//! Brings the files of a published commit to a gateway's disk.
//!
//! The agent follows what is published for a gateway, fetches exactly this commit, writes its files below the directory
//! of the gateway by a profile, tells the gateway to scan them, and reports. It does not compile wasmtime or axum.

mod agent;
mod app;
pub mod cli;
mod cluster;
mod config;
mod credentials;
mod environment;
mod events;
#[cfg(test)]
mod fake_client;
mod gateway;
mod health;
mod host_keys;
mod lock;
mod machine_config;
mod memory;
mod metadata;
mod metrics;
mod problems;
mod report;
pub mod source;
pub mod sync;
mod telemetry;
mod worker;

pub use app::{Ports, Sidecar, run};
pub use config::{ConfigError, SidecarConfig};
pub use credentials::CredentialFiles;
pub use gateway::GatewayAddress;
pub use machine_config::{FileError, MachineConfig};
