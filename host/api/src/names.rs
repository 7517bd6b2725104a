//! The names that the receiver, the controller and the tools around them agree on.

/// The finalizer of a `GatewaySync`: it holds the object until what belongs to it is removed.
pub const FINALIZER: &str = "stoker.io/finalizer";

/// Annotations of a `GatewaySync`.
pub mod annotation {
    /// The ref that a webhook asked for. While it is there and not empty, it stands in for `spec.git.ref`.
    pub const REQUESTED_REF: &str = "stoker.io/requested-ref";
    /// When it was asked for, RFC 3339 in UTC. Each new value makes the controller look at the repository anew.
    pub const REQUESTED_AT: &str = "stoker.io/requested-at";
    /// Who asked for it.
    pub const REQUESTED_BY: &str = "stoker.io/requested-by";
}

/// Labels of the objects around a `GatewaySync`.
pub mod label {
    /// The name of the `GatewaySync` that the object belongs to.
    pub const CR_NAME: &str = "stoker.io/cr-name";
    /// On a ConfigMap: whether it holds plugins.
    pub const PLUGIN: &str = "stoker.io/plugin";
    /// Who keeps the object.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// The value of [`MANAGED_BY`] for what the controller keeps.
    pub const CONTROLLER: &str = "stoker-controller";
}

/// Types of the conditions of a `GatewaySync`.
pub mod condition {
    /// Whether everything is in order: the ref is resolved, the profiles are valid, all gateways are synced.
    pub const READY: &str = "Ready";
    /// Whether the profiles can be used.
    pub const PROFILES_VALID: &str = "ProfilesValid";
    /// Whether the ref in use was found in the repository.
    pub const REF_RESOLVED: &str = "RefResolved";
    /// Whether every gateway has the commit.
    pub const ALL_GATEWAYS_SYNCED: &str = "AllGatewaysSynced";
    /// Whether every gateway's pod has the agent.
    pub const SIDECAR_INJECTED: &str = "SidecarInjected";
    /// Whether the host key of an ssh server is checked.
    pub const SSH_HOST_KEY_VERIFICATION: &str = "SSHHostKeyVerification";
    /// Present, and False, while `spec.polling.interval` is no duration.
    pub const POLLING_INTERVAL_VALID: &str = "PollingIntervalValid";
}

/// Reasons of conditions and events.
pub mod reason {
    /// The object is paused.
    pub const PAUSED: &str = "Paused";
    /// Something is missing that a later pass may find.
    pub const RECONCILING: &str = "Reconciling";
    /// All gateways are synced.
    pub const SYNC_SUCCEEDED: &str = "SyncSucceeded";
    /// Some gateways are not synced yet.
    pub const SYNC_IN_PROGRESS: &str = "SyncInProgress";
    /// No gateway is known.
    pub const NO_GATEWAYS_DISCOVERED: &str = "NoGatewaysDiscovered";
    /// The ref was resolved to a commit.
    pub const REF_RESOLVED: &str = "RefResolved";
    /// The ref could not be resolved.
    pub const REF_RESOLUTION_FAILED: &str = "RefResolutionFailed";
    /// The profiles can be used.
    pub const PROFILES_VALID: &str = "ProfilesValid";
    /// A profile cannot be used.
    pub const PROFILES_INVALID: &str = "ProfilesInvalid";
    /// No known hosts are configured for ssh.
    pub const HOST_KEY_VERIFICATION_DISABLED: &str = "HostKeyVerificationDisabled";
    /// Known hosts are configured for ssh.
    pub const HOST_KEY_VERIFICATION_ENABLED: &str = "HostKeyVerificationEnabled";
    /// `spec.polling.interval` is no duration.
    pub const POLLING_INTERVAL_INVALID: &str = "PollingIntervalInvalid";
    /// Every gateway's pod has the agent.
    pub const SIDECAR_PRESENT: &str = "SidecarPresent";
    /// A gateway's pod lacks the agent.
    pub const SIDECAR_MISSING: &str = "SidecarMissing";
    /// A webhook was received for the object.
    pub const WEBHOOK_RECEIVED: &str = "WebhookReceived";
}
