//! What one write does for all announcements that wait for an object.

use std::cell::LazyCell;

use stoker_api::detection::ObjectKey;

use super::Submission;
use crate::request::decide::{Decision, decide};
use crate::request::rules::Rules;
use crate::request::writer::{Change, Request, Stamp};
use crate::request::{Announcement, RequestError, Snapshot, Submitted};

/// The outcomes of announcements, and the change that must be stored before they are true.
pub(super) struct Plan {
    /// One outcome for each announcement.
    pub(super) outcomes: Vec<Result<Submitted, RequestError>>,
    /// The change, or `None` if nothing is written.
    pub(super) change: Option<Change>,
    /// The object as it is once the change is stored.
    pub(super) after: Snapshot,
}

impl Plan {
    /// Refuses all announcements.
    fn refused(known: &Snapshot, announcements: usize, error: RequestError) -> Self {
        Self {
            outcomes: vec![Err(error); announcements],
            change: None,
            after: known.clone(),
        }
    }
}

/// Decides about announcements in their order, each as if the requests before it were stored.
pub(super) fn plan(
    key: &ObjectKey,
    known: &Snapshot,
    batch: &[Submission],
    requested_at: Stamp,
) -> Plan {
    let invalid = |why| RequestError::Invalid {
        key: key.clone(),
        why,
    };
    let rules = match Rules::parse(&known.webhook, &known.state.repo) {
        Ok(rules) => rules,
        Err(why) => return Plan::refused(known, batch.len(), invalid(why)),
    };
    let mut after = known.clone();
    let mut write: Option<Request> = None;
    let mut decide_one = |submission: &Submission| {
        let announcement = &submission.announcement;
        match decide(&after.state, &rules, announcement, requested_at.time()) {
            Decision::Keep(outcome) => Ok(outcome),
            Decision::AlreadySet { git_ref, accepted } => {
                after.state.accepted = accepted;
                Ok(Submitted::AlreadySet(git_ref))
            }
            Decision::Refuse(why) => Err(invalid(why)),
            Decision::Write(request) => {
                after.state.requested_ref = Some(request.git_ref.to_string());
                after.state.requested_at = Some(requested_at.to_string());
                after.state.accepted = request.accepted.clone();
                write = Some(Request {
                    git_ref: request.git_ref.clone(),
                    commit: request.commit.clone(),
                    plugin: announcement.plugin.clone(),
                    requested_at,
                    spec_ref: after.state.spec_ref.clone(),
                    accepted: request.accepted.clone(),
                });
                Ok(request.outcome())
            }
        }
    };
    let outcomes = batch.iter().map(&mut decide_one).collect();
    let accepted = after.state.accepted.clone();
    let change = match write {
        // What was accepted after the request is stored with it.
        Some(request) => Some(Change::Request(Request {
            accepted,
            ..request
        })),
        None => (accepted != known.state.accepted).then_some(Change::Accepted(accepted)),
    };
    Plan {
        outcomes,
        change,
        after,
    }
}

/// Returns the outcomes of the announcements that repeat a delivery which the object remembers.
pub(super) fn repeats<'a>(
    known: &Snapshot,
    announcements: impl IntoIterator<Item = &'a Announcement>,
    now: Stamp,
) -> Vec<Option<Submitted>> {
    let rules = LazyCell::new(|| Rules::parse(&known.webhook, &known.state.repo).ok());
    let repeat = |announcement: &Announcement| {
        if !known.state.accepted.may_have(announcement) {
            return None;
        }
        match decide(&known.state, rules.as_ref()?, announcement, now.time()) {
            Decision::Keep(outcome @ Submitted::Duplicate(_)) => Some(outcome),
            _ => None,
        }
    };
    announcements.into_iter().map(repeat).collect()
}
