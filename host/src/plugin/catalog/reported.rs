//! Logs once what is wrong with the plugins as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::super::load::Origin;
use super::Catalog;
use super::entry::Entry;
use super::files::FileKey;

/// The messages that were logged, so that each is logged once.
#[derive(Default)]
pub(super) struct Reported {
    /// Files whose plugin name belongs to another file.
    pub(super) duplicates: BTreeMap<FileKey, String>,
    /// Bundles that cannot be used as a whole.
    pub(super) bundles: BTreeMap<String, String>,
    /// Directories that cannot be read.
    pub(super) directories: BTreeMap<PathBuf, String>,
    /// Plugins that the settings name and that do not exist.
    pub(super) unknown: BTreeSet<String>,
}

impl Catalog {
    /// Logs once each plugin that the settings name and that does not exist. The plugin may be added later, but more
    /// often its name is mistyped.
    pub(super) fn report_unknown_settings(&mut self) {
        let settings = self.settings.get();
        let entries = || self.files.values().chain(&self.builtins);
        let mut known: BTreeSet<_> = entries().map(|entry| entry.origin().key()).collect();
        // Limits and settings apply by the key alone, so the name of a plugin is one only where it disables the plugin.
        let names = entries().filter_map(Entry::name);
        known.extend(names.filter(|name| settings.disables(name)));
        for key in settings.keys().filter(|key| !known.contains(key)) {
            if self.reported.unknown.insert(key.to_owned()) {
                tracing::warn!(
                    plugin.key = key,
                    "the plugin settings name a plugin that does not exist"
                );
            }
        }
    }

    /// Logs once each bundle that cannot be used as a whole.
    pub(super) fn report_bundles(&mut self) {
        let refused = self.supplied.refused_bundles();
        let refused: BTreeMap<_, _> = refused
            .map(|(bundle, why)| (bundle.to_owned(), why.to_owned()))
            .collect();
        for (bundle, why) in &refused {
            if self.reported.bundles.get(bundle) != Some(why) {
                tracing::warn!(plugin.bundle = %bundle, error = %why, "plugin ConfigMap refused");
            }
            self.loader
                .metrics
                .set_usable(&Origin::File(bundle.clone()), false);
        }
        let reported = std::mem::replace(&mut self.reported.bundles, refused);
        for bundle in reported.into_keys() {
            if !self.reported.bundles.contains_key(&bundle) {
                self.forget_metrics(&Origin::File(bundle));
            }
        }
    }

    /// Logs once each directory that cannot be read. A directory may be created later.
    pub(super) fn report_directories(&mut self, unreadable: BTreeMap<PathBuf, String>) {
        for (directory, why) in &unreadable {
            if self.reported.directories.get(directory) != Some(why) {
                tracing::warn!(directory = %directory.display(), error = %why, "cannot read the plugin directory");
            }
        }
        for directory in self.reported.directories.keys() {
            if !unreadable.contains_key(directory) {
                tracing::info!(directory = %directory.display(), "the plugin directory can be read");
            }
        }
        self.reported.directories = unreadable;
    }
}
