use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::load::Plugin;

/// A plugin or a file, and its state. `GET /plugins` answers a list of these, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginStatus {
    /// Where it comes from: `built-in NAME`, the name of a file, `CONFIGMAP/FILE`, or the name of a ConfigMap that cannot be
    /// used as a whole.
    pub from: String,
    /// Its name for itself, where it could be loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it detects, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// SHA-256 of the file that serves, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Its state.
    #[serde(flatten)]
    pub state: PluginState,
}

/// The state of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum PluginState {
    /// It is loaded for the first time.
    Loading,
    /// It is asked.
    Serving,
    /// It failed repeatedly, so its circuit breaker is open: it is not asked for a while.
    Benched,
    /// The version before, or the one with the settings before, is asked, because the present one cannot be used.
    ServingPrevious {
        /// Why the present one cannot be used.
        why: String,
    },
    /// It cannot be used.
    Refused {
        /// Why.
        why: String,
    },
    /// A file with its name is asked in its place.
    Replaced {
        /// The file.
        by: String,
    },
    /// The settings switch it off.
    Disabled,
}

impl PluginState {
    /// What is wrong, where something is.
    #[must_use]
    pub fn complaint(&self) -> Option<&str> {
        match self {
            Self::Loading | Self::Serving | Self::Disabled | Self::Replaced { .. } => None,
            Self::Benched => Some("it failed repeatedly, and is not asked for a while"),
            Self::ServingPrevious { why } | Self::Refused { why } => Some(why),
        }
    }
}

/// A status, and the plugin that it belongs to where there is one.
pub(super) struct Listed {
    pub(super) status: PluginStatus,
    pub(super) plugin: Option<Arc<Plugin>>,
}

impl Listed {
    pub(super) fn new(
        from: String,
        plugin: Option<&Arc<Plugin>>,
        sha256: Option<String>,
        state: PluginState,
    ) -> Self {
        let said = plugin.map(|plugin| plugin.descriptor());
        let status = PluginStatus {
            from,
            name: said.map(|said| said.name.clone()),
            version: said.map(|said| said.version.clone()),
            summary: said.map(|said| said.summary.clone()),
            sha256,
            state,
        };
        Self {
            status,
            plugin: plugin.cloned(),
        }
    }

    /// The status at this moment: each call may open or close the circuit breaker.
    pub(super) fn now(&self) -> PluginStatus {
        let mut status = self.status.clone();
        let is_benched = self
            .plugin
            .as_ref()
            .is_some_and(|plugin| plugin.is_benched());
        if is_benched && status.state == PluginState::Serving {
            status.state = PluginState::Benched;
        }
        status
    }
}
