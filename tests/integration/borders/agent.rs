//! The libraries and modules that each module of the agent may name.

/// A library, and the modules (files or folders below `host/agent/src`) that may name it.
pub(super) const OWNERS: &[(&str, &[&str])] = &[
    ("clap", &["cli", "main"]),
    ("hyper", &["health"]),
    ("hyper_util", &["health"]),
    (
        "jiff",
        &["agent", "cluster/events", "machine_config", "report"],
    ),
    ("k8s_openapi", &["cluster"]),
    ("kube", &["app/sidecar", "cluster", "fake_client"]),
    ("reqwest", &["gateway"]),
    ("rustix", &["sync/apply/disk", "sync/folder"]),
    (
        "stoker_git",
        &["app", "credentials", "source", "sync", "worker"],
    ),
    ("stoker_http_client", &["gateway"]),
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
    ("environment", &["cluster"]),
    ("sync", &["source"]),
    ("telemetry", &[]),
    (
        "worker",
        &[
            "agent",
            "credentials",
            "gateway",
            "lock",
            "metadata",
            "metrics",
            "environment",
            "sync",
        ],
    ),
];

/// The modules without a clock. They get the time from their callers.
pub(super) const WITHOUT_CLOCK: &[&str] = &[
    "agent/outcome",
    "agent/schedule",
    "agent/reporting",
    "source",
    "sync",
];
