//! What an announcement means for an object. The decision depends on its arguments only.

use jiff::Timestamp;
use stoker_api::detection::GitRef;

use super::choose::choose;
use super::memory::{DeliveryId, Memory};
use super::rules::{Rejection, Rules};
use super::state::{Need, RequestState};
use super::{Announcement, Ignored, Submitted};

/// What happens with an announcement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// A request is written.
    Write(Accepted),
    /// Nothing is written, and this is the outcome.
    Keep(Submitted),
    /// The rules cannot be applied, because a field of the object is invalid.
    Refuse(String),
}

/// An announcement for which a request is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The ref to request.
    pub(super) git_ref: GitRef,
    /// Whether the object has a request for this ref already, which gets a new time stamp.
    pub(super) is_renewal: bool,
    /// The memory of the object, with this delivery.
    pub(super) memory: Memory,
}

impl Accepted {
    /// Returns the outcome, once the request is stored.
    pub(super) fn outcome(self) -> Submitted {
        if self.is_renewal {
            Submitted::AlreadySet(self.git_ref)
        } else {
            Submitted::Written(self.git_ref)
        }
    }
}

/// Decides about an announcement: its repository, the filters, the choice among its refs, whether it is a repetition,
/// its order, and whether a write is needed.
pub(super) fn decide(
    state: &RequestState,
    rules: &Rules,
    announcement: &Announcement,
    now: Timestamp,
) -> Decision {
    let accepted = match rules.accepted(&announcement.detections) {
        Ok(accepted) => accepted,
        Err(Rejection::Ignored(reason)) => return Decision::Keep(Submitted::Ignored(reason)),
        Err(Rejection::Invalid(why)) => return Decision::Refuse(why),
    };
    let Some(detection) = choose(&accepted, state) else {
        let count = accepted.len();
        return Decision::Keep(Submitted::Ignored(Ignored::NotFollowed { count }));
    };
    let git_ref = detection.git_ref.clone();
    let id = DeliveryId::of(&announcement.fingerprint, detection);
    if id.is_some_and(|id| state.memory.has(id)) {
        return Decision::Keep(Submitted::Duplicate(git_ref));
    }
    let plugin = &announcement.plugin;
    if rules.is_order_checked
        && let Some(occurred_at) = detection.occurred_at
        && let Some(last) = state.memory.last_event(plugin, now)
        && occurred_at < last.at
        // To look at the followed branch again does no harm.
        && !state.follows_branch(&git_ref)
    {
        let (git_ref, at) = (last.git_ref.clone(), last.at);
        return Decision::Keep(Submitted::Ignored(Ignored::Superseded { git_ref, at }));
    }
    let is_renewal = match state.need(detection) {
        Need::AlreadyRequested => return Decision::Keep(Submitted::AlreadySet(git_ref)),
        Need::Renew => true,
        Need::Write => false,
    };
    let occurred_at = detection.occurred_at;
    let memory = state.memory.with(id, plugin, &git_ref, occurred_at, now);
    Decision::Write(Accepted {
        git_ref,
        is_renewal,
        memory,
    })
}

#[cfg(test)]
mod tests;
