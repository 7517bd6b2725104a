//! What the integration tests and the benchmarks stand on: a cluster, a repository and a host.

pub mod bench;
pub mod control_plane;
mod stage;

pub use stage::{Answer, SECRET, Stage};
