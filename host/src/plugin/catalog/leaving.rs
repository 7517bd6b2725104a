//! Files that are gone. The plugin of such a file serves until the files that may have it now are loaded.
//!
//! A file that is renamed, or a ConfigMap that is replaced by another one, is gone before the new one is compiled. Without
//! its plugin, other plugins would get its deliveries in the meantime.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::super::load::Origin;
use super::super::settings::Settings;
use super::Catalog;
use super::entry::Entry;
use super::files::{FileKey, Listing};

/// The longest time for which the plugins of files that are gone, and versions with new names, wait for what is being
/// loaded. A compilation that does not end holds nothing back for longer.
const LONGEST_WAIT: Duration = Duration::from_mins(2);

impl Catalog {
    /// Whether every supplied file was examined, and loaded if it had to be.
    pub(super) fn is_settled(&self) -> bool {
        !self.has_unexamined && self.loads.is_empty()
    }

    /// Whether every supplied file was loaded, or one is being loaded for so long that the others do not wait for it.
    pub(super) fn has_waited(&mut self) -> bool {
        if self.is_settled() {
            self.unsettled_since = None;
            return true;
        }
        let since = self.unsettled_since.get_or_insert_with(Instant::now);
        since.elapsed() >= LONGEST_WAIT
    }

    /// Records which files are gone, and which are back. Returns those that were there at the last scan.
    pub(super) fn mark_gone(&mut self, listing: &Listing) -> Vec<FileKey> {
        let mut gone = Vec::new();
        for (key, entry) in &mut self.files {
            if entry.set_gone(!listing.may_have(key)) {
                gone.push(key.clone());
            }
        }
        gone
    }

    /// Removes the entries of the files that are gone, except those that serve until everything is loaded. A file with
    /// the same plugin name, if it serves, ends that earlier.
    pub(super) fn forget_gone(&mut self, settings: &Settings, has_waited: bool) {
        let serves = |entry: &&Entry| !entry.is_gone() && entry.is_enabled(settings);
        let names = self.files.values().filter(serves).filter_map(Entry::name);
        let names: BTreeSet<_> = names.collect();
        let is_needed = |entry: &Entry| {
            let name = entry.name().filter(|_| entry.is_enabled(settings));
            !has_waited && name.is_some_and(|name| !names.contains(name))
        };
        let gone = self.files.iter().filter(|(_, entry)| entry.is_gone());
        let gone = gone.filter(|(_, entry)| !is_needed(entry));
        let gone: Vec<_> = gone.map(|(key, _)| key.clone()).collect();
        for key in gone {
            let Some(entry) = self.files.remove(&key) else {
                continue;
            };
            tracing::info!(plugin.file = %key, "plugin file is gone");
            self.forget_metrics(entry.origin());
        }
    }

    /// Logs which of these files have a plugin that still serves.
    pub(super) fn report_leaving(&self, gone: &[FileKey]) {
        for key in gone.iter().filter(|key| self.files.contains_key(key)) {
            tracing::info!(plugin.file = %key, "plugin file is gone, and its plugin serves until the files that are being loaded are loaded");
        }
    }

    /// Puts in place what waited until everything is loaded.
    pub(super) fn settle(&mut self) {
        if !self.is_settled() {
            return;
        }
        self.unsettled_since = None;
        let waits = |entry: &Entry| entry.is_gone() || entry.new_name().is_some();
        if self.files.values().any(waits) {
            let settings = self.settings.get().clone();
            self.put_in_place(&settings);
        }
    }

    /// Removes the metrics of a file, or of a bundle that was refused. An entry or a bundle of the same name may be left:
    /// a file in another directory, or a ConfigMap.
    pub(super) fn forget_metrics(&self, origin: &Origin) {
        let entries = self.files.values();
        if entries.map(Entry::origin).any(|other| other == origin) {
            return;
        }
        let metrics = &self.loader.metrics;
        metrics.forget(origin);
        let mut refused = self.supplied.refused_bundles();
        if refused.any(|(bundle, _)| Origin::File(bundle.to_owned()) == *origin) {
            metrics.set_usable(origin, false);
        }
    }
}
