//! Which refs of a server a name may mean, and which of them has precedence.
//!
//! This module knows names, and not how refs are listed.

use stoker_api::detection::{CommitId, GitRef, RefName};

use super::RefKind;
use super::advertisement::Advertised;

/// The refs that a name may mean, in order of precedence, and which of them the server has.
#[derive(Debug)]
pub(super) struct RefCandidates(Vec<Candidate>);

#[derive(Debug)]
struct Candidate {
    name: String,
    kind: RefKind,
    found: Option<Advertised>,
}

/// What is looked up for a ref.
#[derive(Debug)]
pub(super) enum Query {
    /// The commit with this id.
    Commit(CommitId),
    /// The commit that one of these refs leads to.
    Ref(RefCandidates),
}

impl Query {
    /// A bare name means a tag, or else a branch. `heads/x` and `tags/x` mean, after that, a branch and a tag named `x`.
    pub(super) fn of(name: RefName<'_>) -> Self {
        let tag = |name: &str| (format!("refs/tags/{name}"), RefKind::Tag);
        let branch = |name: &str| (format!("refs/heads/{name}"), RefKind::Branch);
        let names = match name {
            RefName::Commit(id) => return Self::Commit(id),
            RefName::Tag(name) => vec![tag(name)],
            RefName::Branch(name) => vec![branch(name)],
            RefName::Other(name) | RefName::Bare(name @ "HEAD") => {
                vec![(name.to_owned(), RefKind::Other)]
            }
            RefName::Bare(name) => {
                let mut names = vec![tag(name), branch(name)];
                names.extend(name.strip_prefix("tags/").map(tag));
                names.extend(name.strip_prefix("heads/").map(branch));
                names
            }
        };
        let candidates = names.into_iter().map(|(name, kind)| Candidate {
            name,
            kind,
            found: None,
        });
        Self::Ref(RefCandidates(candidates.collect()))
    }
}

impl RefCandidates {
    /// The full names of the candidates.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|candidate| candidate.name.as_str())
    }

    /// Adds a ref of the server, if it is a candidate. A server lists more than the candidates: the prefix `v1` also
    /// matches `v1.1`.
    pub(super) fn add(&mut self, advertised: Advertised) {
        if let Some(candidate) = self
            .0
            .iter_mut()
            .find(|candidate| candidate.name == advertised.name)
        {
            candidate.found = Some(advertised);
        }
    }

    /// Returns the first candidate that the server has, and its kind.
    pub(super) fn into_winner(self) -> Option<(RefKind, Advertised)> {
        self.0
            .into_iter()
            .find_map(|candidate| Some((candidate.kind, candidate.found?)))
    }
}

/// Describes what a repository without such a ref lacks.
pub(super) fn missing(git_ref: &GitRef) -> String {
    match git_ref.name() {
        RefName::Tag(name) => format!("tag {name}"),
        RefName::Branch(name) => format!("branch {name}"),
        RefName::Other(name) => format!("ref {name}"),
        RefName::Commit(id) => format!("commit {id}"),
        RefName::Bare("HEAD") => "HEAD that leads to a commit".to_owned(),
        RefName::Bare(name) => format!("tag and no branch {name}"),
    }
}
