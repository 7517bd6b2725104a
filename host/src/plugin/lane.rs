//! Where calls run: the first moments on the thread that asks, the rest on a thread of its own.
//!
//! A call that is over within one tick, as nearly all are, pays nothing. One that is not would take its thread from
//! everybody's webhooks again and again until its time is up; it goes on in the slow lane, where it shares one thread
//! with its like. A plugin whose call did so of late begins there.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::error::SandboxError;

/// A call that used the slow lane's processor for so long is slow. Time that passed is no measure: it may have lost the
/// processor to somebody else. Nor are turns: to fill or copy memory is one, however much it is.
const SLOW: Duration = Duration::from_millis(1);
/// So many calls in a row have to be quick before one begins again on the thread that asks.
const PROBATION: u32 = 64;

/// The thread of the calls that take longer. It ends with this value.
#[derive(Debug)]
pub(super) struct SlowLane {
    handle: Handle,
    _ends: oneshot::Sender<()>,
}

/// What is known of how long a plugin's calls take.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Calls that begin in the slow lane.
    probation: AtomicU32,
}

impl Pace {
    fn is_slow(&self) -> bool {
        self.probation
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    }

    fn was_slow(&self) {
        self.probation.store(PROBATION, Ordering::Relaxed);
    }
}

impl SlowLane {
    pub(super) fn open() -> Result<Self, SandboxError> {
        // Whoever comes is looked at before the next turn of those who are there: a turn takes a tick, and the usual
        // interval would let newcomers wait for thirty of them.
        let runtime = runtime::Builder::new_current_thread()
            .global_queue_interval(1)
            .build()
            .map_err(SandboxError::Thread)?;
        let handle = runtime.handle().clone();
        let (sender, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("plugin-slow".to_owned())
            .spawn(move || runtime.block_on(async { drop(ended.await) }))
            .map_err(SandboxError::Thread)?;
        Ok(Self {
            handle,
            _ends: sender,
        })
    }

    /// Runs a call to its end. None where it was ended with the lane, or by a panic.
    ///
    /// All that a call ever waits for is its own next turn: what is not ready at once is a guest that still runs.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        pace: &Arc<Pace>,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut call: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(call);
        if !pace.is_slow() {
            let first =
                std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
            if let Poll::Ready(said) = first {
                return Some(said);
            }
        }
        let meter = Meter {
            pace: Arc::clone(pace),
            used: Duration::ZERO,
        };
        let ended = AbortOnDropHandle::new(self.handle.spawn(meter.over(call))).await;
        ended.ok()
    }
}

/// How long a call used the processor. It is told of when the call ends, also where nobody waits for it any more.
struct Meter {
    pace: Arc<Pace>,
    used: Duration,
}

impl Meter {
    async fn over<T>(mut self, mut call: Pin<Box<dyn Future<Output = T> + Send>>) -> T {
        std::future::poll_fn(|context| {
            let before = processor_time();
            let poll = call.as_mut().poll(context);
            self.used += processor_time().saturating_sub(before);
            poll
        })
        .await
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.used >= SLOW {
            self.pace.was_slow();
        }
    }
}

/// What this thread has had of the processor.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn only_what_takes_longer_changes_the_thread() {
        let lane = SlowLane::open().unwrap();
        let here = thread::current().id();
        let pace = Arc::new(Pace::default());
        let quick = lane.run(&pace, async { thread::current().id() }).await;
        assert_eq!(quick, Some(here));
        let name = || thread::current().name().map(str::to_owned);
        let brief = async move {
            turns(1).await;
            name()
        };
        let brief = lane.run(&pace, brief).await;
        assert_eq!(brief, Some(Some("plugin-slow".to_owned())));
        let quick = lane.run(&pace, async { thread::current().id() }).await;
        assert_eq!(quick, Some(here), "losing the processor once is not slow");
        let long = async {
            turns(1).await;
            let begun = processor_time();
            while processor_time().saturating_sub(begun) < SLOW {}
        };
        lane.run(&pace, long).await.unwrap();
        // So many of the next begin there, quick as they are.
        for _ in 0..PROBATION {
            let there = lane.run(&pace, async { thread::current().id() }).await;
            assert_ne!(there, Some(here));
        }
        let again = lane.run(&pace, async { thread::current().id() }).await;
        assert_eq!(again, Some(here));
    }

    #[tokio::test]
    async fn a_slow_call_counts_also_where_its_caller_goes_away() {
        let lane = SlowLane::open().unwrap();
        let pace = Arc::new(Pace::default());
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let endless = lane.run(&pace, async move {
            loop {
                turns(1).await;
                let begun = processor_time();
                while processor_time().saturating_sub(begun) < SLOW {}
                tell.send(()).unwrap();
            }
        });
        tokio::select! {
            _ = endless => panic!("it has no end"),
            turn = told.recv() => turn.unwrap(),
        }
        // The lane drops the call, and what it has of the channel, when it next comes to it.
        while told.recv().await.is_some() {}
        lane.run(&Arc::default(), turns(1)).await.unwrap();
        let here = thread::current().id();
        let next = lane.run(&pace, async { thread::current().id() }).await;
        assert_ne!(next, Some(here));
    }

    /// Yields as the engine does for a guest: awake at once.
    async fn turns(count: usize) {
        for _ in 0..count {
            let mut has_yielded = false;
            std::future::poll_fn(|context| {
                if std::mem::replace(&mut has_yielded, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    }

    #[tokio::test]
    async fn a_newcomer_does_not_wait_for_those_that_go_on_and_on() {
        let lane = SlowLane::open().unwrap();
        let taken = Arc::new(AtomicUsize::new(0));
        let (go, went) = std::sync::mpsc::channel();
        let count = Arc::clone(&taken);
        let pace = Arc::new(Pace::default());
        let endless = lane.run(&pace, async move {
            turns(1).await;
            // The lane stands still until the newcomers are there.
            went.recv().unwrap();
            loop {
                count.fetch_add(1, Ordering::Relaxed);
                turns(1).await;
            }
        });
        let newcomers = Arc::new(Pace::default());
        let newcomer = || {
            let taken = Arc::clone(&taken);
            lane.run(&newcomers, async move {
                turns(1).await;
                taken.load(Ordering::Relaxed)
            })
        };
        let arrivals = async {
            let all = futures::future::join_all([newcomer(), newcomer(), newcomer(), newcomer()]);
            tokio::join!(all, async { go.send(()).unwrap() }).0
        };
        tokio::select! {
            biased;
            _ = endless => panic!("it has no end"),
            waited = arrivals => assert!(waited.iter().all(|turns| turns.unwrap() < 20), "{waited:?}"),
        }
    }
}
