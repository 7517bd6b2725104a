//! What servers could do when they were last asked, so that the next question need not wait for another greeting.
//!
//! It knows servers, and nothing of their refs: those are asked for each time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use url::Url;

use super::greeting::Capabilities;

/// Repositories that are remembered at most. One that is forgotten costs one request.
const CAPACITY: usize = 16_384;

/// What is known of the servers of repositories.
#[derive(Debug, Default)]
pub(super) struct Servers(Mutex<HashMap<Url, Capabilities>>);

impl Servers {
    /// What the server of this repository said that it can do.
    pub(super) fn recall(&self, repo: &Url) -> Option<Capabilities> {
        self.lock().get(repo).cloned()
    }

    /// Remembers it.
    pub(super) fn keep(&self, repo: &Url, can: Capabilities) {
        let mut known = self.lock();
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(repo.clone(), can);
    }

    /// Forgets it: the server did not answer as one that can.
    pub(super) fn forget(&self, repo: &Url) {
        self.lock().remove(repo);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Url, Capabilities>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(index: usize) -> Url {
        Url::parse(&format!("https://h/o/r-{index}.git")).unwrap()
    }

    #[test]
    fn remembers_until_told_to_forget() {
        let servers = Servers::default();
        assert_eq!(servers.recall(&repo(1)), None);
        let can = Capabilities {
            ls_refs: true,
            ..Capabilities::default()
        };
        servers.keep(&repo(1), can.clone());
        assert_eq!(servers.recall(&repo(1)), Some(can));
        assert_eq!(servers.recall(&repo(2)), None);
        servers.forget(&repo(1));
        assert_eq!(servers.recall(&repo(1)), None);
    }

    #[test]
    fn holds_no_more_than_its_capacity() {
        let servers = Servers::default();
        for index in 0..=CAPACITY {
            servers.keep(&repo(index), Capabilities::default());
        }
        assert_eq!(servers.lock().len(), 1);
    }
}
