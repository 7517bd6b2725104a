//! The environment of the integration tests and the benchmarks: a cluster, a repository and hosts.

pub mod attacks;
pub mod bench;
pub mod control_plane;
pub mod nothing_lost;
mod test_cluster;

pub use test_cluster::{Answer, SECRET, TestCluster};
