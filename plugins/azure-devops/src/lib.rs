//! Service hooks of Azure DevOps (Services and Server): each branch and tag of a push, `git.push`, that was not deleted.
//!
//! No header names the sender, so the plugin recognises the body by `publisherId`, which is `tfs` for a push. The plugin
//! ignores the other events of this publisher, the events of other publishers, such as pipelines, and the sample that the
//! Test button sends.

#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(test)]
mod tests;

use stoker_plugin::{Descriptor, Detection, Malformed, Outcome, Request, list, pointer, text};

const UPDATES: &str = "/resource/refUpdates";

/// The id of the subscription in the sample of the Test button.
const NO_SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";

/// The plugin is asked about bodies that name a publisher.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "azure-devops",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Azure DevOps pushes, with every branch and tag in them",
    headers: &[],
    pointers: &["/publisherId"],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Returns what a service hook of Azure DevOps announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    match service_hook(request) {
        // A body that is written by hand may have both.
        Err(_) if request.has_ref() => Ok(Outcome::NotMine),
        outcome => outcome,
    }
}

fn service_hook(request: &impl Request) -> Result<Outcome, Malformed> {
    let publisher = request.string_at("/publisherId").unwrap_or_default();
    let subscription = request.string_at("/subscriptionId");
    if publisher != "tfs" {
        // The other members show that this is a service hook.
        return Ok(match request.string_at("/eventType") {
            Some(event) if subscription.is_some() => {
                Outcome::ignored(&["event ", &event, " of ", &publisher])
            }
            _ => Outcome::NotMine,
        });
    }
    if subscription.as_deref() == Some(NO_SUBSCRIPTION) {
        return Ok(Outcome::ignored(&["test event"]));
    }
    let event = request.required("/eventType")?;
    if event != "git.push" {
        return Ok(Outcome::ignored(&["event ", &event]));
    }
    if request.kind_at(UPDATES).is_none() {
        let what = "is missing; in the service hook, set Resource details to send to All";
        return Err(Malformed::at(UPDATES, what));
    }
    let names = [
        "/resource/repository/remoteUrl",
        "/resource/repository/sshUrl",
    ];
    let about = Detection::default()
        .repositories(request.strings_at(&names))
        .event(event)
        .occurred_at(request.string_at("/resource/date"))
        .delivery_id(request.string_at("/id"));
    list::changes(request, UPDATES, |request, index| {
        update(request, index, &about)
    })
}

fn update(request: &impl Request, index: u32, about: &Detection) -> Result<Outcome, Malformed> {
    let at = |rest| pointer::element(UPDATES, index, rest);
    let git_ref = request.required(&at("/name"))?;
    let id = request.string_at(&at("/newObjectId")).unwrap_or_default();
    if text::is_zero_id(&id) {
        return Ok(Outcome::deleted(&git_ref));
    }
    // For an annotated tag, this is the id of the tag object, not of the commit.
    let commit = git_ref.starts_with("refs/heads/").then_some(id);
    let detection = Detection {
        git_ref,
        ..about.clone()
    };
    Ok(detection.commit(commit).into())
}
