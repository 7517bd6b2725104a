//! The clock of the engine, by which guests that compute are interrupted.
//!
//! It ticks while guests run, and is stopped otherwise. A thread that wakes a thousand times a second would take more
//! processor time than everything else that an idle process does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use super::error::SandboxError;

/// The period of the clock. A guest that computes occupies its thread for at most two periods.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// The number of ticks without a guest after which the clock stands still. It is not stopped after each call, because
/// waking its thread takes longer than a call.
const IDLE_TICKS: u32 = 100;

/// The clock. Its thread ends with this value and the last guest.
#[derive(Debug)]
pub(super) struct Clock {
    state: Arc<State>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct State {
    guests: AtomicUsize,
    is_standing: AtomicBool,
    has_ended: AtomicBool,
}

/// Keeps the clock ticking.
#[derive(Debug)]
pub(super) struct Ticking(Arc<State>);

impl Clock {
    /// Starts the clock. It calls `tick` in each period.
    pub(super) fn start(tick: impl Fn() + Send + 'static) -> Result<Self, SandboxError> {
        let state = Arc::new(State::default());
        let ticker = Arc::clone(&state);
        let handle = thread::Builder::new()
            .name("plugin-ticker".to_owned())
            .spawn(move || ticker.run(tick))
            .map_err(SandboxError::Thread)?;
        Ok(Self {
            state,
            thread: handle.thread().clone(),
        })
    }

    /// Lets the clock tick for a guest, until the returned value is dropped.
    pub(super) fn tick(&self) -> Ticking {
        if self.state.guests.fetch_add(1, Ordering::SeqCst) == 0 {
            // This is a call to the system only if the thread is parked.
            self.thread.unpark();
        }
        Ticking(Arc::clone(&self.state))
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.state.has_ended.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.guests.fetch_sub(1, Ordering::SeqCst);
    }
}

impl State {
    fn run(&self, tick: impl Fn()) {
        let mut idle_ticks = 0;
        loop {
            idle_ticks = if self.has_guests() { 0 } else { idle_ticks + 1 };
            if idle_ticks > IDLE_TICKS {
                self.stand_still();
                idle_ticks = 0;
            }
            if self.has_ended.load(Ordering::SeqCst) && !self.has_guests() {
                return;
            }
            thread::sleep(TICK);
            tick();
        }
    }

    fn stand_still(&self) {
        self.is_standing.store(true, Ordering::SeqCst);
        while !self.has_guests() && !self.has_ended.load(Ordering::SeqCst) {
            thread::park();
        }
        self.is_standing.store(false, Ordering::SeqCst);
    }

    fn has_guests(&self) -> bool {
        self.guests.load(Ordering::SeqCst) > 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, RecvTimeoutError};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn the_clock_ticks_while_there_is_a_guest() {
        let (sender, ticks) = mpsc::channel();
        let clock = Clock::start(move || sender.send(()).unwrap_or_default()).unwrap();
        for _ in 0..3 {
            while !clock.state.is_standing.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            while ticks.try_recv().is_ok() {}
            let guests = [clock.tick(), clock.tick()];
            for _ in 0..IDLE_TICKS * 2 {
                ticks.recv_timeout(LONG).unwrap();
            }
            assert!(!clock.state.is_standing.load(Ordering::SeqCst));
            drop(guests);
        }
    }

    #[test]
    fn the_thread_ends_with_the_clock_and_the_last_guest() {
        let (sender, ticks) = mpsc::channel();
        let clock = Clock::start(move || sender.send(()).unwrap_or_default()).unwrap();
        let guest = clock.tick();
        drop(clock);
        for _ in 0..IDLE_TICKS * 2 {
            ticks.recv_timeout(LONG).unwrap();
        }
        drop(guest);
        let end = loop {
            if let Err(end) = ticks.recv_timeout(LONG) {
                break end;
            }
        };
        assert_eq!(end, RecvTimeoutError::Disconnected);
    }
}
