//! The objects that the controller wrote, and whether the API server still has them as they were written, by the watches.
//! Such an object need not be read before it is written again, and the watch's report of the write starts no pass.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use stoker_api::detection::ObjectKey;
use stoker_api::names::label;

use crate::cluster::written::number;

/// The last writes of one kind of objects, by the `GatewaySync` that they are written for.
#[derive(Debug, Default)]
pub(super) struct OwnWrites {
    objects: Mutex<HashMap<ObjectKey, Known>>,
    hashes: RandomState,
}

/// What is known of one object.
#[derive(Debug, Default)]
struct Known {
    /// The latest version that the watch reported.
    reported: u64,
    written: Option<Written>,
    /// Whether a write is under way. The watch may report it before its answer arrives.
    is_being_written: bool,
}

impl Known {
    fn current(&self) -> Option<&Written> {
        let written = self.written.as_ref();
        written.filter(|written| written.number >= self.reported)
    }
}

/// An object as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// `metadata.resourceVersion`.
    pub(super) version: String,
    /// The uid of the `GatewaySync`.
    owner: Option<String>,
    /// The version as a number.
    number: u64,
    hash: u64,
}

impl OwnWrites {
    /// Returns an object as it was written for the `GatewaySync` of this uid, if the API server still has it like this, as
    /// far as the watch has reported. Otherwise, forgets what was written, because the object is read next.
    pub(super) fn current(&self, key: &ObjectKey, owner: Option<&str>) -> Option<Written> {
        let mut objects = self.lock();
        let known = objects.get_mut(key)?;
        let current = known.current().cloned();
        known.written = current.filter(|written| written.owner.as_deref() == owner);
        known.written.clone()
    }

    /// Returns whether the watch has reported a later version than the one that was written, since the object was known
    /// to be current.
    pub(super) fn is_overtaken(&self, key: &ObjectKey) -> bool {
        let objects = self.lock();
        let known = objects.get(key);
        known.is_some_and(|known| known.written.is_some() && known.current().is_none())
    }

    /// Returns whether an object was written with this content.
    pub(super) fn has<T: Serialize>(&self, written: &Written, content: &T) -> bool {
        self.hash(content) == Some(written.hash)
    }

    /// Writes an object, and notes what is known of it then.
    pub(super) async fn write<T: Resource + Serialize, E>(
        &self,
        key: &ObjectKey,
        content: &T,
        call: impl Future<Output = Result<ObjectMeta, E>>,
    ) -> Result<(), E> {
        let writing = self.begin(key);
        writing.stored(&call.await?, content);
        Ok(())
    }

    /// Notes that a write begins. Dropping the value notes that its result is not known.
    fn begin<'a>(&'a self, key: &'a ObjectKey) -> Write<'a> {
        let mut objects = self.lock();
        let known = objects.entry(key.clone()).or_default();
        known.is_being_written = true;
        known.written = None;
        Write { writes: self, key }
    }

    /// Notes that the API server has an object of this version and content, if the watch reports its changes: it selects
    /// by the label of the manager. Others are read in each pass.
    pub(super) fn confirm<T: Resource + Serialize>(
        &self,
        key: &ObjectKey,
        stored: &ObjectMeta,
        content: &T,
    ) {
        let is_watched = manager(stored) == manager(content.meta());
        let version = stored.resource_version.as_deref();
        let written = version.filter(|_| is_watched).and_then(|version| {
            Some(Written {
                version: version.to_owned(),
                owner: owner(content),
                number: number(Some(version))?,
                hash: self.hash(content)?,
            })
        });
        self.lock().entry(key.clone()).or_default().written = written;
    }

    /// Notes the version that the watch reports for an object. Returns whether the object must be looked at.
    pub(super) fn report(&self, key: &ObjectKey, version: Option<&str>) -> bool {
        let Some(version) = number(version) else {
            self.forget(key);
            return true;
        };
        let mut objects = self.lock();
        let known = objects.entry(key.clone()).or_default();
        known.reported = known.reported.max(version);
        known.current().is_none() && !known.is_being_written
    }

    /// Forgets an object.
    pub(super) fn forget(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    /// Forgets what was written, because the watch begins again, and does not report what was deleted in between. The
    /// versions may be lower than before, if the API server was restored.
    pub(super) fn forget_all(&self) {
        for known in self.lock().values_mut() {
            known.written = None;
            known.reported = 0;
        }
    }

    fn hash<T: Serialize>(&self, content: &T) -> Option<u64> {
        let text = serde_json::to_string(content).ok()?;
        Some(self.hashes.hash_one(text))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Known>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the uid of the `GatewaySync` that an object is written for.
fn owner<T: Resource>(content: &T) -> Option<String> {
    let owner = content.owner_references().first()?;
    Some(owner.uid.clone())
}

/// Returns the label by which the watches select.
fn manager(meta: &ObjectMeta) -> Option<&String> {
    meta.labels.as_ref()?.get(label::MANAGED_BY)
}

/// A write that is under way.
#[derive(Debug)]
struct Write<'a> {
    writes: &'a OwnWrites,
    key: &'a ObjectKey,
}

impl Write<'_> {
    /// Notes that the API server has stored this content as this version.
    fn stored<T: Resource + Serialize>(self, stored: &ObjectMeta, content: &T) {
        self.writes.confirm(self.key, stored, content);
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if let Some(known) = self.writes.lock().get_mut(self.key) {
            known.is_being_written = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;
    use crate::controller::tests::fixture::key;

    fn content(commit: &str) -> ConfigMap {
        let owner = OwnerReference {
            uid: "uid-1".to_owned(),
            ..OwnerReference::default()
        };
        ConfigMap {
            metadata: ObjectMeta {
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            data: Some([("commit".to_owned(), commit.to_owned())].into()),
            ..ConfigMap::default()
        }
    }

    fn stored(version: &str) -> ObjectMeta {
        ObjectMeta {
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        }
    }

    fn version(writes: &OwnWrites) -> Option<String> {
        let written = writes.current(&key(), Some("uid-1"));
        written.map(|written| written.version)
    }

    #[test]
    fn a_write_is_current_until_the_watch_reports_a_later_version() {
        let writes = OwnWrites::default();
        assert!(writes.report(&key(), Some("7")), "another's");
        writes.begin(&key()).stored(&stored("9"), &content("a"));
        assert_eq!(version(&writes).as_deref(), Some("9"));
        let written = writes.current(&key(), Some("uid-1")).unwrap();
        assert!(writes.has(&written, &content("a")) && !writes.has(&written, &content("b")));
        // The watch may be behind.
        for late in ["8", "9"] {
            assert!(!writes.report(&key(), Some(late)) && !writes.is_overtaken(&key()));
        }
        assert_eq!(version(&writes).as_deref(), Some("9"));
        assert!(writes.report(&key(), Some("10")) && writes.is_overtaken(&key()));
        assert_eq!(version(&writes), None);
        assert!(!writes.is_overtaken(&key()), "it is read next");
        writes.confirm(&key(), &stored("10"), &content("a"));
        assert_eq!(version(&writes).as_deref(), Some("10"));
        assert_eq!(writes.current(&key(), Some("uid-2")), None);
    }

    #[test]
    fn the_report_of_a_write_may_precede_its_answer() {
        let (writes, key) = (OwnWrites::default(), key());
        let write = writes.begin(&key);
        assert!(!writes.report(&key, Some("9")));
        write.stored(&stored("9"), &content("a"));
        assert_eq!(version(&writes).as_deref(), Some("9"));
        assert!(!writes.is_overtaken(&key));
        // Somebody else wrote between the write and its answer.
        let write = writes.begin(&key);
        assert!(!writes.report(&key, Some("12")));
        write.stored(&stored("11"), &content("a"));
        assert!(writes.is_overtaken(&key));
        assert_eq!(version(&writes), None);
    }

    #[test]
    fn nothing_is_known_after_a_failed_write_or_a_new_watch() {
        let writes = OwnWrites::default();
        let forgotten: [fn(&OwnWrites); 4] = [
            |writes| drop(writes.begin(&key())),
            OwnWrites::forget_all,
            |writes| writes.forget(&key()),
            // Versions of another kind of API server.
            |writes| assert!(writes.report(&key(), Some("x"))),
        ];
        for forget in forgotten {
            writes.confirm(&key(), &stored("9"), &content("a"));
            assert_eq!(version(&writes).as_deref(), Some("9"));
            forget(&writes);
            assert_eq!(version(&writes), None);
            assert!(!writes.is_overtaken(&key()));
        }
        assert!(writes.report(&key(), Some("10")));
        writes.forget_all();
        writes.begin(&key()).stored(&stored("3"), &content("a"));
        assert_eq!(version(&writes).as_deref(), Some("3"));
    }
}
