//! Notifications of Argo CD that send the application: the annotation `git.ref` announces the ref.
//!
//! ```json
//! {"app": {"metadata": {"annotations": {"git.ref": "v2.0.0"}}}}
//! ```
//!
//! The commit is not known. The revision in the application's status belongs to the application's source, which may be
//! another ref of another repository. The times in the status are not used for the same reason.

#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(test)]
mod tests;

use stoker_plugin::{Descriptor, Detection, Malformed, Outcome, Request, pointer};

const REF: &str = "/app/metadata/annotations/git.ref";
const SOURCES: &str = "/app/spec/sources";

/// The maximum number of names of a repository that a host accepts.
const MAX_SOURCES: u32 = 31;

/// The plugin is asked about applications with the annotation.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "argocd",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Argo CD notifications of an application with the annotation git.ref",
    headers: &[],
    pointers: &[REF],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Returns what a notification of Argo CD announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    let detection = Detection::new(request.required(REF)?);
    let sources = 0..request.len_at(SOURCES).unwrap_or_default().min(MAX_SOURCES);
    let repositories =
        sources.filter_map(|at| request.string_at(&pointer::element(SOURCES, at, "/repoURL")));
    let repositories = request
        .string_at("/app/spec/source/repoURL")
        .into_iter()
        .chain(repositories);
    Ok(detection.repositories(repositories).into())
}
