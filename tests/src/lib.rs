//! The environment of the integration tests and the benchmarks: a cluster, a repository and hosts.

pub mod attacks;
pub mod bench;
pub mod control_plane;
mod gateway_pod;
pub mod nothing_lost;
mod objects;
mod process;
mod stoker_process;
mod test_cluster;

pub use gateway_pod::GatewayPod;
pub use test_cluster::{Answer, SECRET, TestCluster};
