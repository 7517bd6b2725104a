//! The environment of the integration tests and the benchmarks: a cluster, a repository and hosts.

pub mod bench;
pub mod control_plane;
mod stage;

pub use stage::{Answer, SECRET, Stage};
