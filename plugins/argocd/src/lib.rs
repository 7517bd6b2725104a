//! Notifications of Argo CD that send the application: the annotation `git.ref` announces the ref.
//!
//! ```json
//! {"app": {"metadata": {"annotations": {"git.ref": "v2.0.0"}}}}
//! ```
//!
//! Neither the commit nor the repository is known. The sources of the application, and the revision in its status, may be
//! those of another repository, such as that of a Helm chart. The times in the status are not used for the same reason.

#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(test)]
mod tests;

use stoker_plugin::{Descriptor, Detection, Malformed, Outcome, Request};

const REF: &str = "/app/metadata/annotations/git.ref";

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
    match request.required(REF) {
        Ok(git_ref) => Ok(Detection::new(git_ref).into()),
        // A body that is written by hand may have both.
        Err(_) if request.has_ref() => Ok(Outcome::NotMine),
        Err(why) => Err(why),
    }
}
