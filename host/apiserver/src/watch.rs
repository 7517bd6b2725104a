//! Watches: streams of a resource's changes.
//!
//! A watch keeps only its position in the store's history, so a client that does not read uses no buffer. If the
//! position is no longer in the history, the client receives an error and has to list again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::read;
use crate::request::{Form, Place, Query};
use crate::resource::Resource;
use crate::selector::Selection;
use crate::status::{Cause, Failure};
use crate::store::{Change, State, Store};
use crate::write::view;

/// The number of changes that are converted to lines under one lock.
const BATCH: usize = 64;
const BOOKMARK_INTERVAL: Duration = Duration::from_mins(1);
/// The default duration of a watch.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(45);
/// The annotation that marks the end of the initial events.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// The selection of a watch.
pub(crate) struct Scope {
    resource: Arc<Resource>,
    place: Place,
    selection: Selection,
    form: Form,
}

/// The signals that end a watch.
#[derive(Clone)]
pub(crate) struct Ends {
    pub(crate) stop: CancellationToken,
    pub(crate) outage: Receiver<bool>,
}

/// A running watch.
pub(crate) struct Watch {
    store: Arc<Store>,
    latest: Receiver<u64>,
    scope: Scope,
    position: u64,
    lines: VecDeque<Bytes>,
    bookmarks: bool,
    deadline: Instant,
    ends: Ends,
    done: bool,
}

impl Watch {
    pub(crate) fn start(
        store: &Arc<Store>,
        resource: Arc<Resource>,
        place: Place,
        query: &Query,
        form: Form,
        ends: Ends,
    ) -> Result<Self, Failure> {
        let selection = read::selection(&resource, query)?;
        let version = read::version(query)?;
        let initial = query.get("sendInitialEvents").is_some();
        check_initial(query)?;
        let timeout = query
            .number("timeoutSeconds")?
            .filter(|seconds| *seconds > 0);
        let timeout = timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs);
        let mut watch = Self {
            latest: store.subscribe(),
            store: store.clone(),
            scope: Scope {
                resource,
                place,
                selection,
                form,
            },
            position: version.unwrap_or_default(),
            lines: VecDeque::new(),
            bookmarks: query.flag("allowWatchBookmarks"),
            deadline: Instant::now() + timeout,
            ends,
            done: false,
        };
        let everything = if initial {
            query.flag("sendInitialEvents")
        } else {
            version.is_none()
        };
        if everything || (initial && version.is_none()) {
            watch.begin(everything);
        }
        if initial && everything && watch.bookmarks {
            let annotations = json!({ INITIAL_END: "true" });
            watch.push(
                "BOOKMARK",
                &watch.scope.bookmark(watch.position, Some(annotations)),
            );
        }
        Ok(watch)
    }

    /// Starts now, with all existing objects.
    fn begin(&mut self, everything: bool) {
        let store = self.store.clone();
        store.with(|state| {
            self.position = state.revision();
            let present = if everything {
                self.scope.present(state)
            } else {
                Vec::new()
            };
            for object in present {
                let shown = self.scope.shown(&object);
                self.push("ADDED", &shown);
            }
        });
    }

    fn push(&mut self, kind: &str, object: &Value) {
        let mut line = json!({ "type": kind, "object": object }).to_string();
        line.push('\n');
        self.lines.push_back(line.into());
    }

    /// The next line, or `None` if the watch has ended.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.done {
                return None;
            }
            self.latest.mark_unchanged();
            if !self.catch_up() && !self.done {
                self.wait().await;
            }
        }
    }

    /// Reads the next changes of the history. Returns whether there were any.
    fn catch_up(&mut self) -> bool {
        let store = self.store.clone();
        let (changes, current, served) = store.with(|state| {
            let name = &self.scope.resource.name;
            let served = state
                .registry
                .find(&name.group, &self.scope.resource.version, &name.plural)
                .is_some();
            (
                state.changes_after(self.position, BATCH),
                state.revision(),
                served,
            )
        });
        match changes {
            Err(old) => {
                let message = format!(
                    "too old resource version: {} ({})",
                    self.position, old.oldest
                );
                self.push("ERROR", &Failure::expired(message).to_value());
                self.done = true;
                true
            }
            Ok(changes) if changes.is_empty() => {
                // The resource was removed with its definition.
                self.done = !served;
                // A client may have a version that this server has not yet reached.
                self.position = self.position.max(current);
                false
            }
            Ok(changes) => {
                for change in changes {
                    self.position = change.revision;
                    if let Some((kind, object)) = self.scope.event(&change) {
                        self.push(kind, &object);
                    }
                }
                true
            }
        }
    }

    async fn wait(&mut self) {
        let bookmark = self.deadline.min(Instant::now() + BOOKMARK_INTERVAL);
        tokio::select! {
            () = self.ends.stop.cancelled() => self.done = true,
            _ = async { self.ends.outage.wait_for(|away| *away).await.is_ok() } => self.done = true,
            changed = self.latest.changed() => self.done = changed.is_err(),
            () = sleep_until(bookmark) => {
                self.done = bookmark == self.deadline;
                self.push_bookmark();
            }
        }
    }

    fn push_bookmark(&mut self) {
        if self.bookmarks {
            self.push("BOOKMARK", &self.scope.bookmark(self.position, None));
        }
    }
}

impl Scope {
    fn covers(&self, namespace: &str, name: &str) -> bool {
        let fits =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|one| one == found);
        fits(&self.place.namespace, namespace) && fits(&self.place.name, name)
    }

    fn present(&self, state: &State) -> Vec<Arc<Value>> {
        let stored = self.resource.stored_as();
        let found = state.list(&stored, self.place.namespace.as_deref());
        let covered = found.filter(|(key, object)| {
            self.covers(&key.namespace, &key.name) && self.selection.matches(object)
        });
        covered.map(|(_, object)| object.clone()).collect()
    }

    /// A change for this watch: an object that enters its selection is added, and one that leaves it is deleted.
    fn event(&self, change: &Change) -> Option<(&'static str, Value)> {
        let key = &change.key;
        if key.resource != self.resource.stored_as() || !self.covers(&key.namespace, &key.name) {
            return None;
        }
        let before = change
            .before
            .as_ref()
            .filter(|object| self.selection.matches(object));
        let after = !change.gone && self.selection.matches(&change.object);
        let (kind, object) = match (before, after) {
            (None, false) => return None,
            (None, true) => ("ADDED", (*change.object).clone()),
            (Some(_), true) => ("MODIFIED", (*change.object).clone()),
            (Some(last), false) => {
                let mut last = (**last).clone();
                last["metadata"]["resourceVersion"] = change.revision.to_string().into();
                ("DELETED", last)
            }
        };
        Some((kind, self.shown(&object)))
    }

    fn shown(&self, object: &Value) -> Value {
        read::shown(&self.resource, self.form, view(&self.resource, object))
    }

    fn bookmark(&self, revision: u64, annotations: Option<Value>) -> Value {
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        let object = json!({
            "kind": self.resource.kind,
            "apiVersion": self.resource.api_version(),
            "metadata": metadata,
        });
        read::shown(&self.resource, self.form, object)
    }
}

/// Checks the query parameters of initial events.
fn check_initial(query: &Query) -> Result<(), Failure> {
    let (initial, matching) = (
        query.get("sendInitialEvents"),
        query.get("resourceVersionMatch"),
    );
    let cause = match (initial, matching) {
        (Some(_), Some("NotOlderThan")) | (None, None) => return Ok(()),
        (Some(_), _) => Cause::forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (None, Some(_)) => Cause::forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
    };
    Err(Failure::invalid("meta.k8s.io", "ListOptions", "", &[cause]))
}
