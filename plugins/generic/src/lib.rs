//! Any sender whose body has a `ref` at the top level.
//!
//! ```json
//! {"ref": "v2.0.0"}
//! ```
//!
//! Pushes in the shapes of GitHub and GitLab are such bodies, so what those say of the commit, of the repository and
//! of a deletion is understood.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Descriptor, Detection, Kind, Malformed, Outcome, Request, text};

const REF: &str = "/ref";

/// Asked where there is a `ref`.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "generic",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Any body with a ref at the top level",
    headers: &[],
    pointers: &[REF],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Says what a body with a `ref` announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    // GitLab names the kind of an event in the body. A job has a `ref` too, and announces nothing.
    if let Some(kind) = request.string_at("/object_kind")
        && !matches!(kind.as_str(), "push" | "tag_push")
    {
        return Ok(Outcome::ignored(&["object_kind ", &kind]));
    }
    let git_ref = request.required(REF)?;
    let after = request.string_at("/after");
    if request.is_true("/deleted") || after.as_deref().is_some_and(text::is_zero_id) {
        return Ok(Outcome::ignored(&[&git_ref, " was deleted"]));
    }
    let commit = commit(request, &git_ref, after);
    Ok(Detection::new(git_ref)
        .commit(commit)
        .repositories(repositories(request))
        .into())
}

/// In the push of an annotated tag `after` is the tag object, which is no commit. What it points to is GitLab's
/// `checkout_sha` and GitHub's head commit.
fn commit(request: &impl Request, git_ref: &str, after: Option<String>) -> Option<String> {
    let is_full = |id: &String| text::is_commit_id(id);
    let after = after.filter(|id| is_full(id) && !git_ref.starts_with("refs/tags/"));
    let named = || {
        ["/commit", "/sha", "/checkout_sha", "/head_commit/id"]
            .iter()
            .find_map(|at| request.string_at(at).filter(is_full))
    };
    after.or_else(named)
}

fn repositories(request: &impl Request) -> Vec<String> {
    let mut names = match request.kind_at("/repository") {
        Some(Kind::Text) => request.strings_at(&["/repository"]),
        Some(Kind::Object) => request.strings_at(&[
            "/repository/full_name",
            "/repository/clone_url",
            "/repository/ssh_url",
            "/repository/html_url",
            "/repository/git_http_url",
            "/repository/git_ssh_url",
        ]),
        _ => Vec::new(),
    };
    if request.kind_at("/project") == Some(Kind::Object) {
        names.extend(request.strings_at(&[
            "/project/path_with_namespace",
            "/project/git_http_url",
            "/project/git_ssh_url",
            "/project/web_url",
        ]));
    }
    names
}
