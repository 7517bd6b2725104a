//! Threads of low priority for the compiler, so that compiling a plugin does not delay webhooks.

use std::io;
use std::thread::{Builder, JoinHandle, available_parallelism};

use rayon::ThreadPoolBuilder;

/// The maximum number of threads for one compilation. More do not help, because a plugin has few functions.
const MOST_THREADS: usize = 4;

/// Starts a thread with this nice value (`nice(2)`). 0 leaves the priority as it is.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    nice: i32,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        // On Linux, this sets the priority of only this thread.
        let thread = rustix::thread::gettid();
        if nice != 0
            && let Err(error) = rustix::process::setpriority_process(Some(thread), nice)
        {
            tracing::debug!(error = %error, "cannot lower the priority of a compiler thread");
        }
        work()
    })
}

/// The number of threads that one compilation may use on this machine.
pub(super) fn threads() -> u64 {
    available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS) as u64)
}

/// Runs `work` on a pool of this many threads. The threads have the priority of the calling thread, and end when `work`
/// ends.
pub(super) fn in_parallel<T: Send>(threads: u64, work: impl FnOnce() -> T + Send) -> T {
    let pool = ThreadPoolBuilder::new()
        .num_threads(usize::try_from(threads).unwrap_or(1))
        .thread_name(|_| "plugin-compiler".to_owned())
        .build();
    match pool {
        Ok(pool) => pool.install(work),
        Err(error) => {
            tracing::debug!(error = %error, "cannot start compiler threads, so one thread compiles alone");
            work()
        }
    }
}
