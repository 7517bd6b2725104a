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
    /// Puts files in the place of those that the bundle had. What is no plugin, by its name, is left out.
    pub fn replace(&mut self, bundle: &str, files: impl IntoIterator<Item = (String, Bytes)>) {
        let is_plugin = |(name, _): &(String, Bytes)| is_plugin_file(name.as_ref());
        let files = files.into_iter().filter(is_plugin).collect();
        self.0.insert(bundle.to_owned(), files);
    }

    /// Takes a bundle away.
    pub fn remove(&mut self, bundle: &str) {
        self.0.remove(bundle);
    }

    /// The bytes of all files.
    #[must_use]
    pub fn size(&self) -> usize {
        let files = self.0.values().flat_map(BTreeMap::values);
        files.map(Bytes::len).sum()
    }

    /// The names of a bundle and of a file in it, in the order of the chain.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flat_map(|(bundle, files)| files.keys().map(|name| (bundle.as_str(), name.as_str())))
    }

    pub(super) fn bytes(&self, bundle: &str, name: &str) -> Option<&Bytes> {
        self.0.get(bundle)?.get(name)
    }
}
