//! The sources of plugin files, and the limits of bundles.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use tokio::sync::watch;

use super::load::is_plugin_file;

/// Limits of all bundles together. They bound the resources that a user with write access to ConfigMaps can consume.
const MAX_BYTES: usize = 16 << 20;
const MAX_FILES: usize = 256;

/// A supplier of plugin files. Suppliers are in the order of the chain. The limit of files per directory in the
/// settings also applies to each of them.
#[derive(Debug, Clone)]
pub enum Supply {
    /// A directory of files, which are read when they are needed.
    Directory(PathBuf),
    /// Bundles of files in memory, such as ConfigMaps. `None` until the bundles are known.
    Bundles(watch::Receiver<Option<Bundles>>),
}

/// The bundles at one moment, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundles {
    files: BTreeMap<String, BTreeMap<String, Bytes>>,
    refused: BTreeMap<String, Refused>,
}

/// Why a bundle cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused {
    why: String,
    /// The space that it needs, if it is refused because there is not enough.
    needed: Option<Space>,
}

/// What the limits apply to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Space {
    files: usize,
    bytes: usize,
}

impl Bundles {
    /// Replaces the files of a bundle. Files whose name is not that of a plugin file are left out. If the bytes of a
    /// file did not change, no second copy is kept. A bundle is refused if it has no plugin, or if all bundles together
    /// would exceed a limit. In the second case the bundle stays as it was.
    pub fn replace(&mut self, bundle: &str, files: impl IntoIterator<Item = (String, Bytes)>) {
        self.refused.remove(bundle);
        let before = self.files.remove(bundle);
        let files: BTreeMap<_, _> = files
            .into_iter()
            .filter(|(name, _)| is_plugin_file(name.as_ref()))
            .map(|(name, bytes)| {
                let same = before.as_ref().and_then(|before| before.get(&name));
                let bytes = same
                    .filter(|same| **same == bytes)
                    .cloned()
                    .unwrap_or(bytes);
                (name, bytes)
            })
            .collect();
        let needed = Space::of([&files]);
        let refused = if files.is_empty() {
            Some(Refused {
                why: "it is labelled as a bundle of plugins and has no key that ends in .wasm"
                    .to_owned(),
                needed: None,
            })
        } else {
            self.too_much(needed).map(|what| {
                let stays = if before.is_some() {
                    "; its plugins stay as they were"
                } else {
                    ""
                };
                Refused {
                    why: format!(
                        "{what}{stays}; remove others, or mount the plugins from a volume"
                    ),
                    needed: Some(needed),
                }
            })
        };
        match (refused, before) {
            (None, _) => {
                self.files.insert(bundle.to_owned(), files);
            }
            (Some(refused), before) => {
                self.refused.insert(bundle.to_owned(), refused);
                if let Some(before) = before.filter(|_| !files.is_empty()) {
                    self.files.insert(bundle.to_owned(), before);
                }
            }
        }
    }

    /// Removes every bundle for which `is_wanted` is false.
    pub fn retain(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.files.retain(|bundle, _| is_wanted(bundle));
        self.refused.retain(|bundle, _| is_wanted(bundle));
    }

    /// Whether there is space now for a bundle that was refused because there was not enough.
    #[must_use]
    pub fn has_space_for_refused(&self) -> bool {
        self.refused.iter().any(|(bundle, refused)| {
            let others = self.files.iter().filter(|(name, _)| *name != bundle);
            refused.needed.is_some_and(|needed| {
                let others = Space::of(others.map(|(_, files)| files));
                others.and(needed).excess().is_none()
            })
        })
    }

    /// The number of files.
    #[must_use]
    pub fn count(&self) -> usize {
        Space::of(self.files.values()).files
    }

    /// The bytes of all files.
    #[must_use]
    pub fn size(&self) -> usize {
        Space::of(self.files.values()).bytes
    }

    /// The bundles that cannot be used as they are, each with the reason.
    pub fn refused(&self) -> impl Iterator<Item = (&str, &str)> {
        self.refused
            .iter()
            .map(|(bundle, refused)| (bundle.as_str(), refused.why.as_str()))
    }

    /// The bundles and the names of the files in each, in the order of the chain.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.files
            .iter()
            .map(|(bundle, files)| (bundle.as_str(), files.keys().map(String::as_str)))
    }

    pub(super) fn bytes(&self, bundle: &str, name: &str) -> Option<&Bytes> {
        self.files.get(bundle)?.get(name)
    }

    fn too_much(&self, more: Space) -> Option<String> {
        Space::of(self.files.values()).and(more).excess()
    }
}

impl Space {
    fn of<'a>(bundles: impl IntoIterator<Item = &'a BTreeMap<String, Bytes>>) -> Self {
        let all = Self { files: 0, bytes: 0 };
        let files = bundles.into_iter().flat_map(BTreeMap::values);
        files.map(Bytes::len).fold(all, |all, bytes| {
            let file = Self { files: 1, bytes };
            all.and(file)
        })
    }

    fn and(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            bytes: self.bytes + other.bytes,
        }
    }

    /// Describes the limit that all bundles with this space exceed, if there is one.
    fn excess(self) -> Option<String> {
        let Self { files, bytes } = self;
        if files > MAX_FILES {
            Some(format!(
                "with it, all bundles have {files} plugins, more than {MAX_FILES}"
            ))
        } else if bytes > MAX_BYTES {
            Some(format!(
                "with it, all bundles have {bytes} bytes of plugins, more than {MAX_BYTES}"
            ))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, size: usize) -> (String, Bytes) {
        (name.to_owned(), vec![0; size].into())
    }

    fn refused(bundles: &Bundles) -> Vec<&str> {
        bundles.refused().map(|(bundle, _)| bundle).collect()
    }

    #[test]
    fn a_bundle_without_plugins_is_refused_until_it_has_some() {
        let mut bundles = Bundles::default();
        bundles.replace("a", [file("README.md", 1), file(".hidden.wasm", 1)]);
        assert_eq!((refused(&bundles), bundles.count()), (vec!["a"], 0));
        bundles.replace("a", [file("a.wasm", 1), file("README.md", 1)]);
        assert_eq!((refused(&bundles), bundles.count()), (vec![], 1));
        bundles.replace("a", []);
        assert_eq!((refused(&bundles), bundles.count()), (vec!["a"], 0));
        bundles.retain(|_| false);
        assert!(refused(&bundles).is_empty());
    }

    #[test]
    fn a_bundle_that_is_too_much_stays_as_it_was() {
        let mut bundles = Bundles::default();
        bundles.replace("z", [file("z.wasm", MAX_BYTES)]);
        bundles.replace("a", [file("a.wasm", 1)]);
        assert_eq!((refused(&bundles), bundles.size()), (vec!["a"], MAX_BYTES));
        bundles.replace("z", [file("z.wasm", MAX_BYTES + 1)]);
        assert_eq!(
            (refused(&bundles), bundles.size()),
            (vec!["a", "z"], MAX_BYTES)
        );
        bundles.replace("z", [file("z.wasm", 1)]);
        bundles.replace("a", [file("a.wasm", 1)]);
        assert_eq!((refused(&bundles), bundles.size()), (vec![], 2));
    }

    #[test]
    fn space_for_a_refused_bundle_is_noticed() {
        let mut bundles = Bundles::default();
        bundles.replace("full", [file("full.wasm", MAX_BYTES)]);
        bundles.replace("empty", []);
        assert!(!bundles.has_space_for_refused());
        bundles.replace("late", [file("late.wasm", 10)]);
        assert!(!bundles.has_space_for_refused());
        bundles.replace("full", [file("full.wasm", MAX_BYTES - 9)]);
        assert!(!bundles.has_space_for_refused());
        bundles.replace("full", [file("full.wasm", MAX_BYTES - 10)]);
        assert!(bundles.has_space_for_refused());
        bundles.replace("late", [file("late.wasm", 10)]);
        assert!(!bundles.has_space_for_refused());
        // The present files of a bundle do not count beside its new ones.
        bundles.replace("late", [file("late.wasm", 11)]);
        assert!(!bundles.has_space_for_refused());
        bundles.replace("full", [file("full.wasm", MAX_BYTES - 11)]);
        assert!(bundles.has_space_for_refused());
    }

    #[test]
    fn many_files_without_bytes_are_too_many() {
        let mut bundles = Bundles::default();
        let names = (0..=MAX_FILES).map(|number| file(&format!("{number}.wasm"), 0));
        bundles.replace("a", names);
        assert_eq!((refused(&bundles), bundles.count()), (vec!["a"], 0));
    }
}
