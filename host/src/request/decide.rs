//! What an announcement means for an object. The decision depends on its arguments only.

use jiff::Timestamp;
use stoker_api::detection::{CommitId, Detection, GitRef, RefName};

use super::accepted::{AcceptedDeliveries, DeliveryId, LastEvent};
use super::choose::choose;
use super::rules::{Rejection, Rules};
use super::state::{Need, RequestState};
use super::{Announcement, Ignored, Submitted};

/// What happens with an announcement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// A request is written.
    Write(NewRequest),
    /// Nothing is written, and this is the outcome.
    Keep(Submitted),
    /// No request is written, because the ref is requested already. The delivery is accepted and must be remembered, or
    /// a repetition of it could return to the ref later.
    AlreadySet {
        /// The requested ref.
        git_ref: GitRef,
        /// The accepted deliveries of the object, with this one.
        accepted: AcceptedDeliveries,
    },
    /// The rules cannot be applied, because a field of the object is invalid.
    Refuse(String),
}

/// A request to write for an announcement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NewRequest {
    /// The ref to request.
    pub(super) git_ref: GitRef,
    /// The commit that the ref is to lead to, if the sender names it.
    pub(super) commit: Option<CommitId>,
    /// Why it is written.
    pub(super) kind: Kind,
    /// The accepted deliveries of the object, with this one.
    pub(super) accepted: AcceptedDeliveries,
}

impl NewRequest {
    /// Returns the outcome, once the request is stored.
    pub(super) fn outcome(self) -> Submitted {
        match self.kind {
            Kind::New => Submitted::Written(self.git_ref),
            Kind::Renewal => Submitted::AlreadySet(self.git_ref),
            Kind::Repetition => Submitted::Duplicate(self.git_ref),
        }
    }
}

/// Why a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The object has another request, or none.
    New,
    /// The object has a request for this ref already, which gets a new time stamp.
    Renewal,
    /// The same delivery was accepted before, and the object still follows its ref.
    Repetition,
}

/// Decides about an announcement: its repository, the filters, the choice among its refs, whether it is a repetition,
/// its order, and whether a write is needed.
pub(super) fn decide(
    state: &RequestState,
    rules: &Rules,
    announcement: &Announcement,
    now: Timestamp,
) -> Decision {
    if state.is_deleting {
        return Decision::Keep(Submitted::Ignored(Ignored::BeingDeleted));
    }
    let detections = match rules.accepted(&announcement.detections) {
        Ok(detections) => detections,
        Err(Rejection::Ignored(reason)) => return Decision::Keep(Submitted::Ignored(reason)),
        Err(Rejection::Invalid(why)) => return Decision::Refuse(why),
    };
    let Some(detection) = choose(&detections, state) else {
        let count = detections.len();
        return Decision::Keep(Submitted::Ignored(Ignored::NotFollowed { count }));
    };
    let detection = &Detection {
        git_ref: rules
            .qualify(detection)
            .unwrap_or_else(|| detection.git_ref.clone()),
        ..detection.clone()
    };
    let git_ref = detection.git_ref.clone();
    let id = DeliveryId::of(announcement, detection);
    let later = later_event(state, rules, announcement, detection, now);
    // The branch has left the commit of an earlier push.
    let commit = detection.commit.clone().filter(|_| later.is_none());
    if state.accepted.has_signed(&announcement.fingerprint)
        || id.is_some_and(|id| state.accepted.has(id))
    {
        return repeat(state, detection, commit, later.is_some());
    }
    let accepted = || state.accepted.with(announcement, detection, now);
    // A second lookup of the followed branch changes nothing.
    if let Some(last) = later.filter(|_| !state.follows_branch(detection)) {
        // The forge reports a release and the push of its tag.
        if is_requested_tag(state, detection, &last.git_ref) {
            let accepted = accepted();
            return Decision::AlreadySet { git_ref, accepted };
        }
        let (git_ref, at) = (last.git_ref.clone(), last.at);
        return Decision::Keep(Submitted::Ignored(Ignored::Superseded { git_ref, at }));
    }
    let accepted = accepted();
    let kind = match state.need(detection) {
        Need::AlreadyRequested => return Decision::AlreadySet { git_ref, accepted },
        // The request that is not handled yet is that of the later event, with the commit of that one.
        Need::Renew if later.is_some() => return Decision::AlreadySet { git_ref, accepted },
        Need::Renew => Kind::Renewal,
        // The answer depends on the text of the request alone, as that of the Go operator does.
        Need::Write if state.is_requested(&git_ref) => Kind::Renewal,
        Need::Write => Kind::New,
    };
    Decision::Write(NewRequest {
        git_ref,
        commit,
        kind,
        accepted,
    })
}

/// Returns the last event, if it happened after that of a detection.
fn later_event<'a>(
    state: &'a RequestState,
    rules: &Rules,
    announcement: &Announcement,
    detection: &Detection,
    now: Timestamp,
) -> Option<&'a LastEvent> {
    let occurred_at = detection.occurred_at.filter(|_| rules.is_order_checked)?;
    let last = state.accepted.last_event_for(announcement, now)?;
    (occurred_at < last.at).then_some(last)
}

/// Returns whether a detection and the last event are about the same tag, and the object requests it. A bare name means
/// the tag if there is one.
fn is_requested_tag(state: &RequestState, detection: &Detection, last: &str) -> bool {
    let git_ref = &detection.git_ref;
    let is_tag = |git_ref: &GitRef| matches!(git_ref.name(), RefName::Tag(_));
    let is_bare = |git_ref: &GitRef| matches!(git_ref.name(), RefName::Bare(_));
    let is_requested = [git_ref.as_str(), last].contains(&state.current_ref());
    GitRef::parse(last).is_ok_and(|last| {
        let is_either = |git_ref| is_tag(git_ref) || is_bare(git_ref);
        let are_tags = is_tag(git_ref) || is_tag(&last) || detection.is_tag;
        is_requested
            && are_tags
            && is_either(git_ref)
            && is_either(&last)
            && git_ref.short() == last.short()
    })
}

/// Decides about a repetition. If the object still requests the ref, and the request was handled, the ref is looked up
/// again, since it may have returned to an earlier commit, with the same payload. The branch that the object follows is
/// always looked up again: its request may be removed already, or a lookup for it may have begun before this push.
/// Otherwise, a repetition changes nothing.
fn repeat(
    state: &RequestState,
    detection: &Detection,
    commit: Option<CommitId>,
    is_overtaken: bool,
) -> Decision {
    let git_ref = detection.git_ref.clone();
    let is_requested = state.is_requested(&git_ref);
    let follows_branch = state.follows_branch(detection);
    let is_written = match state.need(detection) {
        Need::Write => is_requested || follows_branch,
        Need::Renew => follows_branch && !is_overtaken,
        Need::AlreadyRequested => false,
    };
    if !is_written {
        return Decision::Keep(Submitted::Duplicate(git_ref));
    }
    Decision::Write(NewRequest {
        git_ref,
        commit,
        kind: Kind::Repetition,
        accepted: state.accepted.clone(),
    })
}

#[cfg(test)]
mod tests;
