//! Who fails too often sits on the bench for a while, so that one plugin's time-outs do not slow each webhook.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many more failures than answers, and the plugin is benched.
const FAILURES: u32 = 5;
/// The first time on the bench; each further one in a row is twice as long.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest time on the bench: how late a plugin that recovered is noticed.
const LONGEST: Duration = Duration::from_mins(1);
/// When another trial is made although the last one has not ended: its caller may be gone.
const TRIAL: Duration = Duration::from_secs(20);

/// Counts the failures of one plugin.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
    /// Whether there is anything to count. As long as a plugin answers there is not, and its callers write nothing that
    /// others read: two threads that ask it do not wait for one another's memory.
    is_troubled: AtomicBool,
}

#[derive(Debug)]
enum State {
    /// It is asked. `score` is its failures less its answers, never below zero.
    Playing { score: u32 },
    /// It is not asked before `until`.
    Benched { until: Instant, time: Duration },
    /// One call was let through to see; no other before `until`.
    Trial { until: Instant, time: Duration },
}

impl Default for State {
    fn default() -> Self {
        Self::Playing { score: 0 }
    }
}

/// The permission for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Regular,
    Trial,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// With an answer, whatever it is.
    Answered,
    /// With a fault of the plugin that costs the host.
    Failed,
    /// It did not begin, or says nothing of the plugin.
    Undecided,
}

/// What a call changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The plugin is not asked for this long.
    Benched(Duration),
    /// It answers again.
    Recovered,
}

impl Breaker {
    /// Lets a call through, or says how long the plugin stays on the bench. After that one call goes through as a
    /// trial, and the others wait for how it ends.
    pub(super) fn admit(&self, now: Instant) -> Result<Pass, Duration> {
        if !self.is_troubled.load(Ordering::Relaxed) {
            return Ok(Pass::Regular);
        }
        let mut state = self.lock();
        match *state {
            State::Playing { .. } => Ok(Pass::Regular),
            State::Benched { until, .. } | State::Trial { until, .. } if now < until => {
                Err(until - now)
            }
            State::Benched { time, .. } | State::Trial { time, .. } => {
                *state = State::Trial {
                    until: now + TRIAL,
                    time,
                };
                Ok(Pass::Trial)
            }
        }
    }

    /// Whether the plugin is on the bench, or was not seen to answer since.
    pub(super) fn is_benched(&self) -> bool {
        !matches!(*self.lock(), State::Playing { .. })
    }

    /// Notes how a call ended.
    pub(super) fn record(&self, pass: Pass, ended: Ended, now: Instant) -> Option<Change> {
        if ended != Ended::Failed && !self.is_troubled.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.lock();
        let change = state.after(pass, ended, now);
        let is_troubled = !matches!(*state, State::Playing { score: 0 });
        self.is_troubled.store(is_troubled, Ordering::Relaxed);
        change
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Goes on to the state after a call that ended.
    fn after(&mut self, pass: Pass, ended: Ended, now: Instant) -> Option<Change> {
        match (pass, &mut *self) {
            (Pass::Regular, Self::Playing { score }) => match ended {
                Ended::Undecided => None,
                Ended::Answered => {
                    *score = score.saturating_sub(1);
                    None
                }
                Ended::Failed => {
                    *score += 1;
                    (*score >= FAILURES).then(|| self.bench(SHORTEST, now))
                }
            },
            // It began before the plugin was benched, and says nothing new.
            (Pass::Regular, _) | (Pass::Trial, Self::Playing { .. }) => None,
            (Pass::Trial, Self::Benched { time, .. } | Self::Trial { time, .. }) => match ended {
                Ended::Answered => {
                    *self = Self::default();
                    Some(Change::Recovered)
                }
                Ended::Failed => {
                    let time = (*time * 2).min(LONGEST);
                    Some(self.bench(time, now))
                }
                Ended::Undecided => {
                    let time = *time;
                    *self = Self::Benched { until: now, time };
                    None
                }
            },
        }
    }

    fn bench(&mut self, time: Duration, now: Instant) -> Change {
        *self = Self::Benched {
            until: now + time,
            time,
        };
        Change::Benched(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn benched(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        for _ in 1..FAILURES {
            assert_eq!(breaker.record(Pass::Regular, Ended::Failed, now), None);
        }
        let change = breaker.record(Pass::Regular, Ended::Failed, now);
        assert_eq!(change, Some(Change::Benched(seconds(1))));
        breaker
    }

    #[test]
    fn failures_bench_and_answers_make_up_for_them() {
        let now = Instant::now();
        let breaker = Breaker::default();
        for _ in 0..100 {
            assert_eq!(breaker.record(Pass::Regular, Ended::Failed, now), None);
            assert_eq!(breaker.record(Pass::Regular, Ended::Answered, now), None);
        }
        assert_eq!(breaker.admit(now), Ok(Pass::Regular));
        let breaker = benched(now);
        assert!(breaker.is_benched());
        assert_eq!(breaker.admit(now), Err(seconds(1)));
    }

    #[test]
    fn one_trial_decides_about_the_next_time() {
        let start = Instant::now();
        let breaker = benched(start);
        let mut now = start + seconds(1);
        for time in [2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(breaker.admit(now), Ok(Pass::Trial));
            assert_eq!(breaker.admit(now), Err(TRIAL));
            let change = breaker.record(Pass::Trial, Ended::Failed, now);
            assert_eq!(change, Some(Change::Benched(seconds(time))));
            now += seconds(time);
        }
        assert_eq!(breaker.admit(now), Ok(Pass::Trial));
        let change = breaker.record(Pass::Trial, Ended::Answered, now);
        assert_eq!(change, Some(Change::Recovered));
        assert!(!breaker.is_benched());
        assert_eq!(breaker.admit(now), Ok(Pass::Regular));
    }

    #[test]
    fn a_trial_that_says_nothing_is_made_again() {
        let start = Instant::now();
        let breaker = benched(start);
        let now = start + seconds(1);
        assert_eq!(breaker.admit(now), Ok(Pass::Trial));
        assert_eq!(breaker.record(Pass::Trial, Ended::Undecided, now), None);
        assert_eq!(breaker.admit(now), Ok(Pass::Trial));
        // One whose caller went away is not waited for, for ever.
        assert_eq!(breaker.admit(now + TRIAL), Ok(Pass::Trial));
    }

    #[test]
    fn a_call_from_before_the_bench_changes_nothing() {
        let now = Instant::now();
        let breaker = benched(now);
        assert_eq!(breaker.record(Pass::Regular, Ended::Failed, now), None);
        assert_eq!(breaker.record(Pass::Regular, Ended::Answered, now), None);
        assert_eq!(breaker.admit(now), Err(seconds(1)));
    }
}
