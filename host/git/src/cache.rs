//! The data that the client keeps between lookups. The capabilities of servers are kept, so that the next lookup does
//! not wait for an advertisement. Ids of commits are kept, so that each id is verified once. Refs are never kept.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use stoker_api::detection::CommitId;
use url::Url;

use super::advertisement::Capabilities;
use super::lock::lock;

/// The maximum number of entries of each kind that are kept. A removed entry costs one additional request.
pub(super) const CAPACITY: usize = 16_384;

/// The capabilities of the servers of repositories.
#[derive(Debug, Default)]
pub(super) struct CapabilityCache(Mutex<HashMap<Url, Capabilities>>);

impl CapabilityCache {
    /// Returns the capabilities that the server of a repository advertised.
    pub(super) fn get(&self, repo: &Url) -> Option<Capabilities> {
        lock(&self.0).get(repo).cloned()
    }

    /// Stores the capabilities of the server of a repository.
    pub(super) fn insert(&self, repo: &Url, capabilities: Capabilities) {
        let mut known = lock(&self.0);
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(repo.clone(), capabilities);
    }

    /// Removes the capabilities of a server whose answer contradicts them.
    pub(super) fn remove(&self, repo: &Url) {
        lock(&self.0).remove(repo);
    }
}

/// Ids that are known to be ids of commits. An id is derived from the type and the content of its object, so an id of a
/// commit in one repository is an id of a commit in every repository.
#[derive(Debug, Default)]
pub(super) struct KnownCommits(Mutex<HashSet<CommitId>>);

impl KnownCommits {
    pub(super) fn contains(&self, id: &CommitId) -> bool {
        lock(&self.0).contains(id)
    }

    pub(super) fn insert(&self, id: CommitId) {
        let mut known = lock(&self.0);
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(index: usize) -> Url {
        Url::parse(&format!("https://h/o/r-{index}.git")).unwrap()
    }

    #[test]
    fn capabilities_are_remembered_until_they_are_removed() {
        let cache = CapabilityCache::default();
        assert_eq!(cache.get(&repo(1)), None);
        let capabilities = Capabilities {
            ls_refs: true,
            ..Capabilities::default()
        };
        cache.insert(&repo(1), capabilities.clone());
        assert_eq!(cache.get(&repo(1)), Some(capabilities));
        assert_eq!(cache.get(&repo(2)), None);
        cache.remove(&repo(1));
        assert_eq!(cache.get(&repo(1)), None);
    }

    #[test]
    fn the_caches_are_bounded() {
        let (servers, commits) = (CapabilityCache::default(), KnownCommits::default());
        for index in 0..=CAPACITY {
            servers.insert(&repo(index), Capabilities::default());
            commits.insert(CommitId::parse(&format!("{:040x}", index + 1)).unwrap());
        }
        assert_eq!(lock(&servers.0).len(), 1);
        assert_eq!(lock(&commits.0).len(), 1);
    }
}
