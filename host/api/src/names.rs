//! The names that the receiver, the controller, the agents and other tools share.

/// The finalizer of a `GatewaySync`. It delays the deletion of the object until its ConfigMaps are deleted.
pub const FINALIZER: &str = "stoker.io/finalizer";

/// The lease that the replica holds which reconciles. The Go operator has the same.
pub const LEASE: &str = "a86165bb.stoker.io";

/// The profile of gateways that name none.
pub const DEFAULT_PROFILE: &str = "default";

/// The service account of pods that name none.
pub const DEFAULT_ACCOUNT: &str = "default";

/// Annotations of a `GatewaySync`.
pub mod annotation {
    /// The ref that a webhook requests. If it is present and not empty, it overrides `spec.git.ref`.
    pub const REQUESTED_REF: &str = "stoker.io/requested-ref";
    /// The time of the request, in RFC 3339 format in UTC. The controller reads the repository again for each new
    /// value.
    pub const REQUESTED_AT: &str = "stoker.io/requested-at";
    /// The commit that the sender of a request announces for [`REQUESTED_REF`]. It is missing if the sender names none.
    pub const REQUESTED_COMMIT: &str = "stoker.io/requested-commit";
    /// The fingerprint of the ssh host key that a person accepted, such as `SHA256:…`. It replaces the key that was seen
    /// first.
    pub const ACCEPTED_HOST_KEY: &str = "stoker.io/accepted-host-key";
    /// The commit whose deletions a person confirms, on a gateway where the commit would delete more files than
    /// `maxDeletes` allows. Agents read it.
    pub const CONFIRM_DELETES: &str = "stoker.io/confirm-deletes";
    /// The requester: the plugin that detected the ref, or `stoker-sync` for the command `stoker sync`.
    pub const REQUESTED_BY: &str = "stoker.io/requested-by";
    /// The values of [`REQUESTED_REF`], of [`REQUESTED_AT`], and of `spec.git.ref` at that time, separated by spaces.
    /// If `spec.git.ref` has changed since to something else than the requested ref, the request does not count any
    /// more. Without the ref and the time of the present request, the annotation is left over from an earlier one.
    pub const REQUESTED_OVER: &str = "stoker.io/requested-over";
    /// The digests of the webhooks that were accepted last, by which a repetition is recognised: hexadecimal,
    /// separated by commas, the latest last.
    pub const ACCEPTED_DELIVERIES: &str = "stoker.io/accepted-deliveries";
    /// The last event that was accepted from each plugin, by the sender's clock: a JSON list of objects with `plugin`,
    /// `ref` and `at`. Events that happened earlier are ignored.
    pub const ACCEPTED_EVENTS: &str = "stoker.io/accepted-events";
    /// Those that only the receiver reads.
    pub const RECEIVER_ONLY: [&str; 2] = [ACCEPTED_DELIVERIES, ACCEPTED_EVENTS];
    /// All annotations that Stoker writes on an object. Others write the rest.
    pub const WRITTEN_BY_STOKER: [&str; 7] = [
        REQUESTED_REF,
        REQUESTED_AT,
        REQUESTED_BY,
        REQUESTED_OVER,
        REQUESTED_COMMIT,
        ACCEPTED_DELIVERIES,
        ACCEPTED_EVENTS,
    ];
    /// On a Secret that the controller writes: what it contains.
    pub const SECRET_TYPE: &str = "stoker.io/secret-type";
}

/// The beginning of the names of the ConfigMaps that the agents follow. The name of the object follows.
pub const METADATA_PREFIX: &str = "stoker-metadata-";
/// The beginning of the names of the ConfigMaps in which the agents report. The name of the object follows.
pub const REPORTS_PREFIX: &str = "stoker-status-";

/// Returns the name of the ConfigMap that the agents of an object follow.
#[must_use]
pub fn metadata_map(object: &str) -> String {
    format!("{METADATA_PREFIX}{object}")
}

/// Returns the name of the ConfigMap in which the agents of an object report.
#[must_use]
pub fn reports_map(object: &str) -> String {
    format!("{REPORTS_PREFIX}{object}")
}

/// Keys of the ConfigMap that the agents follow.
pub mod metadata_key {
    /// The commit that the gateways should run. It is missing while none is known.
    pub const COMMIT: &str = "commit";
    /// The ref that led to the commit, as a short name or a commit id.
    pub const REF: &str = "ref";
    /// The address of the repository.
    pub const GIT_URL: &str = "gitURL";
    /// Whether the agents stop syncing: `true` or `false`.
    pub const PAUSED: &str = "paused";
    /// The kind of credentials for the repository. Only the agents of the Go operator read it.
    pub const AUTH_TYPE: &str = "authType";
    /// All profiles as one JSON object.
    pub const PROFILES: &str = "profiles";
    /// The port of the gateways. Only the agents of the Go operator read it.
    pub const GATEWAY_PORT: &str = "gatewayPort";
    /// Whether the gateways use TLS. Only the agents of the Go operator read it.
    pub const GATEWAY_TLS: &str = "gatewayTLS";
    /// Certificates of authorities, in PEM format, that are trusted for the repository.
    pub const CA_BUNDLE: &str = "caBundle";
}

/// Environment variables of the agent's container.
pub mod variable {
    /// The name of the pod.
    pub const POD_NAME: &str = "POD_NAME";
    /// The namespace of the pod.
    pub const POD_NAMESPACE: &str = "POD_NAMESPACE";
    /// The name of the `GatewaySync`.
    pub const CR_NAME: &str = "CR_NAME";
    /// The namespace of the `GatewaySync`.
    pub const CR_NAMESPACE: &str = "CR_NAMESPACE";
    /// The name of the gateway.
    pub const GATEWAY_NAME: &str = "GATEWAY_NAME";
    /// The profile that the gateway uses.
    pub const PROFILE: &str = "PROFILE";
    /// The directory of the agent.
    pub const REPO_PATH: &str = "REPO_PATH";
    /// The directory of the gateway.
    pub const DATA_PATH: &str = "DATA_PATH";
    /// The port of the gateway's API.
    pub const GATEWAY_PORT: &str = "GATEWAY_PORT";
    /// Whether the gateway's API uses TLS.
    pub const GATEWAY_TLS: &str = "GATEWAY_TLS";
    /// The path of the file with the gateway's API key.
    pub const API_KEY_FILE: &str = "API_KEY_FILE";
    /// The path of the file with the token for the repository.
    pub const GIT_TOKEN_FILE: &str = "GIT_TOKEN_FILE";
    /// The path of the file with the ssh key for the repository.
    pub const GIT_SSH_KEY_FILE: &str = "GIT_SSH_KEY_FILE";
    /// The path of the file with the known hosts.
    pub const GIT_KNOWN_HOSTS_FILE: &str = "GIT_KNOWN_HOSTS_FILE";
    /// The time between two checks, in seconds. That of the profile takes precedence.
    pub const SYNC_PERIOD: &str = "SYNC_PERIOD";
    /// The size of the largest file that is fetched, in MiB. The injection does not set it.
    pub const MAX_FILE_MIB: &str = "MAX_FILE_MIB";
}

/// The name of the agent's container.
pub const AGENT_CONTAINER: &str = "stoker-agent";

/// Annotations of the pods of gateways.
pub mod pod_annotation {
    /// Whether the agent is injected into the pod: `true`, or anything else for no.
    pub const INJECT: &str = "stoker.io/inject";
    /// The name of the `GatewaySync` that the gateway follows. It is in the namespace of the pod.
    pub const CR_NAME: &str = "stoker.io/cr-name";
    /// The profile that the gateway uses.
    pub const PROFILE: &str = "stoker.io/profile";
    /// The name of the gateway, if it is not that of the pod.
    pub const GATEWAY_NAME: &str = "stoker.io/gateway-name";
    /// Whether the agent was injected: `true` on each pod that got it.
    pub const INJECTED: &str = "stoker.io/injected";
}

/// Labels of the pods of gateways.
pub mod pod_label {
    /// Whether the pod got the agent: `true`. A `PodMonitor` selects pods by this label.
    pub const AGENT: &str = "stoker.io/agent";
}

/// The beginning of the names of the Secrets with the token of a GitHub App. The name of the object follows.
const TOKEN_SECRET_PREFIX: &str = "stoker-github-token-";
/// The key of the token in the Secret of [`token_secret`], which is the name of the file that the agents read.
pub const TOKEN_KEY: &str = "token";

/// Returns the name of the Secret with the token of the GitHub App of an object.
#[must_use]
pub fn token_secret(object: &str) -> String {
    format!("{TOKEN_SECRET_PREFIX}{object}")
}

/// Labels of the objects that belong to a `GatewaySync`, and of ConfigMaps with plugins.
pub mod label {
    /// The longest value of a label in Kubernetes. Names of objects may be longer.
    pub const MAX_VALUE_BYTES: usize = 63;
    /// The name of the `GatewaySync` that the object belongs to.
    pub const CR_NAME: &str = "stoker.io/cr-name";
    /// Whether a ConfigMap contains plugins.
    pub const PLUGIN: &str = "stoker.io/plugin";
    /// The program that manages the object.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// The name of an application. A gateway without a name of its own has this name.
    pub const NAME: &str = "app.kubernetes.io/name";
    /// The name of the `GatewaySync` that a `RoleBinding` belongs to.
    pub const GATEWAY_SYNC: &str = "stoker.io/gatewaysync";
    /// The value of [`MANAGED_BY`] for the `RoleBinding`s of agents.
    pub const OPERATOR: &str = "stoker-operator";
    /// The value of [`MANAGED_BY`] for objects that the controller manages.
    pub const CONTROLLER: &str = "stoker-controller";
    /// The value of [`MANAGED_BY`] for objects that the agents manage.
    pub const AGENT: &str = "stoker-agent";
}

/// Types of the conditions of a `GatewaySync`.
pub mod condition {
    /// Whether the ref is resolved, the commit is published, the profiles are valid, and all gateways are synced.
    pub const READY: &str = "Ready";
    /// Whether all profiles are valid.
    pub const PROFILES_VALID: &str = "ProfilesValid";
    /// Whether the effective ref is resolved to a commit.
    pub const REF_RESOLVED: &str = "RefResolved";
    /// Whether the agent of every gateway reports `Synced`, and there is a gateway. A report may be about an earlier
    /// commit.
    pub const ALL_GATEWAYS_SYNCED: &str = "AllGatewaysSynced";
    /// Whether every gateway's pod has the agent.
    pub const SIDECAR_INJECTED: &str = "SidecarInjected";
    /// Whether the agent of every gateway is ready and has reported a state. The condition is present only while there are
    /// gateways.
    pub const AGENT_READY: &str = "AgentReady";
    /// Whether a gateway has run another commit than the published one for longer than the sync period of its profile.
    /// The condition is present only while there are gateways.
    pub const REF_SKEW: &str = "RefSkew";
    /// Whether the host key of an ssh server is checked.
    pub const SSH_HOST_KEY_VERIFICATION: &str = "SSHHostKeyVerification";
    /// Whether `spec.polling.interval` is a duration. The condition is present only while the interval is invalid.
    pub const POLLING_INTERVAL_VALID: &str = "PollingIntervalValid";
}

/// Reasons of conditions and events.
pub mod reason {
    /// The object is paused.
    pub const PAUSED: &str = "Paused";
    /// The object is not ready, whatever the cause is, which the message names.
    pub const RECONCILING: &str = "Reconciling";
    /// All gateways are synced.
    pub const SYNC_SUCCEEDED: &str = "SyncSucceeded";
    /// Some gateways are not synced yet.
    pub const SYNC_IN_PROGRESS: &str = "SyncInProgress";
    /// No gateway was discovered.
    pub const NO_GATEWAYS_DISCOVERED: &str = "NoGatewaysDiscovered";
    /// The ref was resolved to a commit.
    pub const REF_RESOLVED: &str = "RefResolved";
    /// The branch does not lead to the commit that the sender of the request announced.
    pub const ANNOUNCED_COMMIT_MISSING: &str = "AnnouncedCommitMissing";
    /// A request was removed, because `spec.git.ref` was changed after it.
    pub const REQUEST_SUPERSEDED: &str = "RequestSuperseded";
    /// The ref could not be resolved.
    pub const REF_RESOLUTION_FAILED: &str = "RefResolutionFailed";
    /// GitHub issued no token for the GitHub App, or its private key is unusable.
    pub const GITHUB_APP_EXCHANGE_FAILED: &str = "GitHubAppExchangeFailed";
    /// All profiles are valid.
    pub const PROFILES_VALID: &str = "ProfilesValid";
    /// A profile is invalid.
    pub const PROFILES_INVALID: &str = "ProfilesInvalid";
    /// No known host keys are configured for ssh.
    pub const HOST_KEY_VERIFICATION_DISABLED: &str = "HostKeyVerificationDisabled";
    /// Known host keys are configured for ssh.
    pub const HOST_KEY_VERIFICATION_ENABLED: &str = "HostKeyVerificationEnabled";
    /// `spec.polling.interval` is not a duration.
    pub const POLLING_INTERVAL_INVALID: &str = "PollingIntervalInvalid";
    /// Every gateway's pod has the agent.
    pub const SIDECAR_PRESENT: &str = "SidecarPresent";
    /// The agent is missing in a gateway's pod.
    pub const SIDECAR_MISSING: &str = "SidecarMissing";
    /// The agent of every gateway is ready.
    pub const AGENTS_READY: &str = "AgentsReady";
    /// The agent of a gateway is not ready, or its report is unreadable.
    pub const AGENTS_NOT_READY: &str = "AgentsNotReady";
    /// A gateway runs another commit than the published one.
    pub const COMMIT_DIFFERS: &str = "CommitDiffers";
    /// Every gateway runs the published commit, or has not had the time to sync it.
    pub const COMMIT_AGREES: &str = "CommitAgrees";
    /// The number of gateways changed.
    pub const GATEWAYS_DISCOVERED: &str = "GatewaysDiscovered";
    /// A gateway's pod asks for the agent, and has none.
    pub const MISSING_SIDECAR: &str = "MissingSidecar";
    /// The report of an agent is unreadable.
    pub const REPORT_INVALID: &str = "ReportInvalid";
    /// The agents could not be bound to their role.
    pub const RBAC_ERROR: &str = "RBACError";
    /// The ConfigMap or the Secret for the agents does not belong to Stoker, so nothing is published.
    pub const METADATA_TAKEN: &str = "MetadataTaken";
    /// The ConfigMap or the Secret for the agents could not be written, so nothing is published.
    pub const PUBLICATION_FAILED: &str = "PublicationFailed";
    /// The API server drops fields of the status, because the definition of `GatewaySync` is older than Stoker.
    pub const DEFINITION_OUTDATED: &str = "DefinitionOutdated";
    /// The object does not have the form of a `GatewaySync`.
    pub const INVALID_OBJECT: &str = "InvalidObject";
    /// A webhook was received for the object.
    pub const WEBHOOK_RECEIVED: &str = "WebhookReceived";
    /// A webhook for the object has no effect.
    pub const WEBHOOK_IGNORED: &str = "WebhookIgnored";
    /// A webhook for the object was refused, because the object or the webhook is invalid.
    pub const WEBHOOK_REFUSED: &str = "WebhookRefused";
}
