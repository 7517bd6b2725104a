//! The inputs of a lookup.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use kube::ResourceExt as _;
use stoker_api::GatewaySync;
use stoker_api::names::annotation;

use crate::controller::watch::LAST_APPLIED;

/// The inputs of a lookup. If any of them changes, the last lookup is not used any more, and the delays after failures
/// start again with the shortest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::controller) struct LookupKey {
    pub(super) uid: Option<String>,
    pub(super) generation: Option<i64>,
    pub(super) git_ref: String,
    pub(super) requested_ref: Option<String>,
    pub(super) requested_at: Option<String>,
    /// A hash of the annotations that others write. A change of them alone is a wish for a new lookup, as `kubectl annotate`
    /// with any name is. It keeps the delays and the last lookup.
    pub(super) annotations: u64,
}

impl LookupKey {
    pub(in crate::controller) fn of(sync: &GatewaySync) -> Self {
        Self {
            uid: sync.uid(),
            generation: sync.metadata.generation,
            git_ref: sync.effective_ref().to_owned(),
            requested_ref: sync.requested_ref().map(str::to_owned),
            requested_at: sync.requested_at().map(str::to_owned),
            annotations: annotations_of_others(sync),
        }
    }

    pub(in crate::controller) fn requested_at(&self) -> Option<&str> {
        self.requested_at.as_deref()
    }

    /// Returns whether only the annotations of others differ.
    pub(super) fn is_annotated(&self, before: &Self) -> bool {
        let annotated = Self {
            annotations: self.annotations,
            ..before.clone()
        };
        self.annotations != before.annotations && *self == annotated
    }

    /// Returns whether these are the inputs of `before` after the removal of the requested ref, and the ref is the same
    /// without it. A request without a time that is made again is then new.
    pub(super) fn is_cleared(&self, before: &Self) -> bool {
        let cleared = Self {
            requested_ref: None,
            ..before.clone()
        };
        *self == cleared
    }
}

/// Returns a hash of the annotations that neither Stoker nor `kubectl apply` writes.
fn annotations_of_others(sync: &GatewaySync) -> u64 {
    let mut hasher = DefaultHasher::new();
    let others = sync.annotations().iter();
    others
        .filter(|(name, _)| {
            !annotation::WRITTEN_BY_STOKER.contains(&name.as_str()) && *name != LAST_APPLIED
        })
        .for_each(|annotation| annotation.hash(&mut hasher));
    hasher.finish()
}
