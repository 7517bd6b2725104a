//! The objects, the counter that orders their changes, and the history of the latest changes.
//!
//! One lock protects everything. Watches have no buffers: they read the history at their own pace, and
//! a watch that is too slow has to start again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::resource::{GroupResource, Registry};

/// The key of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) resource: GroupResource,
    /// Empty for objects without a namespace.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// One change. A new object has no `before`, and a removed one has no `after`.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) key: Key,
    pub(crate) before: Option<Arc<Value>>,
    /// The last state, even of a removed object.
    pub(crate) object: Arc<Value>,
    pub(crate) gone: bool,
}

/// The state that the lock protects.
#[derive(Debug)]
pub(crate) struct State {
    objects: BTreeMap<Key, Arc<Value>>,
    revision: u64,
    history: VecDeque<Arc<Change>>,
    history_limit: usize,
    /// The newest change that is no longer in the history.
    forgotten: u64,
    pub(crate) registry: Arc<Registry>,
    /// Whether objects without a remaining owner are deleted.
    pub(crate) collect: bool,
}

/// The store.
#[derive(Debug)]
pub(crate) struct Store {
    state: Mutex<State>,
    latest: watch::Sender<u64>,
}

impl Store {
    pub(crate) fn new(registry: Registry, history_limit: usize, collect: bool) -> Self {
        let state = State {
            objects: BTreeMap::new(),
            revision: 1,
            history: VecDeque::new(),
            history_limit: history_limit.max(1),
            forgotten: 0,
            registry: Arc::new(registry),
            collect,
        };
        Self {
            state: Mutex::new(state),
            latest: watch::Sender::new(1),
        }
    }

    /// Runs `work` on the state, and notifies the watches if it changed anything.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.revision;
        let result = work(&mut state);
        let after = state.revision;
        drop(state);
        if after != before {
            self.latest.send_if_modified(|latest| {
                let newer = after > *latest;
                *latest = after.max(*latest);
                newer
            });
        }
        result
    }

    /// Notifies of new revisions.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }
}

/// The history does not reach back far enough.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooOld {
    /// The oldest revision from which a watch can start.
    pub(crate) oldest: u64,
}

impl State {
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// The objects of a resource, by namespace and name.
    pub(crate) fn list<'a>(
        &'a self,
        resource: &'a GroupResource,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let first = Key {
            resource: resource.clone(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: String::new(),
        };
        self.objects.range(first..).take_while(move |(key, _)| {
            key.resource == *resource && namespace.is_none_or(|wanted| key.namespace == wanted)
        })
    }

    /// All objects.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.iter()
    }

    /// Stores a new or changed object under the next revision.
    pub(crate) fn put(&mut self, key: &Key, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let object = Arc::new(object);
        let before = self.objects.insert(key.clone(), object.clone());
        self.record(key, before, object.clone(), false);
        object
    }

    /// Removes an object and returns its last state, with a new revision.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        self.revision += 1;
        let mut last = (*before).clone();
        last["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let last = Arc::new(last);
        self.record(key, Some(before), last.clone(), true);
        Some(last)
    }

    fn record(&mut self, key: &Key, before: Option<Arc<Value>>, object: Arc<Value>, gone: bool) {
        let change = Change {
            revision: self.revision,
            key: key.clone(),
            before,
            object,
            gone,
        };
        self.history.push_back(Arc::new(change));
        while self.history.len() > self.history_limit {
            if let Some(oldest) = self.history.pop_front() {
                self.forgotten = oldest.revision;
            }
        }
    }

    /// At most `limit` changes after a revision, oldest first.
    pub(crate) fn changes_after(
        &self,
        revision: u64,
        limit: usize,
    ) -> Result<Vec<Arc<Change>>, TooOld> {
        if revision < self.forgotten {
            return Err(TooOld {
                oldest: self.forgotten,
            });
        }
        let first = self
            .history
            .partition_point(|change| change.revision <= revision);
        Ok(self
            .history
            .iter()
            .skip(first)
            .take(limit)
            .cloned()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(namespace: &str, name: &str) -> Key {
        Key {
            resource: GroupResource::new("", "configmaps"),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn object(name: &str) -> Value {
        json!({ "metadata": { "name": name } })
    }

    #[test]
    fn every_change_has_its_own_revision() {
        let store = Store::new(Registry::default(), 10, true);
        let mut latest = store.subscribe();
        store.with(|state| {
            let first = state.put(&key("a", "x"), object("x"));
            let second = state.put(&key("a", "x"), object("x"));
            let gone = state.remove(&key("a", "x")).expect("it was there");
            let versions =
                [first, second, gone].map(|one| one["metadata"]["resourceVersion"].clone());
            assert_eq!(versions, [json!("2"), json!("3"), json!("4")]);
            let changes = state.changes_after(2, 10).expect("a short history");
            assert_eq!(
                changes
                    .iter()
                    .map(|one| (one.revision, one.gone))
                    .collect::<Vec<_>>(),
                [(3, false), (4, true)]
            );
        });
        assert_eq!(*latest.borrow_and_update(), 4);
    }

    #[test]
    fn a_list_is_of_one_namespace_or_all() {
        let store = Store::new(Registry::default(), 10, true);
        store.with(|state| {
            for (namespace, name) in [("b", "1"), ("a", "2"), ("a", "1"), ("ab", "3")] {
                state.put(&key(namespace, name), object(name));
            }
            let resource = GroupResource::new("", "configmaps");
            let names = |namespace| {
                let found = state.list(&resource, namespace);
                found
                    .map(|(key, _)| format!("{}/{}", key.namespace, key.name))
                    .collect::<Vec<_>>()
            };
            assert_eq!(names(Some("a")), ["a/1", "a/2"]);
            assert_eq!(names(None), ["a/1", "a/2", "ab/3", "b/1"]);
            assert_eq!(
                state.list(&GroupResource::new("", "secrets"), None).count(),
                0
            );
        });
    }

    #[test]
    fn the_history_is_bounded() {
        let store = Store::new(Registry::default(), 2, true);
        store.with(|state| {
            for _ in 0..4 {
                state.put(&key("a", "x"), object("x"));
            }
            assert_eq!(
                state.changes_after(2, 10).map(|_| ()),
                Err(TooOld { oldest: 3 })
            );
            assert_eq!(state.changes_after(3, 10).map(|list| list.len()), Ok(2));
            assert_eq!(state.changes_after(3, 1).map(|list| list.len()), Ok(1));
            assert_eq!(state.changes_after(9, 10).map(|list| list.len()), Ok(0));
        });
    }
}
