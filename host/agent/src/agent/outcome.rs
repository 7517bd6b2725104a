//! How one sync ended.

use std::time::Duration;

use stoker_api::DesignerSessionPolicy;

use crate::gateway::Designer;
use crate::metrics::Files;

/// The commit and the ref whose files are on the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OnDisk {
    /// The id of the commit, or an empty text if it is unknown.
    pub(crate) commit: String,
    /// The ref that led to it.
    pub(crate) git_ref: String,
}

/// The end of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The files are on the gateway, or were counted in a dry run.
    Synced(Synced),
    /// The profile is paused. Nothing was done.
    ProfilePaused,
    /// Designers are open, and the profile's policy does not allow to sync.
    Designers {
        /// The policy: `wait` or `fail`.
        policy: DesignerSessionPolicy,
        /// The designers.
        open: Vec<Designer>,
        /// The time until the gateway is asked again, if the policy is `fail`.
        period: Duration,
    },
    /// The commit deletes more files than the profile allows, and nobody has confirmed it.
    Unconfirmed {
        /// What would be deleted, for people.
        message: String,
    },
    /// Something failed.
    Failed(Failure),
}

impl Outcome {
    /// Returns whether the gateway may start after this end of the first sync. A sync that is held, by a pause, by
    /// designers or for a confirmation, leaves the files of an earlier one, with which the gateway can start.
    pub(crate) fn allows_start(&self) -> bool {
        match self {
            Self::Failed(failure) => failure.allows_start || failure.step == Step::Scan,
            _ => true,
        }
    }
}

/// The files of a sync.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Synced {
    /// The author of the commit.
    pub(crate) author: String,
    /// The number of files.
    pub(crate) files: Files,
    /// Whether the changes were only counted.
    pub(crate) is_dry_run: bool,
    /// The time that the files took.
    pub(crate) took: Duration,
    /// The projects on the gateway.
    pub(crate) projects: Vec<String>,
    /// The gateway's answer to the scan. It is empty if nothing was to be scanned.
    pub(crate) scan: String,
}

/// The reason why a sync failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The step that failed.
    pub(crate) step: Step,
    /// The reason, for people.
    pub(crate) message: String,
    /// The files that were changed nevertheless.
    pub(crate) files: Files,
    /// Whether the gateway may start although the first sync failed.
    pub(crate) allows_start: bool,
}

/// The steps of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Getting the commit for the first time.
    Clone,
    /// Getting the commit.
    Fetch,
    /// Finding the profile.
    Profile,
    /// Planning and writing the files.
    Files,
    /// The scan of the gateway. The files are in place.
    Scan,
}

impl Step {
    /// The beginning of the message in reports, as in the Go agent.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Clone | Self::Fetch => "git fetch: ",
            Self::Profile => "looking up profile: ",
            Self::Files => "sync engine: ",
            Self::Scan => "",
        }
    }
}
