//! Events of AWS CodeCommit, which arrive through Amazon SNS or as API destinations of Amazon EventBridge.
//!
//! | Message | Announces |
//! |---|---|
//! | EventBridge, `CodeCommit Repository State Change` | the branch or tag, unless it was deleted |
//! | a trigger of the repository, with `Records` | each branch and tag that was not deleted |
//!
//! The plugin ignores the other events of CodeCommit, and messages of Amazon SNS about a subscription. A host unwraps
//! the notifications of Amazon SNS before it asks a plugin.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod state_change;
mod trigger;

#[cfg(test)]
mod tests;

use stoker_plugin::{Descriptor, Malformed, Outcome, Request, sns};

/// The plugin is asked about bodies with the members of CodeCommit, and about subscriptions of Amazon SNS.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "codecommit",
    version: env!("CARGO_PKG_VERSION"),
    summary: "AWS CodeCommit: changes of branches and tags, from EventBridge or a trigger",
    headers: &[sns::HEADER],
    pointers: &[
        state_change::REPOSITORY,
        state_change::REPOSITORIES,
        state_change::EVENT,
        trigger::FIRST,
        sns::SUBSCRIBE_URL,
    ],
};

stoker_plugin::detector!(DESCRIPTOR, detect);

/// Returns what an event of CodeCommit announces.
pub fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
    if let Some(outcome) = sns::confirmation(request) {
        return Ok(outcome);
    }
    let outcome = if request.kind_at(trigger::FIRST).is_some() {
        trigger::detect(request)
    } else {
        state_change::detect(request)
    };
    match outcome {
        // A body that is written by hand may have both.
        Err(_) if request.has_ref() => Ok(Outcome::NotMine),
        outcome => outcome,
    }
}
