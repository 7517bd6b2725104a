//! Threads that step back where somebody waits for an answer: those that compile. A call in the slow lane is waited for
//! and has its time, so its thread does not.

use std::io;
use std::thread::{Builder, JoinHandle};

/// How far they step back, in the units of `nice(2)`: the scheduler gives a thread that answers webhooks nine times as
/// much, and does not let it wait for these.
const NICE: i32 = 10;

/// Starts such a thread.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        // On Linux this is about the thread. Where it is refused, there is as much for everybody.
        let thread = rustix::thread::gettid();
        if let Err(error) = rustix::process::setpriority_process(Some(thread), NICE) {
            tracing::debug!(error = %error, "a thread in the background has the priority of the others");
        }
        work()
    })
}
