//! The words of the domain: what a delivery announces, about which repository, for which object.
//!
//! Parse, don't validate: each type has one constructor that refuses what is not one, so that whoever holds a value
//! need not look again. This room knows no framework, does no I/O and reads no clock.

mod commit_id;
mod git_ref;
mod object_key;
mod repo;
mod selection;

pub use commit_id::CommitId;
pub use git_ref::{GitRef, RefName};
pub use object_key::ObjectKey;
pub use repo::RepoUrl;
pub use selection::Selection;

/// Why a text is not a word of the domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// No text at all.
    #[error("it is empty")]
    Empty,
    /// More bytes than the word may have.
    #[error("it has {length} bytes, more than {limit}")]
    TooLong {
        /// The bytes it has.
        length: usize,
        /// The bytes it may have.
        limit: usize,
    },
    /// Against git's rules for reference names (`git check-ref-format`).
    #[error("git does not accept {text:?} as the name of a ref")]
    RefFormat {
        /// The text, as it was given.
        text: String,
    },
    /// Neither 40 nor 64 hexadecimal digits.
    #[error("{text:?} is not a full commit id: {why}")]
    CommitFormat {
        /// The text, as it was given; at most 64 characters of it.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The commit id of all zeros, by which git means that there is no commit (githooks(5), "post-receive").
    #[error("a commit id of all zeros means that there is no commit")]
    NoCommit,
    /// Not the name of a Kubernetes object or namespace.
    #[error("{text:?} is not the name of a Kubernetes object")]
    NameFormat {
        /// The text, as it was given.
        text: String,
    },
    /// Not the address of a repository that can be fetched from.
    #[error("{text:?} is not the address of a git repository: {why}")]
    RepoFormat {
        /// The text, with any password left out.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// One ref that a delivery announces, after everything that a plugin said of it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// The ref, as the sender wrote it.
    pub git_ref: GitRef,
    /// The commit that the sender says it points to.
    pub commit: Option<CommitId>,
    /// Names (`owner/name`) or URLs of the repository.
    pub repositories: Vec<String>,
    /// When it happened, by the sender's clock.
    pub occurred_at: Option<jiff::Timestamp>,
    /// The sender's id of the delivery.
    pub delivery_id: Option<String>,
}
