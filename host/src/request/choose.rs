use super::state::RequestState;
use crate::detection::{Detection, GitRef, RefName, RepoUrl};

/// Chooses among the refs that one delivery announces.
///
/// The object's own repository goes before others, then the ref that the object follows, then a ref of the kind that
/// it follows. Of equals, the sender's first is chosen.
pub(super) fn choose<'d>(
    detections: &'d [Detection],
    state: &RequestState,
) -> Option<&'d Detection> {
    if let [only] = detections {
        return Some(only);
    }
    let repo = RepoUrl::parse(&state.repo).ok();
    let current = GitRef::parse(state.current_ref()).ok();
    let rank = |detection: &&Detection| {
        let is_own = repo.as_ref().is_some_and(|repo| {
            detection
                .repositories
                .iter()
                .any(|name| repo.is_named_by(name))
        });
        let git_ref = &detection.git_ref;
        let is_current = current
            .as_ref()
            .is_some_and(|current| current == git_ref || current.short() == git_ref.short());
        (
            is_own,
            is_current,
            is_of_kind(git_ref, state.ref_kind.as_deref()),
        )
    };
    // `max_by_key` returns the last of equals, so the order is reversed.
    detections.iter().rev().max_by_key(rank)
}

/// Whether a ref is of the kind that an object follows, by `status.lastSyncRefKind`. A bare name may be of any kind.
fn is_of_kind(git_ref: &GitRef, kind: Option<&str>) -> bool {
    match git_ref.name() {
        RefName::Tag(_) => kind == Some("Tag"),
        RefName::Branch(_) => kind == Some("Branch"),
        RefName::Commit(_) => kind == Some("Commit"),
        RefName::Other(_) => kind == Some("Other"),
        RefName::Bare(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(git_ref: &str, repositories: &[&str]) -> Detection {
        Detection {
            git_ref: GitRef::parse(git_ref).unwrap(),
            commit: None,
            repositories: repositories.iter().map(|&name| name.to_owned()).collect(),
            occurred_at: None,
            delivery_id: None,
        }
    }

    fn chosen_by(detections: &[Detection], current: Option<&str>, kind: Option<&str>) -> String {
        let state = RequestState {
            repo: "https://example.com/plant/config.git".to_owned(),
            spec_ref: current.unwrap_or_default().to_owned(),
            ref_kind: kind.map(str::to_owned),
            ..RequestState::default()
        };
        choose(detections, &state).unwrap().git_ref.to_string()
    }

    fn chosen(detections: &[Detection], current: Option<&str>) -> String {
        chosen_by(detections, current, None)
    }

    #[test]
    fn the_first_is_chosen_where_nothing_tells_them_apart() {
        assert_eq!(
            chosen(&[detection("v1", &[]), detection("v2", &[])], None),
            "v1"
        );
    }

    #[test]
    fn the_objects_own_repository_goes_first() {
        let detections = [
            detection("v1", &["app/code"]),
            detection("v2", &["plant/config"]),
        ];
        assert_eq!(chosen(&detections, Some("v1")), "v2");
    }

    #[test]
    fn a_ref_that_is_followed_goes_before_others() {
        let detections = [
            detection("refs/heads/dev", &[]),
            detection("refs/heads/main", &[]),
        ];
        assert_eq!(chosen(&detections, Some("main")), "refs/heads/main");
    }

    #[test]
    fn a_ref_of_the_kind_that_is_followed_goes_before_others() {
        let push = [
            detection("refs/heads/main", &[]),
            detection("refs/tags/v2.0.0", &[]),
        ];
        let kinds = [
            (Some("Tag"), "refs/tags/v2.0.0"),
            (Some("Branch"), "refs/heads/main"),
            (None, "refs/heads/main"),
        ];
        for (kind, expected) in kinds {
            assert_eq!(chosen_by(&push, Some("v1.1.0"), kind), expected, "{kind:?}");
        }
        assert_eq!(
            chosen_by(&push, Some("main"), Some("Tag")),
            "refs/heads/main"
        );
    }
}
