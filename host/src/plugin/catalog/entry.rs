use std::sync::Arc;

use super::super::error::{CallError, LoadError};
use super::super::load::{Origin, Plugin};
use super::super::metrics::PluginMetrics;
use super::super::sandbox::Sandbox;
use super::super::settings::Tuning;
use super::super::status::PluginState;
use super::directory::{Content, Digest, FileKey, Stock};
use crate::report;

/// One file, or one built-in plugin. Where its new version, or its new settings, cannot be used, the last that could
/// be goes on.
pub(super) struct Entry {
    origin: Origin,
    /// What was looked at last; none where that has to be done again.
    seen: Option<(Option<Digest>, Arc<Tuning>)>,
    good: Option<Good>,
    refused: Option<String>,
}

/// What serves.
struct Good {
    plugin: Arc<Plugin>,
    /// Of its file, where it has one.
    digest: Option<Digest>,
}

/// Where plugins are loaded.
pub(super) struct Workshop<'a> {
    pub(super) sandbox: &'a Sandbox,
    pub(super) metrics: &'a PluginMetrics,
}

impl Entry {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            origin,
            seen: None,
            good: None,
            refused: None,
        }
    }

    pub(super) fn builtin(plugin: Arc<Plugin>) -> Self {
        Self {
            origin: plugin.origin().clone(),
            seen: Some((None, Arc::clone(plugin.tuning()))),
            good: Some(Good {
                plugin,
                digest: None,
            }),
            refused: None,
        }
    }

    /// Looks at the file as it is now. Tells whether anything became different.
    pub(super) async fn look(
        &mut self,
        workshop: &Workshop<'_>,
        stock: &Arc<Stock>,
        key: &FileKey,
        tuning: &Arc<Tuning>,
    ) -> bool {
        let limit = tuning.limits.component_bytes;
        // With other settings the bytes may be needed again.
        let seen = self.seen.as_ref().filter(|(_, before)| before == tuning);
        let known = seen.and_then(|(digest, _)| *digest);
        // One file at a time is in memory.
        let (stock, key) = (Arc::clone(stock), key.clone());
        let read = move || stock.read(&key, limit, known);
        let content = tokio::task::spawn_blocking(read).await;
        match content.unwrap_or_else(|error| Err(std::io::Error::from(error).into())) {
            Ok(Content { digest, bytes }) => {
                self.refresh(workshop, Some(digest), bytes, tuning).await
            }
            Err(error) => {
                self.seen = None;
                self.refuse(workshop, &error)
            }
        }
    }

    /// Gives what serves other settings. Tells whether anything became different.
    pub(super) async fn retune(&mut self, workshop: &Workshop<'_>, tuning: &Arc<Tuning>) -> bool {
        self.refresh(workshop, None, None, tuning).await
    }

    /// Is beyond the number of files that are read, and does not serve. Tells whether anything became different.
    pub(super) fn exclude(&mut self, workshop: &Workshop<'_>, limit: usize) -> bool {
        self.seen = None;
        let served = self.good.take().is_some();
        self.refuse(workshop, &LoadError::TooMany { limit }) || served
    }

    async fn refresh(
        &mut self,
        workshop: &Workshop<'_>,
        digest: Option<Digest>,
        bytes: Option<Vec<u8>>,
        tuning: &Arc<Tuning>,
    ) -> bool {
        let seen = (digest, Arc::clone(tuning));
        if self.seen.as_ref() == Some(&seen) {
            return false;
        }
        let Workshop { sandbox, metrics } = workshop;
        let tuning = Arc::clone(tuning);
        let loaded = match (&self.good, bytes) {
            (Some(good), _) if good.digest == digest => {
                good.plugin.retuned(sandbox, metrics, tuning).await
            }
            (_, Some(bytes)) => {
                Plugin::load(sandbox, metrics, self.origin.clone(), bytes, tuning).await
            }
            (_, None) => return false,
        };
        self.seen = Some(seen);
        match loaded {
            Ok(plugin) => self.take(workshop, plugin, digest),
            Err(error) => {
                if may_pass(&error) {
                    self.seen = None;
                }
                self.refuse(workshop, &error)
            }
        }
    }

    fn take(&mut self, workshop: &Workshop<'_>, plugin: Plugin, digest: Option<Digest>) -> bool {
        let said = plugin.descriptor();
        tracing::info!(plugin.file = %plugin.origin(), plugin.name = %said.name, plugin.version = %said.version, "plugin loaded");
        if let Some(old) = &self.good {
            old.plugin.retire();
        }
        plugin.begin_counting();
        workshop.metrics.reloaded(true);
        self.refused = None;
        self.good = Some(Good {
            plugin: Arc::new(plugin),
            digest,
        });
        true
    }

    /// Says once why it cannot be used.
    fn refuse(&mut self, workshop: &Workshop<'_>, error: &LoadError) -> bool {
        let why = report::chain(error).to_string();
        if self.refused.as_ref() == Some(&why) {
            return false;
        }
        tracing::warn!(plugin.file = %self.origin, error = %why, previous_version_serves = self.good.is_some(), "plugin refused");
        workshop.metrics.reloaded(false);
        self.refused = Some(why);
        true
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
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
            (None, Some(_)) => PluginState::Serving,
            (None, None) => PluginState::Loading,
            (Some(why), Some(_)) => PluginState::ServingPrevious { why: why.clone() },
            (Some(why), None) => PluginState::Refused { why: why.clone() },
        }
    }
}

/// Whether the same file may be found good later: a busy machine is no fault of a plugin.
fn may_pass(error: &LoadError) -> bool {
    matches!(
        error,
        LoadError::Describe(CallError::Busy | CallError::TimedOut { .. })
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_looked_at_yet_does_not_serve() {
        let mut entry = Entry::new(Origin::File("acme.wasm".to_owned()));
        assert_eq!(entry.state(), PluginState::Loading);
        entry.refused = Some("it is empty".to_owned());
        assert!(matches!(entry.state(), PluginState::Refused { .. }));
    }
}
