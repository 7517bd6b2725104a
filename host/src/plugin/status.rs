//! The state of each plugin, as `GET /plugins` shows it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::load::Plugin;

/// A plugin or a file, and its state. `GET /plugins` returns a list of these, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginStatus {
    /// The origin of the plugin: `built-in NAME`, the name of a file, `CONFIGMAP/FILE`, or the name of a ConfigMap that
    /// cannot be used as a whole.
    pub from: String,
    /// The name in its description, if it could be loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version, as text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A summary of what it detects, as text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The SHA-256 of the file that serves, in hexadecimal digits.
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
    /// It is being loaded for the first time.
    Loading,
    /// It is asked.
    Serving,
    /// It failed repeatedly and has not answered since.
    Benched,
    /// The previous version, or the plugin with its previous settings, is asked, because the current one cannot be
    /// used.
    ServingPrevious {
        /// The reason why the current one cannot be used.
        why: String,
    },
    /// It cannot be used.
    Refused {
        /// The reason.
        why: String,
    },
    /// A file with the same plugin name is asked instead.
    Replaced {
        /// The file.
        by: String,
    },
    /// The settings disable it.
    Disabled,
}

impl PluginState {
    /// The fault, if there is one.
    #[must_use]
    pub fn complaint(&self) -> Option<&str> {
        match self {
            Self::Loading | Self::Serving | Self::Disabled | Self::Replaced { .. } => None,
            Self::Benched => Some("it failed repeatedly, and has not answered since"),
            Self::ServingPrevious { why } | Self::Refused { why } => Some(why),
        }
    }
}

/// A status, with the plugin that it belongs to, if there is one.
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
        let descriptor = plugin.map(|plugin| plugin.descriptor());
        let status = PluginStatus {
            from,
            name: descriptor.map(|descriptor| descriptor.name.clone()),
            version: descriptor.map(|descriptor| descriptor.version.clone()),
            summary: descriptor.map(|descriptor| descriptor.summary.clone()),
            sha256,
            state,
        };
        Self {
            status,
            plugin: plugin.cloned(),
        }
    }

    /// The current status. Each call may bench a plugin, or end that.
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
