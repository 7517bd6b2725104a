use crate::detection::{GitRef, RefName};

/// How an object stands, as far as it decides whether a request for a ref would be news.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// `spec.git.ref`.
    pub(super) spec_ref: String,
    /// The annotation `requested-ref`, where it is not empty.
    pub(super) requested_ref: Option<String>,
    /// The annotation `requested-at`.
    pub(super) requested_at: Option<String>,
    /// The `requested-at` of the request that the controller handled last.
    pub(super) handled_at: Option<String>,
    /// The ref that was resolved, and whether it can move. None while nothing, or an older spec, is resolved.
    pub(super) resolved: Option<ResolvedRef>,
}

/// The ref that the controller resolved last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResolvedRef {
    pub(super) name: String,
    /// A tag or a commit: asking for it again cannot lead anywhere else.
    pub(super) is_fixed: bool,
}

/// Whether a request for a ref would be news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// It would.
    Fresh,
    /// The same request is written and not yet handled. If the ref is one that moves, the controller may be looking
    /// right now, before what this delivery announces: `at` names the request whose end is to be waited for.
    Pending { at: String },
    /// It is requested and resolved, and cannot move.
    Settled,
}

impl Standing {
    /// What a request for this ref would be.
    pub(super) fn news(&self, git_ref: &GitRef) -> News {
        let effective = self.requested_ref.as_deref().unwrap_or(&self.spec_ref);
        if effective != git_ref.as_str() {
            return News::Fresh;
        }
        if self.requested_ref.is_some() {
            match &self.requested_at {
                // Somebody wrote the ref by hand: only a stamp of our own tells what was handled.
                None => return News::Fresh,
                Some(at) if self.handled_at.as_ref() != Some(at) => {
                    return News::Pending { at: at.clone() };
                }
                Some(_) => {}
            }
        }
        if self.is_settled(git_ref) {
            News::Settled
        } else {
            News::Fresh
        }
    }

    /// Whether the ref is resolved and cannot move.
    pub(super) fn is_settled(&self, git_ref: &GitRef) -> bool {
        let is_this = |name: &str| name == git_ref.as_str() || name == git_ref.short();
        let may_be_fixed = !matches!(git_ref.name(), RefName::Branch(_) | RefName::Other(_));
        may_be_fixed
            && self
                .resolved
                .as_ref()
                .is_some_and(|resolved| resolved.is_fixed && is_this(&resolved.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git_ref(text: &str) -> GitRef {
        GitRef::parse(text).unwrap()
    }

    fn requested(handled: bool, resolved: Option<(&str, bool)>) -> Standing {
        Standing {
            spec_ref: "main".into(),
            requested_ref: Some("v1".into()),
            requested_at: Some("t1".into()),
            handled_at: handled.then(|| "t1".into()),
            resolved: resolved.map(|(name, is_fixed)| ResolvedRef {
                name: name.into(),
                is_fixed,
            }),
        }
    }

    #[test]
    fn another_ref_is_news() {
        assert_eq!(
            requested(true, Some(("v1", true))).news(&git_ref("v2")),
            News::Fresh
        );
        assert_eq!(
            requested(true, Some(("v1", true))).news(&git_ref("refs/tags/v1")),
            News::Fresh
        );
    }

    #[test]
    fn a_request_that_was_not_looked_at_yet_is_none() {
        assert_eq!(
            requested(false, None).news(&git_ref("v1")),
            News::Pending { at: "t1".into() }
        );
    }

    #[test]
    fn a_resolved_tag_is_settled_and_a_branch_never() {
        assert_eq!(
            requested(true, Some(("v1", true))).news(&git_ref("v1")),
            News::Settled
        );
        assert_eq!(
            requested(true, Some(("v1", false))).news(&git_ref("v1")),
            News::Fresh
        );
    }

    #[test]
    fn a_ref_that_did_not_resolve_is_asked_for_again() {
        assert_eq!(requested(true, None).news(&git_ref("v1")), News::Fresh);
        assert_eq!(
            requested(true, Some(("v0", true))).news(&git_ref("v1")),
            News::Fresh
        );
    }

    #[test]
    fn a_tag_that_the_spec_follows_and_that_is_resolved_is_settled() {
        let standing = Standing {
            spec_ref: "refs/tags/v1".into(),
            resolved: Some(ResolvedRef {
                name: "v1".into(),
                is_fixed: true,
            }),
            ..Standing::default()
        };
        assert_eq!(standing.news(&git_ref("refs/tags/v1")), News::Settled);
    }

    #[test]
    fn a_ref_that_was_annotated_by_hand_is_asked_for_again() {
        let standing = Standing {
            requested_at: None,
            ..requested(true, Some(("v1", true)))
        };
        assert_eq!(standing.news(&git_ref("v1")), News::Fresh);
    }
}
