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
        let runtime = runtime::Builder::new_current_thread()
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
}
