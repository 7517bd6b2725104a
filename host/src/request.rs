//! From what a delivery announces to a request on the object: which ref, whether it is news, and the write.
//!
//! The object is the queue: once the API server has stored the annotations, nothing that happens to this process can
//! lose the request. This room writes annotations and events and nothing else, and knows neither HTTP servers nor
//! plugins.

mod cache;
mod choose;
mod events;
mod repeat;
mod writer;

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::detection::{Detection, GitRef, ObjectKey, Selection};

pub use cache::{ObjectCache, follow};
pub use events::{EventQueue, publish};
pub use writer::Requester;

/// What a delivery announces, and who recognised it.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The name of the plugin.
    pub plugin: Arc<str>,
    /// The refs, at least one, in the sender's order.
    pub detections: Vec<Detection>,
}

/// What became of an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// The API server has stored a request for this ref.
    Written(GitRef),
    /// This ref is already requested, and nothing was written.
    AlreadySet(GitRef),
}

/// Why an announcement did not become a request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// There is no such object.
    #[error("there is no GatewaySync {0}")]
    NotFound(ObjectKey),
    /// The API server did not answer, or not in time. The same delivery may succeed later.
    #[error("the Kubernetes API server cannot be reached")]
    Unavailable(#[source] Option<Box<kube::Error>>),
    /// The API server refused the write for good.
    #[error("the Kubernetes API server refused the request")]
    Refused(#[source] Box<kube::Error>),
    /// No ref was announced.
    #[error("the delivery announces no ref")]
    Nothing,
}

/// Where announcements go.
pub trait RequestSink: Send + Sync {
    /// The plugins that may say what a delivery for this object announces.
    fn detectors<'a>(
        &'a self,
        target: &'a ObjectKey,
    ) -> BoxFuture<'a, Result<Selection, RequestError>>;

    /// Makes an announcement a request on the object, and returns when it is stored.
    fn submit<'a>(
        &'a self,
        target: &'a ObjectKey,
        announcement: &'a Announcement,
    ) -> BoxFuture<'a, Result<Submitted, RequestError>>;
}
