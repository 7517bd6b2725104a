//! Reads and writes of objects at the API server, each within the deadline of a sender.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use stoker_api::detection::{GitRef, ObjectKey};
use stoker_api::names::annotation;
use tokio::time::{Instant, timeout_at};

use super::events::EventQueue;
use super::objects::{self, Guarded};
use super::state::RequestState;
use super::{RequestError, Target};

/// The manager of the annotations, in `managedFields`.
const FIELD_MANAGER: &str = "stoker-receiver";
/// The maximum number of tries of a write that the API server answers with a conflict. This process writes to an object
/// one request at a time, so conflicts are rare.
const ATTEMPTS: u32 = 5;

/// Reads objects and writes requests.
pub(super) struct Writer {
    client: Client,
    events: EventQueue,
    clock: Clock,
    namespace: Option<String>,
}

impl Writer {
    pub(super) fn new(client: Client, events: EventQueue, namespace: Option<String>) -> Self {
        Self {
            client,
            events,
            clock: Clock::default(),
            namespace,
        }
    }

    /// Reads the present state of an object. An object outside of the namespace that this process follows does not
    /// exist. The API server would refuse the read, so another object is read instead: the answer takes as long.
    pub(super) async fn read(
        &self,
        key: &ObjectKey,
        deadline: Instant,
    ) -> Result<Target, RequestError> {
        let namespace = self.namespace.as_deref().unwrap_or(key.namespace());
        let api: Api<Guarded> = Api::namespaced(self.client.clone(), namespace);
        let answer = timeout_at(deadline, api.get(key.name())).await;
        let object = answer
            .map_err(|_| RequestError::Unavailable(None))?
            .map_err(|error| failure(key, error))?;
        if namespace != key.namespace() {
            return Err(RequestError::NotFound(key.clone()));
        }
        objects::target(key, &object)
    }

    /// Writes a request. The merge patch carries no resource version, so that it does not conflict with other writers.
    pub(super) async fn write(
        &self,
        key: &ObjectKey,
        git_ref: &GitRef,
        plugin: &str,
        deadline: Instant,
    ) -> Result<Stamp, RequestError> {
        let requested_at = self.clock.next();
        let patch = Patch::Merge(json!({"metadata": {"annotations": {
            annotation::REQUESTED_REF: git_ref.as_str(),
            annotation::REQUESTED_AT: requested_at.to_string(),
            annotation::REQUESTED_BY: plugin,
        }}}));
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let api = self.api(key);
        let attempts = async {
            let mut attempt = 1;
            loop {
                match api.patch_metadata(key.name(), &params, &patch).await {
                    Err(kube::Error::Api(status)) if status.is_conflict() && attempt < ATTEMPTS => {
                        attempt += 1;
                    }
                    answer => return answer,
                }
            }
        };
        let written = timeout_at(deadline, attempts)
            .await
            .map_err(|_| RequestError::Unavailable(None))?
            .map_err(|error| failure(key, error))?;
        self.events.received(&written.metadata, git_ref, plugin);
        Ok(requested_at)
    }

    fn api(&self, key: &ObjectKey) -> Api<Guarded> {
        Api::namespaced(self.client.clone(), key.namespace())
    }
}

fn failure(key: &ObjectKey, error: kube::Error) -> RequestError {
    match &error {
        kube::Error::Api(status) if status.is_not_found() => RequestError::NotFound(key.clone()),
        kube::Error::Api(status) if status.code < 500 && status.code != 429 => {
            RequestError::Refused(Arc::new(error))
        }
        _ => RequestError::Unavailable(Some(Arc::new(error))),
    }
}

/// The value of the annotation `requested-at`. It prints as RFC 3339 with nine fractional digits, so that the stamps of
/// one process sort as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(Timestamp);

impl Stamp {
    /// Returns whether the watch has reported the write with this stamp, or a later one.
    pub(super) fn is_reported_by(self, watched: &RequestState) -> bool {
        let reported = watched.requested_at.as_deref();
        reported
            .and_then(|text| text.parse::<Timestamp>().ok())
            .is_some_and(|reported| reported >= self.0)
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:.9}", self.0)
    }
}

/// Returns stamps that never repeat and never go back, even where the system's clock does.
#[derive(Default)]
struct Clock {
    last: AtomicI64,
}

impl Clock {
    fn next(&self) -> Stamp {
        let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        let advance = |last: i64| now.max(last.saturating_add(1));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(advance(last))
            });
        let stamp = last.map_or(now, advance);
        Stamp(Timestamp::from_nanosecond(i128::from(stamp)).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_and_have_nine_digits() {
        let clock = Clock::default();
        let stamps: Vec<_> = (0..1000).map(|_| clock.next().to_string()).collect();
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(stamps[0].len(), "2026-01-02T03:04:05.123456789Z".len());
    }
}
