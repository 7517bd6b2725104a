//! From the refs that a delivery announces to a request on the object: finds the object, chooses the ref, decides
//! whether a write is needed, and writes the annotations.
//!
//! The object is the queue. Once the API server has stored the annotations, no failure of this process loses the
//! request. This module writes annotations and Events only, and knows neither HTTP servers nor plugins.

mod choose;
mod events;
mod objects;
mod queue;
mod state;
mod writer;

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::time::Instant;

use state::RequestState;
use stoker_api::SecretKey;
use stoker_api::detection::{Detection, DetectorSelection, GitRef, ObjectKey};

pub use events::{EventQueue, publish};
pub use objects::{ObjectCache, follow};
pub use queue::Requester;

/// The object that a delivery is for, as it was when the delivery arrived.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its namespace and name.
    pub key: ObjectKey,
    /// The deliveries that it accepts.
    pub policy: Policy,
    state: RequestState,
}

#[cfg(test)]
impl Target {
    /// Returns an object on which nothing was requested.
    pub(crate) fn for_tests(key: ObjectKey, policy: Policy) -> Self {
        Self {
            key,
            policy,
            state: RequestState::default(),
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
    /// The refs, at least one, in the sender's order.
    pub detections: Vec<Detection>,
}

/// The outcome of an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// The API server has stored a request for this ref, or for a later one that supersedes it.
    Written(GitRef),
    /// This ref is requested already, by the API server's present state. At most the time stamp was written again.
    AlreadySet(GitRef),
}

/// The reason why an announcement did not become a request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestError {
    /// The object does not exist.
    #[error("there is no GatewaySync {0}")]
    NotFound(ObjectKey),
    /// The stored object does not have the shape of a `GatewaySync`, so what it accepts is unknown.
    #[error("the GatewaySync {key} is invalid: {why}")]
    Invalid {
        /// The object.
        key: ObjectKey,
        /// What is wrong with it.
        why: String,
    },
    /// The API server did not answer before the deadline. The same delivery may succeed later.
    #[error("the Kubernetes API server cannot be reached")]
    Unavailable(#[source] Option<Arc<kube::Error>>),
    /// The API server refused the request.
    #[error("the Kubernetes API server refused the request")]
    Refused(#[source] Arc<kube::Error>),
    /// Very many refs were announced, and the object follows none of them.
    #[error("none of the {count} refs is the one that the object follows")]
    NotFollowed {
        /// The number of announced refs.
        count: usize,
    },
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

    /// Makes an announcement a request on the object. Returns once it is stored, or at the deadline.
    fn submit(
        &self,
        target: Target,
        announcement: Announcement,
        deadline: Instant,
    ) -> BoxFuture<'_, Result<Submitted, RequestError>>;
}
