//! The libraries and modules that each module of the agent may name.

/// A library, and the modules (files or directories below `host/agent/src`) that may name it.
pub(super) const OWNERS: &[(&str, &[&str])] = &[
    ("anyhow", &["app"]),
    ("clap", &["cli", "main"]),
    ("gotmpl", &["sync/template"]),
    ("hyper", &["health"]),
    ("hyper_util", &["health"]),
    (
        "jiff",
        &["agent", "cluster/events", "machine_config", "report"],
    ),
    ("k8s_openapi", &["cluster"]),
    ("kube", &["app/sidecar", "cluster"]),
    ("reqwest", &["gateway"]),
    ("rustix", &["sync/apply/disk", "sync/root"]),
    (
        "stoker_git",
        &[
            "app",
            "credentials",
            "environment",
            "host_keys",
            "source",
            "sync",
            "worker",
        ],
    ),
    ("stoker_http_client", &["gateway"]),
    ("stoker_kubeconfig", &["app/sidecar"]),
    (
        "tokio",
        &[
            "agent", "app", "cluster", "gateway", "health", "metadata", "events", "problems",
            "worker",
        ],
    ),
    ("tracing_subscriber", &["telemetry"]),
];

/// A module, and the other modules that it may name.
pub(super) const NEIGHBOURS: &[(&str, &[&str])] = &[
    (
        "agent",
        &[
            "gateway", "health", "metadata", "metrics", "events", "problems", "report",
        ],
    ),
    ("cli", &[]),
    ("cluster", &["metadata", "events", "problems", "report"]),
    ("config", &["credentials", "gateway"]),
    ("credentials", &[]),
    ("gateway", &[]),
    ("health", &[]),
    ("host_keys", &[]),
    ("lock", &[]),
    (
        "machine_config",
        &["config", "credentials", "gateway", "sync"],
    ),
    ("memory", &["config"]),
    ("metadata", &[]),
    ("metrics", &[]),
    ("events", &[]),
    ("problems", &[]),
    ("report", &[]),
    ("source", &[]),
    ("environment", &["cluster", "host_keys"]),
    ("sync", &["source"]),
    ("telemetry", &[]),
    (
        "worker",
        &[
            "agent",
            "credentials",
            "gateway",
            "host_keys",
            "lock",
            "metadata",
            "metrics",
            "environment",
            "sync",
        ],
    ),
];

/// The modules that put the others together. They may name every module.
pub(super) const COMPOSITION: &[&str] = &["app", "lib", "main"];

/// The modules without a clock. They get the time from their callers.
pub(super) const WITHOUT_CLOCK: &[&str] = &[
    "agent/outcome",
    "agent/schedule",
    "agent/reporting",
    "source",
    "sync",
];
