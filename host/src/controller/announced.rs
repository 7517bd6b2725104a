//! The commit that the sender of a request announces. A server may not have it yet, for example a replica that is behind
//! the server that sent the webhook. Then it is asked again. Pure.
//!
//! Meanwhile no answer is stored, and the request is not handled: the pass ends, as while a server does not answer, and
//! the next one begins another lookup. After the last wait, the answer counts.

use std::time::Duration;

use stoker_api::detection::{CommitId, GitRef, RefName};
use stoker_api::{GatewaySync, SyncedRefKind};
use stoker_process::retry_delay;

use super::state::ResolvedCommit;
use crate::lookups::LookupError;

/// How often a server that is behind is asked again, for about 15 s in all. A commit that it has later is found by a
/// poll, and a ref by a retry.
const LOOKS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// What is announced by a request that is not handled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) commit: CommitId,
    /// The branch that the object followed before, and its commit.
    before: Option<(GitRef, CommitId)>,
}

impl Announced {
    /// Returns what the sender of an object's request announces. `None` if it names no commit, or if the request is
    /// handled.
    pub(super) fn of(sync: &GatewaySync) -> Option<Self> {
        let commit = CommitId::parse(sync.requested_commit()?).ok()?;
        if !sync.has_unhandled_request() {
            return None;
        }
        let before = sync.status.as_ref().and_then(|status| {
            let git_ref = GitRef::parse(status.last_sync_ref.as_deref()?).ok()?;
            let commit = CommitId::parse(status.last_sync_commit.as_deref()?).ok()?;
            // A definition that is older than Stoker does not have the kind.
            let kind = status.last_sync_ref_kind.unwrap_or(SyncedRefKind::Branch);
            (kind == SyncedRefKind::Branch).then_some((git_ref, commit))
        });
        Some(Self { commit, before })
    }

    /// Returns whether a server seems to be behind: it lacks the ref, or the branch leads to the commit from before the
    /// request. Any other commit is a later push. A tag is not compared, because a sender may announce the object of an
    /// annotated tag instead of its commit.
    pub(super) fn is_missing(&self, found: &Result<ResolvedCommit, LookupError>) -> bool {
        let found = match found {
            Ok(found) => found,
            Err(error) => return error.is_missing_ref(),
        };
        found.kind == SyncedRefKind::Branch
            && found.commit != self.commit
            && self.before.as_ref().is_some_and(|(git_ref, commit)| {
                is_same_branch(git_ref, &found.git_ref) && *commit == found.commit
            })
    }
}

/// Returns whether two names of branches mean the same one.
fn is_same_branch(one: &GitRef, other: &GitRef) -> bool {
    let name = |git_ref: &GitRef| match git_ref.name() {
        RefName::Branch(name) | RefName::Bare(name) => Some(name.to_owned()),
        RefName::Tag(_) | RefName::Commit(_) | RefName::Other(_) => None,
    };
    one == other || name(one).is_some_and(|one| Some(one) == name(other))
}

/// Returns how long to wait before a server is asked again that was behind in so many lookups. `None` if it is not asked
/// again.
pub(super) fn wait_after(lookups: u32) -> Option<Duration> {
    (1..=LOOKS)
        .contains(&lookups)
        .then(|| retry_delay(FIRST_WAIT, LONGEST_WAIT, lookups))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use stoker_git::GitError;

    use super::*;
    use crate::controller::tests::fixture::{GatewaySyncExt as _, commit};

    /// An object that follows `main` at the commit `a`, on which `b` is announced.
    fn pushed(git_ref: &str) -> GatewaySync {
        let sync = GatewaySync::sample().announced(git_ref, "t2", 'b');
        sync.with(|sync| {
            let status = sync.status.get_or_insert_default();
            status.last_sync_ref = Some("main".to_owned());
            status.last_sync_ref_kind = Some(SyncedRefKind::Branch);
            status.last_sync_commit = Some(commit('a').to_string());
            status.last_handled_requested_at = Some("t1".to_owned());
        })
    }

    fn found(git_ref: &str, digit: char, kind: SyncedRefKind) -> ResolvedCommit {
        ResolvedCommit {
            git_ref: GitRef::parse(git_ref).unwrap(),
            commit: commit(digit),
            kind,
            short_name: None,
            alias_agrees: false,
        }
    }

    #[test]
    fn the_waits_double_and_end() {
        let waits: Vec<_> = (0..8).map(wait_after).collect();
        let milliseconds: Vec<_> = waits
            .iter()
            .map(|wait| wait.map(|wait| wait.as_millis()))
            .collect();
        let expected = [
            None,
            Some(500),
            Some(1000),
            Some(2000),
            Some(4000),
            Some(8000),
            None,
            None,
        ];
        assert_eq!(milliseconds, expected);
    }

    #[test]
    fn a_branch_is_behind_at_the_commit_from_before_the_request() {
        use SyncedRefKind::{Branch, Tag};
        let announced = Announced::of(&pushed("refs/heads/main")).unwrap();
        let cases = [
            ("refs/heads/main", 'a', Branch, true),
            ("main", 'a', Branch, true),
            ("refs/heads/main", 'b', Branch, false),
            ("refs/heads/main", 'c', Branch, false),
            ("refs/heads/dev", 'a', Branch, false),
            ("main", 'a', Tag, false),
        ];
        for (git_ref, digit, kind, expected) in cases {
            let is_missing = announced.is_missing(&Ok(found(git_ref, digit, kind)));
            assert_eq!(is_missing, expected, "{git_ref} {digit} {kind:?}");
        }
    }

    #[test]
    fn only_a_missing_ref_is_an_error_to_wait_for() {
        let announced = Announced::of(&pushed("v1")).unwrap();
        let missing = GitError::RefNotFound {
            url: "https://git.example/o/r".to_owned(),
            git_ref: GitRef::parse("v1").unwrap(),
        };
        let missing = LookupError::Git(Arc::new(missing));
        assert!(announced.is_missing(&Err(missing)));
        assert!(!announced.is_missing(&Err(LookupError::Timeout)));
    }

    #[test]
    fn nothing_is_announced_without_a_commit_or_by_a_request_that_is_handled() {
        let sync = pushed("main");
        assert!(Announced::of(&sync).is_some());
        assert_eq!(Announced::of(&sync.clone().requested("dev", None)), None);
        let handled = sync.clone().with(|sync| {
            let status = sync.status.get_or_insert_default();
            status.last_handled_requested_at = Some("t2".to_owned());
        });
        assert_eq!(Announced::of(&handled), None);
        let unreadable = sync.with(|sync| {
            let annotations = sync.metadata.annotations.get_or_insert_default();
            annotations.insert("stoker.io/requested-commit".to_owned(), "b".to_owned());
        });
        assert_eq!(Announced::of(&unreadable), None);
    }
}
