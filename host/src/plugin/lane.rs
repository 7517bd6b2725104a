//! Where calls run: the first moments on the thread that asks, the rest on a thread of its own.
//!
//! A call that is over within one tick, as nearly all are, pays nothing. One that is not would take its thread from
//! everybody's webhooks again and again until its time is up; it goes on in the slow lane, where it shares one thread
//! with its like.

use std::pin::Pin;
use std::task::Poll;

use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::error::SandboxError;

/// The thread of the calls that take longer. It ends with this value.
#[derive(Debug)]
pub(super) struct SlowLane {
    handle: Handle,
    _ends: oneshot::Sender<()>,
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
        call: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut call: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(call);
        let first = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        match first {
            Poll::Ready(said) => Some(said),
            Poll::Pending => AbortOnDropHandle::new(self.handle.spawn(call)).await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn only_what_takes_longer_changes_the_thread() {
        let lane = SlowLane::open().unwrap();
        let here = thread::current().id();
        let quick = lane.run(async { thread::current().id() }).await;
        assert_eq!(quick, Some(here));
        let slow = async {
            tokio::task::yield_now().await;
            thread::current().name().map(str::to_owned)
        };
        let slow = lane.run(slow).await;
        assert_eq!(slow, Some(Some("plugin-slow".to_owned())));
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
        let endless = lane.run(async move {
            turns(1).await;
            // The lane stands still until the newcomers are there.
            went.recv().unwrap();
            loop {
                count.fetch_add(1, Ordering::Relaxed);
                turns(1).await;
            }
        });
        let newcomer = || {
            let taken = Arc::clone(&taken);
            lane.run(async move {
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
