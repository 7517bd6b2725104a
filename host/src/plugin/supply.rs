//! Plugin files that lie in no directory: somebody else follows them, and hands over all of them at each change.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::watch;

use super::load::is_plugin_file;

/// The files as they are now, by bundle and by name. To the catalog, a bundle is what a directory is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SuppliedFiles(BTreeMap<String, BTreeMap<String, Bytes>>);

/// Where they come from; none as long as nobody knows which there are.
pub type Supply = watch::Receiver<Option<SuppliedFiles>>;

impl SuppliedFiles {
    /// Puts files in the place of those that the bundle had. What is no plugin, by its name, is left out; bytes that
    /// are there already are not kept twice.
    pub fn replace(&mut self, bundle: &str, files: impl IntoIterator<Item = (String, Bytes)>) {
        let before = self.0.remove(bundle).unwrap_or_default();
        let files = files
            .into_iter()
            .filter(|(name, _)| is_plugin_file(name.as_ref()))
            .map(|(name, bytes)| {
                let same = before.get(&name).filter(|same| **same == bytes);
                let bytes = same.cloned().unwrap_or(bytes);
                (name, bytes)
            })
            .collect();
        self.0.insert(bundle.to_owned(), files);
    }

    /// Leaves only the bundles that are wanted.
    pub fn retain(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.0.retain(|bundle, _| is_wanted(bundle));
    }

    /// Whether there is such a bundle, empty or not.
    #[must_use]
    pub fn has(&self, bundle: &str) -> bool {
        self.0.contains_key(bundle)
    }

    /// How many files there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// The bytes of all files.
    #[must_use]
    pub fn size(&self) -> usize {
        let files = self.0.values().flat_map(BTreeMap::values);
        files.map(Bytes::len).sum()
    }

    /// The bundles and the names of the files in each, in the order of the chain.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.0
            .iter()
            .map(|(bundle, files)| (bundle.as_str(), files.keys().map(String::as_str)))
    }

    pub(super) fn bytes(&self, bundle: &str, name: &str) -> Option<&Bytes> {
        self.0.get(bundle)?.get(name)
    }
}
