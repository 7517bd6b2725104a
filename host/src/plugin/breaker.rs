//! A circuit breaker: while it is open, its plugin is benched. A plugin that fails too often is not called for a while,
//! so that its time-outs do not delay every webhook.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The breaker opens when failures exceed answers by this number.
const FAILURES: u32 = 5;
/// The time for which the breaker is open at first. Each consecutive time is twice as long.
const SHORTEST: Duration = Duration::from_secs(1);
/// The maximum time for which the breaker is open. The recovery of a plugin is noticed after at most this time.
const LONGEST: Duration = Duration::from_mins(1);
/// The time after which another trial starts if the last one has not ended.
const TRIAL: Duration = Duration::from_secs(20);

/// Counts the failures of one plugin.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
    /// Whether the score is above zero or the breaker is not closed. It is read without the lock, so that successful
    /// calls do not contend for it.
    is_failing: AtomicBool,
}

#[derive(Debug)]
enum State {
    /// The plugin is asked. `score` is the number of failures minus the number of answers, and never below zero.
    Closed { score: u32 },
    /// The plugin is not asked before `until`.
    Open { until: Instant, time: Duration },
    /// One trial call is running. No other call starts before `until`.
    Trial { until: Instant, time: Duration },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { score: 0 }
    }
}

/// The permission for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    Regular,
    Trial,
}

/// The end of a call, as far as the breaker depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The plugin gave an answer, whatever it is.
    Answered,
    /// The plugin failed.
    Failed,
    /// The call did not begin, or its end is not evidence about the plugin.
    Undecided,
}

/// A change of the breaker that a call caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The plugin is not called for this time.
    Opened(Duration),
    /// The plugin answers again.
    Closed,
}

impl Breaker {
    /// Lets a call through, or returns how long the breaker stays open. After that time, one call goes through as a
    /// trial, and its end decides whether other calls go through.
    pub(super) fn admit(&self, now: Instant) -> Result<Permission, Duration> {
        if !self.is_failing.load(Ordering::Relaxed) {
            return Ok(Permission::Regular);
        }
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => Ok(Permission::Regular),
            State::Open { until, .. } | State::Trial { until, .. } if now < until => {
                Err(until - now)
            }
            State::Open { time, .. } | State::Trial { time, .. } => {
                *state = State::Trial {
                    until: now + TRIAL,
                    time,
                };
                Ok(Permission::Trial)
            }
        }
    }

    /// Whether the plugin failed more often than it has answered since.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Whether the breaker is open, or a trial has not closed it yet.
    pub(super) fn is_open(&self) -> bool {
        !matches!(*self.lock(), State::Closed { .. })
    }

    /// Records the end of a call.
    pub(super) fn record(
        &self,
        permission: Permission,
        ended: Ended,
        now: Instant,
    ) -> Option<Change> {
        if ended != Ended::Failed && !self.is_failing.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.lock();
        let change = state.after(permission, ended, now);
        let is_failing = !matches!(*state, State::Closed { score: 0 });
        self.is_failing.store(is_failing, Ordering::Relaxed);
        change
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Updates the state after a call.
    fn after(&mut self, permission: Permission, ended: Ended, now: Instant) -> Option<Change> {
        match (permission, &mut *self) {
            (Permission::Regular, Self::Closed { score }) => match ended {
                Ended::Undecided => None,
                Ended::Answered => {
                    *score = score.saturating_sub(1);
                    None
                }
                Ended::Failed => {
                    *score += 1;
                    (*score >= FAILURES).then(|| self.open(SHORTEST, now))
                }
            },
            // The call began before the breaker opened.
            (Permission::Regular, _) | (Permission::Trial, Self::Closed { .. }) => None,
            (Permission::Trial, Self::Open { time, .. } | Self::Trial { time, .. }) => {
                match ended {
                    Ended::Answered => {
                        *self = Self::default();
                        Some(Change::Closed)
                    }
                    Ended::Failed => {
                        let time = (*time * 2).min(LONGEST);
                        Some(self.open(time, now))
                    }
                    Ended::Undecided => {
                        let time = *time;
                        *self = Self::Open { until: now, time };
                        None
                    }
                }
            }
        }
    }

    fn open(&mut self, time: Duration, now: Instant) -> Change {
        *self = Self::Open {
            until: now + time,
            time,
        };
        Change::Opened(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn open(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        for _ in 1..FAILURES {
            assert_eq!(
                breaker.record(Permission::Regular, Ended::Failed, now),
                None
            );
        }
        let change = breaker.record(Permission::Regular, Ended::Failed, now);
        assert_eq!(change, Some(Change::Opened(seconds(1))));
        breaker
    }

    #[test]
    fn failures_open_the_breaker_and_answers_make_up_for_them() {
        let now = Instant::now();
        let breaker = Breaker::default();
        for _ in 0..100 {
            assert_eq!(
                breaker.record(Permission::Regular, Ended::Failed, now),
                None
            );
            assert_eq!(
                breaker.record(Permission::Regular, Ended::Answered, now),
                None
            );
        }
        assert_eq!(breaker.admit(now), Ok(Permission::Regular));
        let breaker = open(now);
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(now), Err(seconds(1)));
    }

    #[test]
    fn one_trial_decides_about_the_next_time() {
        let start = Instant::now();
        let breaker = open(start);
        let mut now = start + seconds(1);
        for time in [2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(breaker.admit(now), Ok(Permission::Trial));
            assert_eq!(breaker.admit(now), Err(TRIAL));
            let change = breaker.record(Permission::Trial, Ended::Failed, now);
            assert_eq!(change, Some(Change::Opened(seconds(time))));
            now += seconds(time);
        }
        assert_eq!(breaker.admit(now), Ok(Permission::Trial));
        let change = breaker.record(Permission::Trial, Ended::Answered, now);
        assert_eq!(change, Some(Change::Closed));
        assert!(!breaker.is_open());
        assert_eq!(breaker.admit(now), Ok(Permission::Regular));
    }

    #[test]
    fn a_trial_that_says_nothing_is_made_again() {
        let start = Instant::now();
        let breaker = open(start);
        let now = start + seconds(1);
        assert_eq!(breaker.admit(now), Ok(Permission::Trial));
        assert_eq!(
            breaker.record(Permission::Trial, Ended::Undecided, now),
            None
        );
        assert_eq!(breaker.admit(now), Ok(Permission::Trial));
        // A trial expires if its caller is gone.
        assert_eq!(breaker.admit(now + TRIAL), Ok(Permission::Trial));
    }

    #[test]
    fn a_call_from_before_the_breaker_opened_changes_nothing() {
        let now = Instant::now();
        let breaker = open(now);
        assert_eq!(
            breaker.record(Permission::Regular, Ended::Failed, now),
            None
        );
        assert_eq!(
            breaker.record(Permission::Regular, Ended::Answered, now),
            None
        );
        assert_eq!(breaker.admit(now), Err(seconds(1)));
    }
}
