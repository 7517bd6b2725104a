//! The description of a ref that a repository does not have.

use stoker_api::detection::{GitRef, RefName};

/// Returns a description of the missing ref for an error message.
pub(super) fn missing(git_ref: &GitRef) -> String {
    match git_ref.name() {
        RefName::Tag(name) => format!("tag {name}"),
        RefName::Branch(name) => format!("branch {name}"),
        RefName::Other(name) => format!("ref {name}"),
        RefName::Commit(id) => format!("commit {id}"),
        RefName::Bare("HEAD") => "HEAD that leads to a commit".to_owned(),
        RefName::Bare(name) if is_of_a_forge(name) => {
            format!("tag and no branch {name}; write refs/{name} for the ref of this name")
        }
        RefName::Bare(name) if is_short_id(name) => format!(
            "tag and no branch {name}; write the full id of 40 or 64 digits if {name} is the beginning of a commit's id"
        ),
        RefName::Bare(name) => format!("tag and no branch {name}"),
    }
}

/// Returns whether a name looks like a shortened id of a commit. Git shows at least seven digits. A server knows only full
/// ids.
fn is_short_id(name: &str) -> bool {
    (7..64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns whether forges have refs with the name `refs/NAME`, such as those of pull requests. `git fetch` finds them
/// without `refs/`, and `git clone --branch` does not.
fn is_of_a_forge(name: &str) -> bool {
    const DIRECTORIES: [&str; 5] = [
        "pull",
        "pull-requests",
        "merge-requests",
        "changes",
        "keep-around",
    ];
    name.split_once('/')
        .is_some_and(|(directory, _)| DIRECTORIES.contains(&directory))
}
