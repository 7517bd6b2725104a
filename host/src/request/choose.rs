//! The choice among the refs of one delivery. Pure.

use stoker_api::detection::{Detection, GitRef, RefName, RepoUrl};

use super::state::RequestState;

/// The maximum number of accepted refs from which a ref other than the followed one may be chosen. With more, the delivery
/// moves a whole repository, and the rules of the object do not select from it.
const MAX_CHOICES: usize = 256;

/// Chooses among the refs of one delivery that the rules of the object accept.
///
/// The object's own repository has precedence, then the ref that the object follows, then a ref of the kind that it
/// follows. Among equal refs, the first one of the sender is chosen. Among very many refs, only the followed one is
/// chosen.
pub(super) fn choose<'d>(
    detections: &[&'d Detection],
    state: &RequestState,
) -> Option<&'d Detection> {
    if let [only] = *detections {
        return Some(only);
    }
    let is_choice = detections.len() <= MAX_CHOICES;
    let repo = RepoUrl::parse(&state.repo).ok();
    let current = GitRef::parse(state.current_ref()).ok();
    let is_current = |git_ref: &GitRef| {
        let is_same = |current: &GitRef| current == git_ref || current.short() == git_ref.short();
        current.as_ref().is_some_and(is_same)
    };
    let names_repo = |names: &[String]| {
        let mut names = names.iter();
        repo.as_ref()
            .is_some_and(|repo| names.any(|name| repo.is_named_by(name)))
    };
    // All refs of a push have the same names of the repository, and there may be thousands.
    let mut latest: (&[String], bool) = (&[], false);
    let rank = |detection: &&&'d Detection| {
        let names = detection.repositories.as_slice();
        if names != latest.0 {
            latest = (names, names_repo(names));
        }
        let is_own = latest.1;
        let git_ref = &detection.git_ref;
        (
            is_own,
            is_current(git_ref),
            is_of_kind(detection, state.ref_kind.as_deref()),
        )
    };
    // `max_by_key` returns the last of equals, so the order is reversed.
    let chosen = *detections.iter().rev().max_by_key(rank)?;
    (is_choice || is_current(&chosen.git_ref)).then_some(chosen)
}

/// Whether a ref is of the kind that an object follows, by `status.lastSyncRefKind`. A bare name may be of any kind, unless
/// the plugin knows it.
fn is_of_kind(detection: &Detection, kind: Option<&str>) -> bool {
    match detection.git_ref.name() {
        RefName::Tag(_) => kind == Some("Tag"),
        RefName::Branch(_) => kind == Some("Branch"),
        RefName::Commit(_) => kind == Some("Commit"),
        RefName::Other(_) => kind == Some("Other"),
        RefName::Bare(_) => detection.is_tag && kind == Some("Tag"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(git_ref: &str, repositories: &[&str]) -> Detection {
        Detection {
            repositories: repositories.iter().map(|&name| name.to_owned()).collect(),
            ..crate::request::detection(git_ref)
        }
    }

    fn refs(detections: &[Detection]) -> Vec<&Detection> {
        detections.iter().collect()
    }

    fn chosen_by(detections: &[Detection], current: Option<&str>, kind: Option<&str>) -> String {
        let state = RequestState {
            repo: "https://example.com/plant/config.git".to_owned(),
            spec_ref: current.unwrap_or_default().to_owned(),
            ref_kind: kind.map(str::to_owned),
            ..RequestState::default()
        };
        choose(&refs(detections), &state)
            .unwrap()
            .git_ref
            .to_string()
    }

    fn chosen(detections: &[Detection], current: Option<&str>) -> String {
        chosen_by(detections, current, None)
    }

    #[test]
    fn among_very_many_refs_only_the_followed_one_is_chosen() {
        let mut push: Vec<_> = (0..MAX_CHOICES)
            .map(|number| detection(&format!("refs/tags/v{number}"), &[]))
            .collect();
        assert_eq!(chosen(&push, Some("main")), "refs/tags/v0");
        push.push(detection("refs/tags/last", &[]));
        let state = RequestState {
            spec_ref: "main".to_owned(),
            ..RequestState::default()
        };
        assert!(choose(&refs(&push), &state).is_none());
        push.insert(7, detection("refs/heads/main", &[]));
        assert_eq!(chosen(&push, Some("main")), "refs/heads/main");
    }

    #[test]
    fn the_name_of_a_tag_is_of_the_kind_of_a_tag() {
        let tag = Detection {
            is_tag: true,
            ..detection("v2", &[])
        };
        let detections = [detection("refs/heads/dev", &[]), detection("v1", &[]), tag];
        assert_eq!(chosen_by(&detections, None, Some("Tag")), "v2");
        assert_eq!(
            chosen_by(&detections, None, Some("Branch")),
            "refs/heads/dev"
        );
        assert_eq!(chosen_by(&detections[1..], None, Some("Branch")), "v1");
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

    /// Refs with the names of their repository.
    type Announced<'a> = &'a [(&'a str, &'a [&'a str])];

    const OWN: &[&str] = &["app/code", "https://example.com/plant/config"];
    const OTHER: &[&str] = &["app/code"];
    const COMMIT: &str = "abababababababababababababababababababab";
    /// What is announced, the ref that is followed and its kind, and what is chosen.
    const CASES: &[(Announced<'_>, Option<&str>, Option<&str>, &str)] = &[
        (
            &[("refs/heads/main", OTHER), ("refs/tags/v2", OWN)],
            Some("main"),
            Some("Branch"),
            "refs/tags/v2",
        ),
        (
            &[("refs/tags/v2", OWN), ("refs/heads/main", OWN)],
            Some("main"),
            Some("Branch"),
            "refs/heads/main",
        ),
        (
            &[
                ("refs/tags/v2", OWN),
                ("refs/tags/v3", OTHER),
                ("refs/heads/x", OWN),
            ],
            Some("main"),
            Some("Branch"),
            "refs/heads/x",
        ),
        (
            &[
                ("refs/heads/x", &[]),
                ("refs/tags/v2", &[]),
                ("refs/tags/v3", &[]),
            ],
            Some("v1"),
            Some("Tag"),
            "refs/tags/v2",
        ),
        (
            &[("refs/heads/v1", &[]), ("refs/tags/v1", &[])],
            Some("v1"),
            Some("Tag"),
            "refs/tags/v1",
        ),
        (
            &[("refs/tags/v1", &[]), ("refs/heads/v1", &[])],
            Some("v1"),
            Some("Branch"),
            "refs/heads/v1",
        ),
        (
            &[("v2", &[]), ("refs/tags/v3", &[])],
            Some("v1"),
            Some("Tag"),
            "refs/tags/v3",
        ),
        (
            &[("refs/tags/v3", &[]), (COMMIT, &[])],
            Some("v1"),
            Some("Commit"),
            COMMIT,
        ),
        (
            &[("refs/tags/v3", &[]), ("refs/deploy/x", &[])],
            Some("refs/deploy/y"),
            Some("Other"),
            "refs/deploy/x",
        ),
        (
            &[("refs/tags/v3", &[]), ("refs/heads/x", &[])],
            None,
            None,
            "refs/tags/v3",
        ),
    ];

    #[test]
    fn each_criterion_goes_before_the_next() {
        for (announced, current, kind, expected) in CASES {
            let detections: Vec<_> = announced
                .iter()
                .map(|(git_ref, names)| detection(git_ref, names))
                .collect();
            let chosen = chosen_by(&detections, *current, *kind);
            assert_eq!(chosen, *expected, "{announced:?} {current:?}");
        }
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
