//! How many conversations a host has at once.
//!
//! A conversation that lasts long leaves its place to those that wait: it goes on in a place of the silent remotes, or it
//! is ended and waits for such a place. So repositories that hang do not delay the others on their host for longer than a
//! moment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::host::LastLookup;

/// The maximum number of conversations with one host at once, apart from those with silent remotes.
const CONVERSATIONS: usize = 4;
/// The maximum number of them with remotes that were not looked up before, so that a permit is left for the remotes that
/// answer.
const UNKNOWN: usize = 3;
/// The maximum number of conversations with remotes on one host that were silent last. They use no other permits.
const SILENT: usize = 2;
/// How long a conversation with a remote that was not looked up before keeps its permit while others wait.
const UNKNOWN_MOMENT: Duration = Duration::from_secs(1);
/// The same, of a remote that answered last.
const KNOWN_MOMENT: Duration = Duration::from_secs(5);
/// The time until a conversation that lasts long looks again whether others wait.
const AGAIN: Duration = Duration::from_millis(250);

/// The permits for conversations with a host.
pub(super) struct Permits {
    all: Semaphore,
    unknown: Semaphore,
    silent: Semaphore,
    /// The number of conversations that wait for a permit, apart from those with silent remotes.
    waiting: AtomicUsize,
}

impl Default for Permits {
    fn default() -> Self {
        Self {
            all: Semaphore::new(CONVERSATIONS),
            unknown: Semaphore::new(UNKNOWN),
            silent: Semaphore::new(SILENT),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Permits {
    /// Waits for a permit for a conversation with a remote.
    pub(super) async fn take(&self, last: LastLookup) -> Permit<'_> {
        // No semaphore is ever closed.
        let moment = match last {
            LastLookup::Silent => {
                let held = [self.silent.acquire().await.ok(), None];
                return Permit::new(self, held, None);
            }
            LastLookup::Unknown => UNKNOWN_MOMENT,
            LastLookup::Ended => KNOWN_MOMENT,
        };
        let waiting = Waiting::new(&self.waiting);
        let unknown = match last {
            LastLookup::Unknown => self.unknown.acquire().await.ok(),
            LastLookup::Ended | LastLookup::Silent => None,
        };
        let held = [unknown, self.all.acquire().await.ok()];
        drop(waiting);
        Permit::new(self, held, Some(moment))
    }
}

/// Counts one conversation that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(number: &'a AtomicUsize) -> Self {
        number.fetch_add(1, Ordering::Relaxed);
        Self(number)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A permit for a conversation with a host.
pub(super) struct Permit<'a> {
    permits: &'a Permits,
    held: [Option<SemaphorePermit<'a>>; 2],
    /// How long it is kept while others wait. `None` among the silent remotes, which keep it.
    moment: Option<Duration>,
    /// The end of this time, from the start of the conversation on.
    until: Option<Instant>,
}

impl<'a> Permit<'a> {
    fn new(
        permits: &'a Permits,
        held: [Option<SemaphorePermit<'a>>; 2],
        moment: Option<Duration>,
    ) -> Self {
        Self {
            permits,
            held,
            moment,
            until: None,
        }
    }

    /// Begins the time for which the permit is kept.
    pub(super) fn begin(&mut self) {
        self.until = self.moment.map(|moment| Instant::now() + moment);
    }

    /// Waits until the conversation has to leave its place, because others wait for it and there is no place among the
    /// silent remotes.
    pub(super) async fn revoked(&mut self) {
        while let Some(until) = self.until {
            sleep_until(until).await;
            if self.permits.waiting.load(Ordering::Relaxed) == 0 {
                self.until = Some(Instant::now() + AGAIN);
            } else if let Ok(silent) = self.permits.silent.try_acquire() {
                self.held = [Some(silent), None];
                self.until = None;
            } else {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}
