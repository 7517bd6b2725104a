//! The refs of a server that a name may mean, and their order of precedence.
//!
//! This module handles names. It does not depend on the way in which refs are listed.

use stoker_api::detection::{CommitId, RefName};

use super::RefKind;
use super::advertisement::Advertised;

/// The refs that a name may mean, in order of precedence, with those that the server has.
#[derive(Debug)]
pub(super) struct RefCandidates(Vec<Candidate>);

#[derive(Debug)]
struct Candidate {
    name: String,
    kind: RefKind,
    found: Option<Advertised>,
}

/// The target of the lookup of a ref.
#[derive(Debug)]
pub(super) enum Query {
    /// The commit with an id.
    Commit(Tips),
    /// The commit that one of these refs leads to.
    Ref(RefCandidates),
}

impl Query {
    /// Returns the query for a name. A bare name means a tag or, if there is no such tag, a branch. If neither exists,
    /// `heads/x` means the branch `x`, and `tags/x` means the tag `x`.
    pub(super) fn of(name: RefName<'_>) -> Self {
        let tag = |name: &str| (format!("refs/tags/{name}"), RefKind::Tag);
        let branch = |name: &str| (format!("refs/heads/{name}"), RefKind::Branch);
        let names = match name {
            RefName::Commit(id) => return Self::Commit(Tips::new(id)),
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

    /// Returns the full names of the refs that the query needs.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Ref(candidates) => candidates.names().map(str::to_owned).collect(),
            Self::Commit(_) => Vec::new(),
        }
    }

    /// Adds a ref of the server if it is relevant.
    pub(super) fn add(&mut self, advertised: &Advertised) {
        match self {
            Self::Ref(candidates) => candidates.add(advertised),
            Self::Commit(tips) => tips.add(advertised),
        }
    }
}

/// What the refs of a server say about the object with an id.
#[derive(Debug)]
pub(super) struct Tips {
    pub(super) id: CommitId,
    /// Whether a branch points to the object, so that it is a commit.
    pub(super) is_commit: bool,
    /// A ref that leads to the object, which may be something other than a commit.
    pub(super) unverified: Option<Advertised>,
    /// The object that the id leads to, if it is the id of an annotated tag.
    pub(super) tagged: Option<CommitId>,
}

impl Tips {
    fn new(id: CommitId) -> Self {
        Self {
            id,
            is_commit: false,
            unverified: None,
            tagged: None,
        }
    }

    fn add(&mut self, tip: &Advertised) {
        if *tip.target() == self.id {
            if needs_verification(tip) {
                self.unverified = Some(tip.clone());
            } else {
                self.is_commit = true;
            }
        } else if tip.id == self.id {
            self.tagged.clone_from(&tip.peeled);
        }
    }
}

/// Returns whether the object of a ref may be something other than a commit. Git permits only commits for branches and
/// for `HEAD` (git-update-ref), but a tag, or another ref outside `refs/heads/`, may lead to a tree or a blob.
pub(super) fn needs_verification(found: &Advertised) -> bool {
    found.name != "HEAD" && !found.name.starts_with("refs/heads/")
}

impl RefCandidates {
    /// Returns the full names of the candidates.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|candidate| candidate.name.as_str())
    }

    /// Adds a ref of the server if it is a candidate. A server also lists other refs, because the prefix `v1` matches
    /// `v1.1` too.
    pub(super) fn add(&mut self, advertised: &Advertised) {
        if let Some(candidate) = self
            .0
            .iter_mut()
            .find(|candidate| candidate.name == advertised.name)
        {
            candidate.found = Some(advertised.clone());
        }
    }

    /// Returns the first candidate that the server has, and its kind.
    pub(super) fn into_winner(self) -> Option<(RefKind, Advertised)> {
        self.0
            .into_iter()
            .find_map(|candidate| Some((candidate.kind, candidate.found?)))
    }
}
