//! The state of an object that decides whether a request is written. Pure.

use stoker_api::detection::{Detection, GitRef, RefName};

use super::accepted::AcceptedDeliveries;

/// The state of an object, as far as it decides whether a request must be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RequestState {
    /// `spec.git.repo`.
    pub(super) repo: String,
    /// `spec.git.ref`.
    pub(super) spec_ref: String,
    /// `spec.paused`.
    pub(super) is_paused: bool,
    /// Whether the object is being deleted.
    pub(super) is_deleting: bool,
    /// The annotation `requested-ref`, unless it is empty.
    pub(super) requested_ref: Option<String>,
    /// The annotation `requested-at`, unless it is empty.
    pub(super) requested_at: Option<String>,
    /// The `requested-at` of the request that the controller handled last.
    pub(super) handled_at: Option<String>,
    /// The kind of the ref that the object follows, by its status.
    pub(super) ref_kind: Option<String>,
    /// The ref that the controller resolved last, unless the spec has changed since.
    pub(super) resolved: Option<Resolved>,
    /// The deliveries that were accepted for the object.
    pub(super) accepted: AcceptedDeliveries,
}

/// The ref that the controller resolved last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    /// Its name.
    pub(super) name: String,
    /// The commit that it led to.
    pub(super) commit: Option<String>,
    /// Whether it is a tag or a commit. They lead to the same commit again, unless a tag is moved by force.
    pub(super) is_fixed: bool,
}

/// Whether a request for a ref must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The object has another request, or none.
    Write,
    /// The object has a request for this ref that is not handled yet. It is written again with a new time stamp,
    /// because the controller may be reading the repository now, before the push that this delivery announces.
    Renew,
    /// The object has this request, and nothing needs to be written.
    AlreadyRequested,
}

impl RequestState {
    /// The ref that the object follows: the requested one, else the one of the spec.
    pub(super) fn current_ref(&self) -> &str {
        self.requested_ref.as_deref().unwrap_or(&self.spec_ref)
    }

    /// Returns whether the object has a request with this text, handled or not.
    pub(super) fn is_requested(&self, git_ref: &GitRef) -> bool {
        self.requested_ref.as_deref() == Some(git_ref.as_str())
    }

    /// Returns whether a detection may be about the branch that the object follows.
    pub(super) fn follows_branch(&self, detection: &Detection) -> bool {
        let git_ref = &detection.git_ref;
        if detection.is_tag {
            return false;
        }
        let may_be_branch = |git_ref: &GitRef| match git_ref.name() {
            RefName::Branch(_) => true,
            RefName::Bare(_) => self.ref_kind.as_deref() == Some("Branch"),
            RefName::Tag(_) | RefName::Commit(_) | RefName::Other(_) => false,
        };
        GitRef::parse(self.current_ref()).is_ok_and(|current| {
            let is_branch = may_be_branch(git_ref) || may_be_branch(&current);
            let is_other =
                |git_ref: &GitRef| !matches!(git_ref.name(), RefName::Branch(_) | RefName::Bare(_));
            is_branch
                && !is_other(git_ref)
                && !is_other(&current)
                && current.short() == git_ref.short()
        })
    }

    /// Returns whether a request for the ref of a detection must be written.
    pub(super) fn need(&self, detection: &Detection) -> Need {
        if !self.is_requested(&detection.git_ref) {
            // Also for the ref of the spec: the annotations then show who asked for it last, and when. The controller
            // removes the request once it is handled.
            return Need::Write;
        }
        let Some(requested_at) = &self.requested_at else {
            // The annotation was written by hand. Only a time stamp shows what was handled.
            return Need::Write;
        };
        if self.handled_at.as_ref() != Some(requested_at) {
            // The repository is not read while the object is paused.
            return if self.is_paused {
                Need::AlreadyRequested
            } else {
                Need::Renew
            };
        }
        if self.is_settled(detection) {
            Need::AlreadyRequested
        } else {
            Need::Write
        }
    }

    /// Whether the ref is resolved and leads to the announced commit. A push that names another commit shows that the
    /// tag was moved, and one that names no commit may have moved it. Only a release, for which forges send several events,
    /// and a payload that names no event say nothing new.
    fn is_settled(&self, detection: &Detection) -> bool {
        let git_ref = &detection.git_ref;
        let may_be_fixed = !matches!(git_ref.name(), RefName::Branch(_) | RefName::Other(_));
        may_be_fixed
            && self.resolved.as_ref().is_some_and(|resolved| {
                let is_same_commit = match (&detection.commit, &resolved.commit) {
                    (Some(announced), Some(commit)) => announced.as_str() == commit,
                    (Some(_), None) => false,
                    (None, _) => {
                        let event = detection.event.as_deref();
                        event.is_none_or(|event| event.starts_with("release"))
                    }
                };
                resolved.is_fixed && is_named(git_ref, &resolved.name) && is_same_commit
            })
    }
}

fn is_named(git_ref: &GitRef, name: &str) -> bool {
    name == git_ref.as_str() || name == git_ref.short()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::detection;
    use stoker_api::detection::CommitId;

    fn pushed(git_ref: &str, digit: char) -> Detection {
        Detection {
            commit: Some(CommitId::parse(&id(digit)).unwrap()),
            ..detection(git_ref)
        }
    }

    fn id(digit: char) -> String {
        digit.to_string().repeat(40)
    }

    /// An object on which `v1` was requested.
    fn requested(is_handled: bool, resolved: Option<(&str, bool)>) -> RequestState {
        RequestState {
            spec_ref: "main".into(),
            requested_ref: Some("v1".into()),
            requested_at: Some("t1".into()),
            handled_at: is_handled.then(|| "t1".into()),
            resolved: resolved.map(|(name, is_fixed)| Resolved {
                name: name.into(),
                commit: Some(id('a')),
                is_fixed,
            }),
            ..RequestState::default()
        }
    }

    #[test]
    fn another_ref_is_written() {
        let state = requested(true, Some(("v1", true)));
        assert_eq!(state.need(&detection("v2")), Need::Write);
        assert_eq!(state.need(&detection("refs/tags/v1")), Need::Write);
    }

    #[test]
    fn a_request_that_is_not_handled_is_renewed_unless_the_object_is_paused() {
        let state = requested(false, None);
        assert_eq!(state.need(&detection("v1")), Need::Renew);
        let paused = RequestState {
            is_paused: true,
            ..state
        };
        assert_eq!(paused.need(&detection("v1")), Need::AlreadyRequested);
    }

    #[test]
    fn an_event_without_a_commit_is_settled_only_if_it_is_a_release() {
        let tag = requested(true, Some(("v1", true)));
        let about = |event: &str| Detection {
            event: Some(event.to_owned()),
            ..detection("v1")
        };
        for event in ["push", "create", "repository_update", "git.push"] {
            assert_eq!(tag.need(&about(event)), Need::Write, "{event}");
        }
        for event in ["release.published", "release.released", "release.create"] {
            assert_eq!(tag.need(&about(event)), Need::AlreadyRequested, "{event}");
        }
    }

    #[test]
    fn a_resolved_tag_is_settled_and_a_branch_never() {
        let tag = requested(true, Some(("v1", true)));
        assert_eq!(tag.need(&detection("v1")), Need::AlreadyRequested);
        let branch = requested(true, Some(("v1", false)));
        assert_eq!(branch.need(&detection("v1")), Need::Write);
    }

    #[test]
    fn a_push_that_moves_the_tag_is_written() {
        let state = requested(true, Some(("v1", true)));
        assert_eq!(state.need(&pushed("v1", 'b')), Need::Write);
        assert_eq!(state.need(&pushed("v1", 'a')), Need::AlreadyRequested);
    }

    #[test]
    fn a_ref_that_did_not_resolve_is_written_again() {
        assert_eq!(requested(true, None).need(&detection("v1")), Need::Write);
        let other = requested(true, Some(("v0", true)));
        assert_eq!(other.need(&detection("v1")), Need::Write);
    }

    #[test]
    fn a_ref_that_only_the_spec_names_is_written() {
        for is_paused in [false, true] {
            let state = RequestState {
                spec_ref: "refs/tags/v1".into(),
                is_paused,
                resolved: Some(Resolved {
                    name: "refs/tags/v1".into(),
                    commit: Some(id('a')),
                    is_fixed: true,
                }),
                ..RequestState::default()
            };
            assert_eq!(state.need(&detection("refs/tags/v1")), Need::Write);
            assert_eq!(state.need(&pushed("refs/tags/v1", 'a')), Need::Write);
        }
    }

    #[test]
    fn a_ref_that_was_annotated_by_hand_is_written_again() {
        let state = RequestState {
            requested_at: None,
            ..requested(true, Some(("v1", true)))
        };
        assert_eq!(state.need(&detection("v1")), Need::Write);
    }
}
