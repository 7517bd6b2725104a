//! Connects the requests with the lookups: the lookup of a ref begins while the request for it is being written.

use stoker_api::detection::{GitRef, ObjectKey};
use stoker_git::RefSource;

use crate::lookups::Lookups;
use crate::request::Prefetch;

/// Looks up the refs that are being requested.
pub(super) struct RequestedRefs<G>(pub(super) Lookups<G>);

impl<G: RefSource> Prefetch for RequestedRefs<G> {
    fn prefetch(&self, key: &ObjectKey, git_ref: &GitRef, requested_at: &str) {
        self.0.prefetch(key, git_ref, requested_at);
    }
}
