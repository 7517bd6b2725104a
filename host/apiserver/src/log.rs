//! What was asked of the server, for tests that assert what a program did and did not do.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::request::{Place, Request};

/// Requests that are remembered.
const LIMIT: usize = 8192;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRecord {
    /// Counts the requests since the server started, from 1.
    pub number: u64,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; for what is
    /// no resource the HTTP method in lower case.
    pub verb: String,
    /// The API group, empty for the core group.
    pub group: String,
    /// The resource's plural name, empty for what is no resource.
    pub resource: String,
    /// The subresource, or nothing.
    pub subresource: Option<String>,
    /// The namespace, or nothing.
    pub namespace: Option<String>,
    /// The object's name, or nothing.
    pub name: Option<String>,
    /// The path as it was asked for.
    pub path: String,
    /// Whether nothing was to be stored.
    pub dry_run: bool,
    /// Who asked.
    pub user_agent: String,
    /// The status code of the answer.
    pub status: u16,
}

impl RequestRecord {
    /// Whether the request was to change something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !self.dry_run
            && matches!(
                self.verb.as_str(),
                "create" | "update" | "patch" | "delete" | "deletecollection"
            )
    }
}

/// The latest requests.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    inner: Mutex<(u64, VecDeque<RequestRecord>)>,
}

impl RequestLog {
    pub(crate) fn add(&self, request: &Request, verb: &str, place: Option<&Place>, status: u16) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 += 1;
        let number = inner.0;
        let place = place.cloned().unwrap_or_default();
        inner.1.push_back(RequestRecord {
            number,
            verb: verb.to_owned(),
            group: place.group,
            resource: place.resource,
            subresource: place.subresource,
            namespace: place.namespace,
            name: place.name,
            path: request.path.clone(),
            dry_run: request.query.get("dryRun").is_some(),
            user_agent: request.user_agent.clone(),
            status,
        });
        if inner.1.len() > LIMIT {
            inner.1.pop_front();
        }
    }

    pub(crate) fn all(&self) -> Vec<RequestRecord> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.1.iter().cloned().collect()
    }
}
