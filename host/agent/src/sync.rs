//! Brings the files of one commit to a directory. It needs no cluster, no network and no clock.
//!
//! [`plan`] compares the commit with the directory and changes nothing. [`apply`] makes the changes of a plan.
//! [`drift`] finds what others have changed since.

mod applied;
mod apply;
mod attributes;
mod digest;
mod json;
mod live;
mod pattern;
mod plan;
mod profiles;
mod root;
mod rule;
mod template;
#[cfg(test)]
mod testing;
mod wanted;

pub use applied::{Applied, AppliedFile, Change, Drifted, drift};
pub use apply::{ApplyError, Outcome, apply, projects};
pub use live::Live;
pub use plan::{Counts, OneFile, Operation, Plan, PlanError, TooManyDeletes, plan};
pub use profiles::{Profile, ProfileError, Profiles};
pub use root::RootError;
pub use rule::{ContentError, RuleError};
pub use template::Context;
