//! Which refs of a server a name may mean, and which of them wins.
//!
//! It knows names, and not how refs are asked for.

use super::greeting::Advertised;
use super::{RefKind, ResolvedRef};
use stoker_api::detection::{CommitId, GitRef, RefName};

/// The refs that a name may mean, the one that wins first, and what the server has of them.
#[derive(Debug)]
pub(super) struct Lookup(Vec<Candidate>);

#[derive(Debug)]
struct Candidate {
    name: String,
    kind: RefKind,
    found: Option<Advertised>,
}

/// What a name asks for.
#[derive(Debug)]
pub(super) enum Target {
    /// The commit of this id.
    Commit(CommitId),
    /// The commit that one of these refs leads to.
    Ref(Lookup),
}

impl Target {
    /// A bare name is a tag, else a branch. `heads/x` and `tags/x` are, after that, a branch and a tag called `x`.
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
        Self::Ref(Lookup(candidates.collect()))
    }
}

impl Lookup {
    /// The names to ask for.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|candidate| candidate.name.as_str())
    }

    /// Takes note of a ref of the server. Servers show more than they are asked for: `v1` brings `v1.1` as well.
    pub(super) fn see(&mut self, advertised: Advertised) {
        if let Some(candidate) = self
            .0
            .iter_mut()
            .find(|candidate| candidate.name == advertised.name)
        {
            candidate.found = Some(advertised);
        }
    }

    /// The ref that wins.
    pub(super) fn winner(self) -> Option<ResolvedRef> {
        let (kind, found) = self
            .0
            .into_iter()
            .find_map(|candidate| Some((candidate.kind, candidate.found?)))?;
        let commit = found.peeled.unwrap_or(found.id);
        if found.name != "HEAD" {
            return Some(ResolvedRef::new(commit, kind).with_full_name(found.name));
        }
        let full_name = found.symref.unwrap_or(found.name);
        let kind = if full_name.starts_with("refs/heads/") {
            RefKind::Branch
        } else {
            kind
        };
        Some(ResolvedRef::new(commit, kind).with_full_name(full_name))
    }
}

/// What a repository without such a ref does not have.
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
