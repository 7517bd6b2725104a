use crate::detection::{Detection, GitRef, RepoUrl};

/// Chooses among the refs that one delivery announces, for an object that follows `repo` at `current`.
///
/// A ref of the object's own repository goes before one of another, and one that the object already follows before
/// one that it does not; of equals the sender's first.
pub(super) fn choose<'d>(
    detections: &'d [Detection],
    repo: Option<&str>,
    current: Option<&str>,
) -> Option<&'d Detection> {
    if let [only] = detections {
        return Some(only);
    }
    let repo = repo.and_then(|text| RepoUrl::parse(text).ok());
    let rank = |detection: &&Detection| {
        let is_own = repo.as_ref().is_some_and(|repo| {
            detection
                .repositories
                .iter()
                .any(|name| repo.is_named_by(name))
        });
        let is_current = current
            .and_then(|text| GitRef::parse(text).ok())
            .is_some_and(|current| {
                current == detection.git_ref || current.short() == detection.git_ref.short()
            });
        (is_own, is_current)
    };
    // `max_by_key` gives the last of equals, so the order is turned.
    detections.iter().rev().max_by_key(rank)
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

    fn chosen(detections: &[Detection], current: Option<&str>) -> String {
        let repo = "https://example.com/plant/config.git";
        choose(detections, Some(repo), current)
            .unwrap()
            .git_ref
            .to_string()
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
}
