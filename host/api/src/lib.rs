//! The `GatewaySync` custom resource as Rust types: what a user asks for, what the controller reports, and the names
//! (annotations, conditions, reasons, the finalizer) that both sides and their tools agree on.
//!
//! The definition that a cluster installs is generated from these types, so neither can drift from the other. The
//! room has no behaviour beyond accessors and knows neither a client nor the web server.

pub mod detection;
mod gateway_sync;
mod git;
pub mod names;
mod schema;
mod status;
mod sync;

use kube::CustomResourceExt as _;

pub use gateway_sync::{
    Agent, AgentImage, Gateway, GatewayApi, GatewaySync, GatewaySyncSpec, Polling, WebhookSpec,
};
pub use git::{GitAuth, GitHubApp, GitSource, KnownHosts, SecretKey, SshKey, Token};
pub use status::{
    DiscoveredGateway, GatewayState, GatewaySyncStatus, RefResolutionStatus, SyncedRefKind,
};
pub use sync::{
    DesignerSessionPolicy, FilePatch, Mapping, MappingType, SyncDefaults, SyncProfile, SyncSpec,
};

/// The definition of the custom resource as YAML, for `kubectl apply`.
pub fn crd_yaml() -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&GatewaySync::crd())
}

#[cfg(test)]
mod tests;
