//! From the refs that a delivery announces to a request on the object: finds the object, decides what the announcement
//! means for it, and writes the annotations.
//!
//! The object is the queue. Once the API server has stored the annotations, no failure of this process loses the
//! request. This module writes annotations and Events only, and knows neither HTTP servers nor plugins.

mod accepted;
mod choose;
mod decide;
mod events;
mod objects;
mod outcome;
mod queue;
mod rules;
mod state;
mod writer;

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::time::Instant;

use state::RequestState;
use stoker_api::detection::{Detection, DetectorSelection, ObjectKey};
use stoker_api::{SecretKey, WebhookSpec};

use crate::delivery::Fingerprint;

pub use events::COMPONENT;
pub use objects::{ObjectCache, follow};
pub use outcome::{Ignored, RequestError, Submitted};
pub use queue::Requester;

/// The object that a delivery is for, as it was when the delivery arrived.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its namespace and name.
    pub key: ObjectKey,
    /// The deliveries that it accepts.
    pub policy: Policy,
    snapshot: Snapshot,
}

/// What decides about announcements for an object, at one version of the object.
#[derive(Debug, Clone, Default)]
struct Snapshot {
    state: RequestState,
    /// `spec.webhook`, whose rules are parsed when they are applied.
    webhook: WebhookSpec,
    /// `metadata.resourceVersion`.
    version: Option<String>,
    uid: Option<String>,
}

/// Returns a detection that announces a ref and nothing else.
#[cfg(test)]
fn detection(git_ref: &str) -> Detection {
    Detection {
        git_ref: stoker_api::detection::GitRef::parse(git_ref).unwrap(),
        is_tag: false,
        commit: None,
        repositories: Vec::new(),
        event: None,
        occurred_at: None,
        delivery_id: None,
    }
}

#[cfg(test)]
impl Target {
    /// Returns an object on which nothing was requested.
    pub(crate) fn for_tests(key: ObjectKey, policy: Policy) -> Self {
        Self {
            key,
            policy,
            snapshot: Snapshot::default(),
        }
    }
}

/// The deliveries that an object accepts, according to its `spec.webhook`.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The plugins that may answer for it.
    pub detectors: DetectorSelection,
    /// The Secret with the object's own key, which then is the only key for it.
    pub secret: Option<SecretKey>,
    /// The addresses from which deliveries are accepted, or `None` for all.
    pub allowed_sources: Option<Vec<String>>,
}

/// The refs that a delivery announces, and the plugin that recognised it.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The name of the plugin.
    pub plugin: Arc<str>,
    /// The number of the plugin. A plugin in another version, or with other settings, has another number.
    pub plugin_number: u64,
    /// The refs, at least one, in the sender's order.
    pub detections: Vec<Detection>,
    /// What identifies the delivery.
    pub fingerprint: Fingerprint,
}

/// How a delivery ended that announces nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unannounced {
    /// A plugin ignored it.
    Ignored,
    /// No plugin could use it.
    Refused,
    /// It comes from a source that the object does not allow.
    WrongSource,
    /// The object has a secret or a list of sources that cannot be used.
    Misconfigured,
}

/// The objects that deliveries are for, and the requests on them.
pub trait Requests: Send + Sync {
    /// Finds an object among those that are watched, without I/O.
    ///
    /// The search takes as long for an object that does not exist. An object that was created an instant ago may be
    /// missing; [`Requests::read`] finds it.
    fn find(&self, key: &ObjectKey) -> Option<Target>;

    /// Reads an object from the API server.
    fn read<'a>(
        &'a self,
        key: &'a ObjectKey,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Target, RequestError>>;

    /// Returns the outcome of a delivery which repeats one that was answered by [`Requests::submit`], and the number of
    /// the plugin that recognised it. Returns `None` if this is not known without the content of the delivery, or if the
    /// plugin with this number may not answer.
    fn recall(
        &self,
        target: &Target,
        fingerprint: &Fingerprint,
        may_answer: &dyn Fn(u64) -> bool,
    ) -> Option<(u64, Submitted)>;

    /// Makes an announcement a request on the object. Returns once it is stored, or at the deadline.
    fn submit(
        &self,
        target: Target,
        announcement: Announcement,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<Submitted, RequestError>>;

    /// Reports on the object how a delivery ended that announces nothing. The text must not contain data that only the
    /// sender may see. The report is written later, and may be dropped.
    fn report(&self, target: &Target, unannounced: Unannounced, why: &str);
}
