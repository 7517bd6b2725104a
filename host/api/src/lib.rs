//! The `GatewaySync` custom resource as Rust types: its spec, its status, and the names and texts that the receiver,
//! the controller, the agents and other tools share. [`detection`] contains the parsed types of the domain.
//!
//! The definition that a cluster installs is generated from these types, so the two cannot differ. The crate parses,
//! compares and prints them, without I/O. It depends on neither a Kubernetes client nor a web server.

pub mod detection;
mod gateway_sync;
mod git;
mod host_key;
pub mod messages;
pub mod names;
pub mod request;
pub mod requested_over;
mod schema;
mod sensitive;
mod status;
mod sync;
mod webhook;

use kube::CustomResourceExt as _;

pub use gateway_sync::{
    Agent, AgentImage, Gateway, GatewayApi, GatewaySync, GatewaySyncSpec, Polling,
};
pub use git::{GitAuth, GitHubApp, GitSource, KnownHosts, SecretKey, SshKey, Token};
pub use sensitive::Sensitive;
pub use status::{
    DiscoveredGateway, GatewayState, GatewaySyncStatus, RefResolutionStatus, SshHostKey,
    SyncedRefKind,
};
pub use sync::{
    DesignerSessionPolicy, DriftPolicy, FilePatch, Mapping, MappingType, SyncDefaults, SyncProfile,
    SyncSpec,
};
pub use webhook::{OrderCheck, RepositoryCheck, WebhookSpec};

/// Returns the definition of the custom resource as YAML, for `kubectl apply`.
pub fn crd_yaml() -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&GatewaySync::crd())
}

#[cfg(test)]
mod tests;
