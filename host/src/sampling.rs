//! Limits how often a repeated log line is written, so that a flood of requests is not a flood of lines.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time in which a limited number of lines is written.
const WINDOW: Duration = Duration::from_secs(1);

/// Decides which of many similar lines are written.
#[derive(Debug)]
pub(crate) struct Sampler {
    per_window: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    begun: Option<Instant>,
    written: u32,
    omitted: u64,
}

impl Sampler {
    /// Returns a sampler that allows so many lines per second.
    pub(crate) const fn per_second(lines: u32) -> Self {
        Self {
            per_window: lines,
            state: Mutex::new(State {
                begun: None,
                written: 0,
                omitted: 0,
            }),
        }
    }

    /// Returns whether the next line is written. Otherwise, it is counted.
    pub(crate) fn allows(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        if state.begun.is_none_or(|begun| now - begun >= WINDOW) {
            state.begun = Some(now);
            state.written = 0;
        }
        let is_allowed = state.written < self.per_window;
        if is_allowed {
            state.written += 1;
        } else {
            state.omitted += 1;
        }
        is_allowed
    }

    /// Returns the number of lines that were omitted since the last call.
    pub(crate) fn take_omitted(&self) -> u64 {
        std::mem::take(&mut self.state().omitted)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_beyond_the_limit_of_a_second_are_counted() {
        let sampler = Sampler::per_second(2);
        let allowed: Vec<_> = (0..5).map(|_| sampler.allows()).collect();
        assert_eq!(allowed, [true, true, false, false, false]);
        tokio::time::advance(WINDOW).await;
        assert!(sampler.allows());
        assert_eq!(sampler.take_omitted(), 3);
        assert_eq!(sampler.take_omitted(), 0);
    }
}
