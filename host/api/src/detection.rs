//! The parsed values that the modules exchange: refs, commit ids, repositories, object keys and detections.
//!
//! Each parsed type has one constructor, which refuses invalid input. A value is therefore valid wherever it is used,
//! and is not checked again. The module depends on no framework, does no I/O and reads no clock.

mod commit_id;
mod git_ref;
mod object_key;
mod repo;
mod selection;

pub use commit_id::CommitId;
pub use git_ref::{GitRef, RefName};
pub use object_key::ObjectKey;
pub use repo::RepoUrl;
pub use selection::DetectorSelection;

/// The reason why a text cannot be parsed as one of the types of this module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// The text is too long.
    #[error("it has {length} bytes, more than {limit}")]
    TooLong {
        /// The length of the text in bytes.
        length: usize,
        /// The maximum length in bytes.
        limit: usize,
    },
    /// The text violates git's rules for ref names (`git check-ref-format`).
    #[error("git does not accept {text:?} as the name of a ref")]
    RefFormat {
        /// The text.
        text: String,
    },
    /// The text contains a character that is not displayed, or that changes how the text around it is displayed. Git
    /// accepts such a name, which can look like another one.
    #[error("{} contains {}, which is invisible", visible(.text), visible(.character))]
    Invisible {
        /// The text.
        text: String,
        /// The first such character.
        character: char,
    },
    /// The text does not consist of 40 or 64 hexadecimal digits.
    #[error("{text:?} is not a full commit id: {why}")]
    CommitFormat {
        /// The text, cut after 64 characters.
        text: String,
        /// The reason why it is invalid.
        why: String,
    },
    /// The commit id consists of zeros, which stand for "no commit" (githooks(5), "post-receive").
    #[error("a commit id of all zeros means that there is no commit")]
    NoCommit,
    /// The text is not the name of a Kubernetes object or namespace.
    #[error("{text:?} is not the name of a Kubernetes object")]
    NameFormat {
        /// The text.
        text: String,
    },
    /// The text is not the address of a remote repository.
    #[error("{text:?} is not the address of a git repository: {why}")]
    RepoFormat {
        /// The text without its credentials.
        text: String,
        /// The reason why it is invalid.
        why: &'static str,
    },
}

/// Quotes a text so that all its characters can be seen. `Debug` alone shows some invisible ones as they are.
fn visible(text: &impl std::fmt::Debug) -> String {
    stoker_report::escape(&format!("{text:?}"))
}

/// A ref that a delivery announces. The host has checked the plugin's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// The ref, in the form in which the sender wrote it.
    pub git_ref: GitRef,
    /// Whether the plugin knows that a bare name is that of a tag.
    pub is_tag: bool,
    /// The commit of the ref, as the sender reports it.
    pub commit: Option<CommitId>,
    /// The names (`owner/name`) or URLs of the repository.
    pub repositories: Vec<String>,
    /// What happened, in the words of the plugin, such as `push` or `release.published`. A detection without an event
    /// states which ref should run, and not that something happened.
    pub event: Option<String>,
    /// The time of the event, by the sender's clock.
    pub occurred_at: Option<jiff::Timestamp>,
    /// The id that the sender gave to the delivery.
    pub delivery_id: Option<String>,
}

#[cfg(test)]
mod fuzz;
