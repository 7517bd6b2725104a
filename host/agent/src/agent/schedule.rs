//! When the agent syncs: a pure state machine. It decides from what is published, what was done, and the time.

use std::time::Duration;

use stoker_api::DesignerSessionPolicy;
use stoker_process::retry_delay;
use tokio::time::Instant;

use super::outcome::Outcome;
use crate::metadata::{Metadata, Published};

/// The wait after the first failure. It doubles with each failure in a row.
const FIRST_RETRY: Duration = Duration::from_secs(30);
/// The longest wait after a failure.
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// The time between two looks at what keeps a sync from being done: open designers, or a confirmation that is missing.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How long a sync waits for designers before the wait is reported as an error.
const DESIGNER_TIMEOUT: Duration = Duration::from_mins(5);

/// Whether the gateway runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The gateway is not started yet, or does not answer yet. It reads the files when it starts, so it is neither asked
    /// for designers nor told to scan.
    Starting,
    /// The gateway answers.
    Running,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Sync.
    Sync(Published),
    /// Wait for a change, and at most until this time.
    Wait(Idle, Option<Instant>),
}

/// Why there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Nothing is published.
    Unpublished,
    /// The object is paused.
    Paused,
    /// What is published is on the gateway.
    Unchanged,
    /// A sync failed, and is tried again later.
    BackOff,
    /// Designers are open.
    Designers,
    /// The deletions are not confirmed.
    Unconfirmed,
}

/// How a sync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is done, and needs nothing more.
    Done,
    /// It failed.
    Failed,
    /// Designers are open, and the policy is to wait.
    WaitsForDesigners,
    /// Designers are open, and the policy is to fail. The duration is that until the next try.
    RefusedByDesigners(Duration),
    /// The deletions need a confirmation.
    Unconfirmed,
}

impl End {
    /// Returns what an outcome means for the next sync.
    pub(crate) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Synced(_) | Outcome::ProfilePaused => Self::Done,
            Outcome::Designers { policy, period, .. } => match policy {
                DesignerSessionPolicy::Wait => Self::WaitsForDesigners,
                DesignerSessionPolicy::Fail | DesignerSessionPolicy::Proceed => {
                    Self::RefusedByDesigners(*period)
                }
            },
            Outcome::Unconfirmed { .. } => Self::Unconfirmed,
            Outcome::Failed(_) => Self::Failed,
        }
    }
}

/// The state of the agent's decisions.
#[derive(Debug)]
pub(crate) struct Schedule {
    phase: Phase,
    /// What was synced last.
    done: Option<Published>,
    /// Whether that was after the gateway had started.
    is_confirmed: bool,
    /// What could not be synced, and when it is tried again.
    open: Option<Open>,
}

/// A sync that did not succeed.
#[derive(Debug)]
struct Open {
    wanted: Published,
    why: Idle,
    failures: u32,
    since: Instant,
    retry_at: Instant,
}

impl Schedule {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Starting,
            done: None,
            is_confirmed: false,
            open: None,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Records that the gateway answers. What is published then is synced again, because the gateway has not confirmed
    /// the files.
    pub(crate) fn gateway_is_running(&mut self) {
        self.phase = Phase::Running;
    }

    /// Records that files on the gateway were changed by others, and are to be put back.
    pub(crate) fn repair(&mut self) {
        self.done = None;
    }

    /// Decides what to do now. A new commit or a new profile is not delayed by earlier failures.
    pub(crate) fn next(&self, now: Instant, metadata: Option<&Metadata>) -> Next {
        let published = match metadata {
            None => return Next::Wait(Idle::Unpublished, None),
            Some(Metadata::Paused) => return Next::Wait(Idle::Paused, None),
            Some(Metadata::Published(published)) => published,
        };
        let open = self.open.as_ref().filter(|open| open.wanted == *published);
        if let Some(open) = open.filter(|open| now < open.retry_at) {
            return Next::Wait(open.why, Some(open.retry_at));
        }
        let is_enough = self.is_confirmed || self.phase == Phase::Starting;
        // A sync of another commit that did not succeed may have changed a part of the files.
        if self.open.is_none() && is_enough && self.done.as_ref() == Some(published) {
            return Next::Wait(Idle::Unchanged, None);
        }
        Next::Sync(published.clone())
    }

    /// Records the end of a sync that was started in `phase`.
    pub(crate) fn record(&mut self, now: Instant, phase: Phase, wanted: Published, end: End) {
        let before = self.open.take().filter(|open| open.wanted == wanted);
        let why = match end {
            End::Done => {
                self.done = Some(wanted);
                self.is_confirmed = phase == Phase::Running;
                return;
            }
            End::Failed => Idle::BackOff,
            End::WaitsForDesigners | End::RefusedByDesigners(_) => Idle::Designers,
            End::Unconfirmed => Idle::Unconfirmed,
        };
        let before = before.filter(|before| before.why == why);
        let failures = before.as_ref().map_or(0, |open| open.failures);
        let failures = failures.saturating_add(1);
        let delay = match end {
            End::Done | End::Failed => retry_delay(FIRST_RETRY, LONGEST_RETRY, failures),
            End::RefusedByDesigners(period) => period,
            End::WaitsForDesigners | End::Unconfirmed => LOOK_AGAIN,
        };
        self.open = Some(Open {
            wanted,
            why,
            failures,
            since: before.map_or(now, |open| open.since),
            retry_at: now + delay,
        });
    }

    /// Returns whether a sync has waited for designers for so long that it is an error.
    pub(crate) fn has_timed_out(&self, now: Instant, wanted: &Published) -> bool {
        let open = self.open.as_ref().filter(|open| open.wanted == *wanted);
        open.is_some_and(|open| open.why == Idle::Designers && now - open.since >= DESIGNER_TIMEOUT)
    }
}

#[cfg(test)]
mod tests;
