//! Selects the thread that a call runs on: the calling thread until the call yields, and then one thread for all slow
//! calls.
//!
//! Nearly all calls end within one tick and never leave the calling thread. A longer call would block its thread. It
//! moves to the slow lane, a thread shared by all slow calls. The next calls of a slow plugin start there.
//!
//! Large bodies have a thread, too, because parsing one takes milliseconds. Its priority is low, so that many of them
//! do not delay other deliveries.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::background;
use super::error::SandboxError;

/// A call that used this much processor time in the slow lane is slow. Processor time is measured, because elapsed time
/// includes waiting for a processor, and because a guest notices no ticks during an instruction that fills or copies
/// memory.
const SLOW: Duration = Duration::from_millis(1);
/// The number of quick calls after which a plugin starts on the calling thread again.
const PROBATION: u32 = 64;

/// A thread for what would block others. It ends with this value.
#[derive(Debug)]
pub(super) struct Lane {
    handle: Handle,
    _ends: oneshot::Sender<()>,
}

/// A record of how long the calls of one plugin took.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The number of next calls that begin in the slow lane.
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

impl Lane {
    /// Starts the thread with this nice value.
    pub(super) fn open(name: &str, nice: i32) -> Result<Self, SandboxError> {
        // A new call runs before the next turn of the running calls. A turn takes a tick, and with the default interval
        // a new call would wait for about thirty turns.
        let runtime = runtime::Builder::new_current_thread()
            .global_queue_interval(1)
            // A call waits for an instance for a limited time.
            .enable_time()
            .build()
            .map_err(SandboxError::Thread)?;
        let handle = runtime.handle().clone();
        let (sender, ended) = oneshot::channel();
        let work = move || runtime.block_on(async { drop(ended.await) });
        background::spawn(name, nice, work).map_err(SandboxError::Thread)?;
        Ok(Self {
            handle,
            _ends: sender,
        })
    }

    /// Runs work on the thread of the lane. If the work panics, so does its caller.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        match AbortOnDropHandle::new(self.handle.spawn(work)).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Runs a call to its end. Returns `None` if the lane or a panic ended it.
    ///
    /// A call that is not ready waits for processor time only.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        pace: &Arc<Pace>,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut call: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(call);
        if !pace.is_slow() {
            let first =
                std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
            if let Poll::Ready(result) = first {
                return Some(result);
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

/// Measures how long a call uses the processor, until the call ends or its caller drops it.
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

/// The processor time of this thread.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime)
        .try_into()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn only_what_takes_longer_changes_the_thread() {
        let lane = Lane::open("plugin-slow", 0).unwrap();
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
        // The next `PROBATION` calls begin in the slow lane, although they are quick.
        for _ in 0..PROBATION {
            let there = lane.run(&pace, async { thread::current().id() }).await;
            assert_ne!(there, Some(here));
        }
        let again = lane.run(&pace, async { thread::current().id() }).await;
        assert_eq!(again, Some(here));
    }

    #[tokio::test]
    async fn work_runs_on_the_thread_of_the_lane() {
        let lane = Lane::open("large-bodies", 5).unwrap();
        let name = lane.work(async { thread::current().name().map(str::to_owned) });
        assert_eq!(name.await.as_deref(), Some("large-bodies"));
        let panic = AssertUnwindSafe(lane.work(async { panic!("a panic of the work") }));
        panic.catch_unwind().await.unwrap_err();
    }

    #[tokio::test]
    async fn a_slow_call_counts_also_where_its_caller_goes_away() {
        let lane = Lane::open("plugin-slow", 0).unwrap();
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
        // The lane drops the call, with its end of the channel, at the next turn of the call.
        while told.recv().await.is_some() {}
        lane.run(&Arc::default(), turns(1)).await.unwrap();
        let here = thread::current().id();
        let next = lane.run(&pace, async { thread::current().id() }).await;
        assert_ne!(next, Some(here));
    }

    /// Yields as the engine does for a guest, and is woken at once.
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
        let lane = Lane::open("plugin-slow", 0).unwrap();
        let taken = Arc::new(AtomicUsize::new(0));
        let (go, went) = std::sync::mpsc::channel();
        let count = Arc::clone(&taken);
        let pace = Arc::new(Pace::default());
        let endless = lane.run(&pace, async move {
            turns(1).await;
            // The lane is blocked until the new calls have been added.
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
