//! The refs of a server that a name may mean, and their order of precedence.
//!
//! This module handles names. It does not depend on the way in which refs are listed.

use stoker_api::detection::{CommitId, RefName};

use super::RefKind;
use super::advertisement::Advertised;

/// The refs that a name may mean, with those that the server has.
#[derive(Debug)]
pub(super) struct RefCandidates {
    /// In order of precedence.
    wanted: Vec<Candidate>,
    /// The tags with the names of branches that are wanted, and the branches with those of tags, where the name says which
    /// of both is meant.
    rivals: Vec<Candidate>,
}

/// The ref that a name means.
#[derive(Debug)]
pub(super) struct Winner {
    pub(super) kind: RefKind,
    pub(super) found: Advertised,
    /// Whether the server also has a tag with the name of the branch, or a branch with that of the tag.
    pub(super) has_rival: bool,
}

#[derive(Debug)]
struct Candidate {
    name: String,
    kind: RefKind,
    found: Option<Advertised>,
}

impl Candidate {
    fn new(name: impl Into<String>, kind: RefKind) -> Self {
        Self {
            name: name.into(),
            kind,
            found: None,
        }
    }

    fn tag(name: &str) -> Self {
        Self::new(format!("refs/tags/{name}"), RefKind::Tag)
    }

    fn branch(name: &str) -> Self {
        Self::new(format!("refs/heads/{name}"), RefKind::Branch)
    }
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
        let (tag, branch) = (Candidate::tag, Candidate::branch);
        let (wanted, rivals) = match name {
            RefName::Commit(id) => return Self::Commit(Tips::new(id)),
            RefName::Tag(name) => (vec![tag(name)], vec![branch(name)]),
            RefName::Branch(name) => (vec![branch(name)], vec![tag(name)]),
            RefName::Other(name) | RefName::Bare(name @ "HEAD") => {
                (vec![Candidate::new(name, RefKind::Other)], Vec::new())
            }
            RefName::Bare(name) => {
                let (tags, heads) = (name.strip_prefix("tags/"), name.strip_prefix("heads/"));
                let exact = [tags.map(tag), heads.map(branch)];
                let rivals = [tags.map(branch), heads.map(tag)];
                let mut wanted = vec![tag(name), branch(name)];
                wanted.extend(exact.into_iter().flatten());
                (wanted, rivals.into_iter().flatten().collect())
            }
        };
        Self::Ref(RefCandidates { wanted, rivals })
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
    /// Returns the full names of the candidates, and of their rivals.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let all = self.wanted.iter().chain(&self.rivals);
        all.map(|candidate| candidate.name.as_str())
    }

    /// Adds a ref of the server if it is a candidate. A server also lists other refs, because the prefix `v1` matches
    /// `v1.1` too.
    pub(super) fn add(&mut self, advertised: &Advertised) {
        let mut all = self.wanted.iter_mut().chain(&mut self.rivals);
        if let Some(candidate) = all.find(|candidate| candidate.name == advertised.name) {
            candidate.found = Some(advertised.clone());
        }
    }

    /// Returns the first candidate that the server has.
    pub(super) fn into_winner(self) -> Option<Winner> {
        let Self { wanted, rivals } = self;
        let mut wanted = wanted.into_iter();
        let (kind, found) =
            wanted.find_map(|candidate| Some((candidate.kind, candidate.found?)))?;
        let has_rival = rivals
            .iter()
            .any(|rival| rival.found.is_some() && short(&rival.name) == short(&found.name));
        Some(Winner {
            kind,
            found,
            has_rival,
        })
    }
}

/// Returns the name of a branch or a tag, without `refs/heads/` or `refs/tags/`.
fn short(name: &str) -> &str {
    let tag = name.strip_prefix("refs/tags/");
    let branch = || name.strip_prefix("refs/heads/");
    tag.or_else(branch).unwrap_or(name)
}
