//! Threads that step back where somebody waits for an answer: those that compile. A call in the slow lane is waited for
//! and has its time, so its thread does not.

use std::io;
use std::thread::{Builder, JoinHandle, available_parallelism};

use rayon::ThreadPoolBuilder;

/// How far they step back, in the units of `nice(2)`: the scheduler gives a thread that answers webhooks nine times as
/// much, and does not let it wait for these.
const NICE: i32 = 10;
/// The most threads of one compilation: a plugin has too few functions for more.
const MOST_THREADS: usize = 4;

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

/// Works on several cores, with threads that step back as the one that calls does, and that end with the work.
pub(super) fn in_parallel<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let threads = available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS));
    // A thread begins with the priority of the one that starts it.
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|_| "plugin-compiler".to_owned())
        .build();
    match pool {
        Ok(pool) => pool.install(work),
        // No threads are to be had: slower, and the same.
        Err(error) => {
            tracing::debug!(error = %error, "one thread compiles alone");
            work()
        }
    }
}
