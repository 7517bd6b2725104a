//! What became of an announcement. Each outcome has a reason for the answer, and a text.

use std::sync::Arc;

use jiff::Timestamp;
use stoker_api::detection::{GitRef, ObjectKey};

use crate::reason::Reason;

/// The outcome of an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// The API server has stored a request for this ref, or for a later one that supersedes it.
    Written(GitRef),
    /// This ref is requested already, by the API server's present state. At most the time stamp was written again.
    AlreadySet(GitRef),
    /// The same delivery, which announces this ref, was accepted before.
    Duplicate(GitRef),
    /// The object does not take the announcement, by the API server's present state.
    Ignored(Ignored),
}

impl Submitted {
    /// Returns the reason of the answer.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Written(_) => Reason::Requested,
            Self::AlreadySet(_) => Reason::AlreadyRequested,
            Self::Duplicate(_) => Reason::Duplicate,
            Self::Ignored(ignored) => ignored.reason(),
        }
    }
}

/// The reason why an object does not take an announcement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// The delivery is about another repository.
    #[error("the webhook is about {named}, and not about {followed}")]
    OtherRepository {
        /// The repositories that the delivery names.
        named: String,
        /// The repository of the object.
        followed: String,
    },
    /// The delivery names no repository, and the object requires one.
    #[error(
        "the webhook names no repository, and spec.webhook.repositoryCheck requires {followed}"
    )]
    NoRepository {
        /// The repository of the object.
        followed: String,
    },
    /// The object does not accept the ref.
    #[error("ref {git_ref:?} is not accepted: {why}", git_ref = .git_ref.as_str())]
    RefNotAccepted {
        /// The ref.
        git_ref: GitRef,
        /// The rule that does not accept it.
        why: &'static str,
    },
    /// The object does not accept the event.
    #[error("{}", event_text(.event.as_deref()))]
    EventNotAccepted {
        /// The event, or `None` if the plugin does not name it.
        event: Option<String>,
    },
    /// The object does not accept the version of the tag.
    #[error("ref {git_ref:?} is not accepted: {why}", git_ref = .git_ref.as_str())]
    VersionNotAccepted {
        /// The ref.
        git_ref: GitRef,
        /// The rule that does not accept it.
        why: String,
    },
    /// The event happened before the last event that was accepted from the same plugin.
    #[error("superseded by {git_ref}, which happened at {at}")]
    Superseded {
        /// The ref of the later event.
        git_ref: String,
        /// The time of the later event, by the sender's clock.
        at: Timestamp,
    },
    /// The object is being deleted, so nothing would follow the ref.
    #[error("the GatewaySync is being deleted")]
    BeingDeleted,
    /// Very many refs were announced, and the object follows none of them.
    #[error("none of the {count} refs is the one that the object follows")]
    NotFollowed {
        /// The number of announced refs that the rules accept.
        count: usize,
    },
}

fn event_text(event: Option<&str>) -> String {
    match event {
        Some(event) => format!("event {event:?} is not accepted by spec.webhook.events"),
        None => {
            "the plugin gives no event (the attribute \"event\" of a detection), and spec.webhook.events requires one".to_owned()
        }
    }
}

impl Ignored {
    /// Returns the reason of the answer.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::OtherRepository { .. } => Reason::OtherRepository,
            Self::NoRepository { .. } => Reason::NoRepository,
            Self::RefNotAccepted { .. } => Reason::RefNotAccepted,
            Self::EventNotAccepted { .. } => Reason::EventNotAccepted,
            Self::VersionNotAccepted { .. } => Reason::VersionNotAccepted,
            Self::Superseded { .. } => Reason::Superseded,
            Self::BeingDeleted => Reason::BeingDeleted,
            Self::NotFollowed { .. } => Reason::NotFollowed,
        }
    }
}

/// The reason why an announcement could not become a request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestError {
    /// The object does not exist.
    #[error("there is no GatewaySync {0}")]
    NotFound(ObjectKey),
    /// A field of the object is invalid, so what the object accepts is unknown.
    #[error("the GatewaySync {key} is invalid: {why}")]
    Invalid {
        /// The object.
        key: ObjectKey,
        /// What is wrong with it.
        why: String,
    },
    /// The API server did not store the request before the deadline. The same delivery may succeed later. Without a cause,
    /// it did not answer in time.
    #[error("{}", unavailable_text(.0.is_some()))]
    Unavailable(#[source] Option<Arc<kube::Error>>),
    /// The API server refused the request.
    #[error("the Kubernetes API server refused the request")]
    Refused(#[source] Arc<kube::Error>),
}

fn unavailable_text(has_cause: bool) -> &'static str {
    if has_cause {
        "the Kubernetes API server cannot be reached"
    } else {
        "the Kubernetes API server did not answer in time"
    }
}

impl RequestError {
    /// Returns the reason of the answer.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotFound(_) => Reason::NotFound,
            Self::Invalid { .. } => Reason::InvalidObject,
            Self::Unavailable(_) => Reason::ApiUnavailable,
            Self::Refused(_) => Reason::ApiRefused,
        }
    }
}
