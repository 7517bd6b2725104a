//! The places in a body that hold the properties of a detection.

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Malformed, Request, push, text};

use crate::conditions::scalar_at;

/// The places that the settings name.
pub(crate) struct Places {
    pub(crate) git_ref: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) occurred_at: Option<String>,
    pub(crate) delivery_id: Option<String>,
}

impl Places {
    pub(crate) fn configured(request: &impl Request) -> Result<Self, Malformed> {
        Ok(Self {
            git_ref: request.configured_pointer("ref")?,
            commit: request.configured_pointer("commit")?,
            repository: request.configured_pointer("repository")?,
            event: request.configured_pointer("event")?,
            occurred_at: request.configured_pointer("occurred-at")?,
            delivery_id: request.configured_pointer("delivery-id")?,
        })
    }

    pub(crate) fn commit(&self, request: &impl Request, git_ref: &str) -> Option<String> {
        match &self.commit {
            Some(at) => request.string_at(at),
            None => push::commit(request, git_ref),
        }
    }

    pub(crate) fn is_deletion(&self, request: &impl Request) -> bool {
        let commit = self.commit.as_deref().and_then(|at| request.string_at(at));
        commit.as_deref().is_some_and(text::is_zero_id) || push::is_deletion(request)
    }

    pub(crate) fn repositories(&self, request: &impl Request) -> Vec<String> {
        match &self.repository {
            Some(at) => request.string_at(at).into_iter().collect(),
            None => push::repositories(request),
        }
    }

    pub(crate) fn event(&self, request: &impl Request) -> Option<String> {
        scalar_at(request, self.event.as_deref()?)
    }

    pub(crate) fn occurred_at(&self, request: &impl Request) -> Option<String> {
        match &self.occurred_at {
            Some(at) => request.string_at(at),
            None => push::occurred_at(request),
        }
    }

    /// Some senders use numbers as ids of deliveries.
    pub(crate) fn delivery_id(&self, request: &impl Request) -> Option<String> {
        scalar_at(request, self.delivery_id.as_deref()?)
    }
}
