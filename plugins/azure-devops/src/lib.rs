//! Service hooks of Azure DevOps (Services and Server): each branch and tag of a push, `git.push`, that was not deleted.
//!
//! No header names the sender, so the body does: `publisherId` is `tfs`. Its other events are ignored.

#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(test)]
mod tests;

use stoker_plugin::{
    Change, Descriptor, Detection, Malformed, Outcome, Request, changes, pointer, text,
};

const UPDATES: &str = "/resource/refUpdates";

/// Asked where the body names a publisher.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "azure-devops",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Azure DevOps pushes, with every branch and tag in them",
    headers: &[],
    pointers: &["/publisherId"],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Says what a service hook of Azure DevOps announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    if request.string_at("/publisherId").as_deref() != Some("tfs") {
        return Ok(Outcome::NotMine);
    }
    let event = request.required("/eventType")?;
    if event != "git.push" {
        return Ok(Outcome::ignored(&["event ", &event]));
    }
    changes(request, UPDATES, update)
}

fn update(request: &impl Request, index: u32) -> Result<Change, Malformed> {
    let at = |rest| pointer::element(UPDATES, index, rest);
    let git_ref = request.required(&at("/name"))?;
    let id = request.string_at(&at("/newObjectId")).unwrap_or_default();
    if text::is_zero_id(&id) {
        return Ok(Change::Deleted(git_ref));
    }
    // Of an annotated tag it is the tag object, which is no commit.
    let commit = git_ref.starts_with("refs/heads/").then_some(id);
    let names = [
        "/resource/repository/remoteUrl",
        "/resource/repository/sshUrl",
    ];
    Ok(Change::Set(
        Detection::new(git_ref)
            .commit(commit)
            .repositories(request.strings_at(&names))
            .occurred_at(request.string_at("/resource/date"))
            .delivery_id(request.string_at("/id")),
    ))
}
