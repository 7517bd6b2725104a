use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::super::error::LoadError;
use super::super::load::{Origin, Plugin};
use super::super::metrics::PluginMetrics;
use super::super::sandbox::Sandbox;
use super::super::settings::Tuning;
use super::super::status::PluginState;
use super::directory::Found;
use crate::report;

/// One file, or one built-in plugin. Where its new version, or its new settings, cannot be used, the last that could
/// be goes on.
#[derive(Default)]
pub(super) struct Entry {
    seen: Option<Seen>,
    good: Option<Good>,
    refused: Option<String>,
}

/// What was looked at last.
#[derive(PartialEq, Eq)]
struct Seen {
    digest: Option<Digest>,
    tuning: Arc<Tuning>,
}

type Digest = [u8; 32];

/// What serves.
struct Good {
    plugin: Arc<Plugin>,
    digest: Option<Digest>,
}

impl Entry {
    pub(super) fn of(plugin: Arc<Plugin>) -> Self {
        let seen = Seen {
            digest: None,
            tuning: Arc::clone(plugin.tuning()),
        };
        Self {
            seen: Some(seen),
            good: Some(Good {
                plugin,
                digest: None,
            }),
            refused: None,
        }
    }

    /// Takes the bytes of a file as they are now; none for what has no file.
    pub(super) async fn refresh(
        &mut self,
        sandbox: &Sandbox,
        metrics: &PluginMetrics,
        origin: &Origin,
        content: Option<Found>,
        tuning: &Arc<Tuning>,
    ) {
        let (digest, content) = match content.transpose() {
            Ok(content) => (content.as_deref().map(digest), content),
            Err(error) => {
                self.seen = None;
                return self.refuse(metrics, origin, &error);
            }
        };
        let seen = Seen {
            digest,
            tuning: Arc::clone(tuning),
        };
        if self.seen.as_ref() == Some(&seen) {
            return;
        }
        self.seen = Some(seen);
        let tuning = Arc::clone(tuning);
        let loaded = match (&self.good, content) {
            (Some(good), None) => good.plugin.retuned(sandbox, metrics, tuning).await,
            (Some(good), Some(_)) if good.digest == digest => {
                good.plugin.retuned(sandbox, metrics, tuning).await
            }
            (_, Some(bytes)) => Plugin::load(sandbox, metrics, origin.clone(), bytes, tuning).await,
            (None, None) => return,
        };
        match loaded {
            Ok(plugin) => self.take(metrics, plugin, digest),
            Err(error) => self.refuse(metrics, origin, &error),
        }
    }

    fn take(&mut self, metrics: &PluginMetrics, plugin: Plugin, digest: Option<Digest>) {
        let said = plugin.descriptor();
        tracing::info!(plugin.file = %plugin.origin(), plugin.name = %said.name, plugin.version = %said.version, "plugin loaded");
        metrics.reloaded(true);
        metrics.set_usable(plugin.origin(), true);
        self.refused = None;
        self.good = Some(Good {
            plugin: Arc::new(plugin),
            digest,
        });
    }

    /// Says once why it cannot be used.
    pub(super) fn refuse(&mut self, metrics: &PluginMetrics, origin: &Origin, error: &LoadError) {
        let why = report::chain(error).to_string();
        if self.refused.as_ref() == Some(&why) {
            return;
        }
        tracing::warn!(plugin.file = %origin, error = %why, previous_version_serves = self.good.is_some(), "plugin refused");
        metrics.reloaded(false);
        metrics.set_usable(origin, false);
        self.refused = Some(why);
    }

    pub(super) fn plugin(&self) -> Option<&Arc<Plugin>> {
        self.good.as_ref().map(|good| &good.plugin)
    }

    pub(super) fn sha256(&self) -> Option<String> {
        Some(hex::encode(self.good.as_ref()?.digest?))
    }

    /// How it stands by itself, whatever the others are called.
    pub(super) fn state(&self) -> PluginState {
        match (&self.refused, &self.good) {
            (None, _) => PluginState::Serving,
            (Some(why), Some(_)) => PluginState::ServingPrevious { why: why.clone() },
            (Some(why), None) => PluginState::Refused { why: why.clone() },
        }
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}
