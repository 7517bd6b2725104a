//! The objects that the receiver has written, for the controller in the same process. The controller starts a pass over a
//! request when it is stored, and does not wait for the report of its watch.

use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt as _, stream};
use kube::Resource as _;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use stoker_api::GatewaySync;
use tokio::sync::mpsc;

/// An object as the API server sends it. One that cannot be read does not affect the others.
pub(crate) type GuardedSync = DeserializeGuard<GatewaySync>;

/// The maximum number of objects that wait for the controller. The watch reports those beyond it.
const WAITING: usize = 256;

/// The objects that were written, queued for the controller.
#[derive(Debug, Clone, Default)]
pub struct WrittenObjects(Arc<Mutex<Option<mpsc::Sender<GuardedSync>>>>);

impl WrittenObjects {
    /// Adds an object as the API server answered a write of it. Without a controller, it is dropped.
    pub(crate) fn add(&self, object: GuardedSync) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*sender {
            // If the queue is full, the watch reports the object later.
            sender.try_send(object).ok();
        }
    }

    /// Adds the objects that are written from now on to the events of a watch. The store must be the one that follows the
    /// returned stream. Only one watch at a time can follow.
    ///
    /// The two may overtake each other: a written object is used only in place of an earlier version of itself, and an
    /// event is omitted where the store has a later version.
    pub(crate) fn merged_into<S>(
        &self,
        events: S,
        store: Store<GuardedSync>,
    ) -> impl Stream<Item = watcher::Result<Event<GuardedSync>>> + Send + use<S>
    where
        S: Stream<Item = watcher::Result<Event<GuardedSync>>> + Send,
    {
        let (sender, mut written) = mpsc::channel(WAITING);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        // Without a sender, because another watch follows, there are no more written objects.
        let written = stream::poll_fn(move |context| written.poll_recv(context));
        let reports = stream::select(events.map(Report::Event), written.map(Report::Written));
        let mut merge = Merge {
            store,
            is_listing: false,
        };
        reports.filter_map(move |report| ready(merge.event(report)))
    }
}

/// A version of an object, or of all.
enum Report {
    Event(watcher::Result<Event<GuardedSync>>),
    Written(GuardedSync),
}

/// Decides which reports the store lacks.
struct Merge {
    store: Store<GuardedSync>,
    is_listing: bool,
}

impl Merge {
    /// Returns the event of a report, if the store lacks it.
    fn event(&mut self, report: Report) -> Option<watcher::Result<Event<GuardedSync>>> {
        match report {
            // A list, or the watch after it, has what is written meanwhile. The end of the list would undo it.
            Report::Written(_) if self.is_listing => None,
            Report::Written(object) => {
                // An object that is unknown may have been deleted since.
                let known = self.known(&object);
                let replaces = known.is_some_and(|known| is_later(&object, &known));
                replaces.then_some(Ok(Event::Apply(object)))
            }
            Report::Event(Ok(Event::Apply(object))) => {
                let known = self.known(&object);
                let is_past = known.is_some_and(|known| is_later(&known, &object));
                (!is_past).then_some(Ok(Event::Apply(object)))
            }
            // A list replaces the whole store, whatever it knows.
            Report::Event(event) => {
                match event {
                    Ok(Event::Init) => self.is_listing = true,
                    Ok(Event::InitDone) => self.is_listing = false,
                    _ => {}
                }
                Some(event)
            }
        }
    }

    /// Returns the version of an object in the store.
    fn known(&self, object: &GuardedSync) -> Option<Arc<GuardedSync>> {
        let known = self.store.get(&ObjectRef::from_obj(object))?;
        (known.meta().uid == object.meta().uid).then_some(known)
    }
}

fn is_later(object: &GuardedSync, other: &GuardedSync) -> bool {
    let version = |object: &GuardedSync| number(object.meta().resource_version.as_deref());
    version(object)
        .zip(version(other))
        .is_some_and(|(version, other)| version > other)
}

/// Returns whether a version of an object is the other one or later.
pub(crate) fn is_as_late(version: Option<&str>, other: Option<&str>) -> bool {
    number(version)
        .zip(number(other))
        .is_some_and(|(version, other)| version >= other)
}

/// Returns a version as a number. Versions of one kind are ordered by it (Kubernetes, "Resource versions").
pub(crate) fn number(version: Option<&str>) -> Option<u64> {
    version?.parse().ok()
}

#[cfg(test)]
mod tests {
    use kube::runtime::{WatchStreamExt as _, reflector};
    use serde_json::json;

    use super::*;

    fn object(uid: &str, version: u32) -> GuardedSync {
        let object = json!({
            "metadata": {
                "namespace": "prod", "name": "plant", "uid": uid, "resourceVersion": version.to_string(),
            },
            "spec": { "git": { "repo": "https://git.example/plant", "ref": "main" } },
        });
        serde_json::from_value(object).unwrap()
    }

    /// Returns the versions that a store gets, from events and from writes, in this order.
    async fn versions(reports: Vec<Report>) -> Vec<String> {
        let (reader, writer) = reflector::store();
        let mut merge = Merge {
            store: reader,
            is_listing: false,
        };
        let events = stream::iter(reports)
            .filter_map(move |report| ready(merge.event(report)))
            .reflect(writer)
            .applied_objects();
        let versions = events.map(|object| object.unwrap().meta().resource_version.clone());
        versions.map(Option::unwrap).collect().await
    }

    fn event(uid: &str, version: u32) -> Report {
        Report::Event(Ok(Event::Apply(object(uid, version))))
    }

    fn write(uid: &str, version: u32) -> Report {
        Report::Written(object(uid, version))
    }

    #[tokio::test]
    async fn the_store_never_goes_back() {
        let reports = vec![
            event("a", 9),
            write("a", 12),
            // The watch is behind, and arrives at the write.
            event("a", 10),
            event("a", 12),
            // The watch was faster.
            event("a", 20),
            write("a", 15),
            write("a", 100),
        ];
        assert_eq!(versions(reports).await, ["9", "12", "12", "20", "100"]);
    }

    #[tokio::test]
    async fn a_written_object_that_was_deleted_does_not_return() {
        let deleted = Report::Event(Ok(Event::Delete(object("a", 11))));
        let reports = vec![
            event("a", 9),
            deleted,
            write("a", 10),
            event("b", 12),
            write("a", 13),
        ];
        assert_eq!(versions(reports).await, ["9", "12"]);
    }

    #[tokio::test]
    async fn a_list_replaces_what_is_known() {
        // The versions of a cluster that was restored from a backup begin earlier.
        let reports = vec![
            event("a", 90),
            Report::Event(Ok(Event::Init)),
            // The end of the list would undo it.
            write("a", 91),
            Report::Event(Ok(Event::InitApply(object("a", 7)))),
            Report::Event(Ok(Event::InitDone)),
            event("a", 8),
            write("a", 9),
        ];
        assert_eq!(versions(reports).await, ["90", "7", "8", "9"]);
    }

    #[tokio::test]
    async fn a_watch_that_follows_gets_what_is_written() {
        let written = WrittenObjects::default();
        written.add(object("a", 1));
        let (reader, writer) = reflector::store();
        let listed = stream::iter([Ok(Event::Apply(object("a", 2)))]).chain(stream::pending());
        let followed = written.merged_into(listed, reader).reflect(writer);
        let mut versions = Box::pin(followed.applied_objects().map(|object| {
            let object = object.unwrap();
            object.meta().resource_version.clone().unwrap()
        }));
        assert_eq!(versions.next().await.unwrap(), "2");
        written.add(object("a", 3));
        assert_eq!(versions.next().await.unwrap(), "3");
    }
}
