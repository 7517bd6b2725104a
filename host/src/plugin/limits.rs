//! The limits of each plugin, and of all together.

use std::time::Duration;

/// The limits of one plugin. The defaults suit components of some kilobytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The elapsed time of one call. A guest that had fewer than eight ticks of processor time is not stopped.
    pub wall_time: Duration,
    /// Bytes of linear memory. For a composed component, this is the sum of all memories. The limit also bounds the
    /// duration of a `memory.copy`, the one instruction that cannot be interrupted.
    pub memory_bytes: usize,
    /// Bytes that pass from the guest to the host in one call, as results and as arguments of imports.
    pub transfer_bytes: usize,
    /// Bytes of a component's file. Compiling takes time and memory in proportion to the size. A file that needs too
    /// much for its size is refused.
    pub component_bytes: u64,
    /// Log lines that a guest may write in one call.
    pub log_lines: usize,
    /// Bytes of all log lines of one call.
    pub log_bytes: usize,
    /// Refs that one delivery may announce. If there are more, the first and the last are kept. The largest known
    /// pushes, of whole repositories to a mirror, have some thousands of refs.
    pub detections: usize,
    /// Calls at the same time. Further calls wait. The limit prevents one plugin from taking all instances.
    pub concurrent_calls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_time: Duration::from_millis(50),
            memory_bytes: 16 << 20,
            // An answer of 4096 refs has about 2 MiB.
            transfer_bytes: 4 << 20,
            component_bytes: 4 << 20,
            log_lines: 16,
            log_bytes: 8 << 10,
            detections: 4096,
            concurrent_calls: 16,
        }
    }
}

/// The limits of all plugins together. They are fixed when the sandbox is created.
#[derive(Debug, Clone)]
pub struct Capacity {
    /// Instances at the same time. Further calls wait. A composed component counts once for each of its memories.
    pub instances: u32,
    /// The time that a call waits for its turn before the sender is asked to retry.
    pub queue_time: Duration,
    /// The time that compiling one component may take. A component made from Python takes half a minute on a busy
    /// machine.
    pub compile_time: Duration,
    /// The nice value of the threads of the compiler (`nice(2)`). A thread with nice value 0 gets about nine times the
    /// processor time of one with 10.
    pub compiler_nice: i32,
}

impl Capacity {
    /// The capacity of a command that compiles plugins while its user waits. No webhook is delayed by it, and a busy
    /// machine should not fail it.
    #[must_use]
    pub fn of_command() -> Self {
        Self {
            compile_time: Duration::from_mins(10),
            compiler_nice: 0,
            ..Self::default()
        }
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            instances: 64,
            queue_time: Duration::from_secs(1),
            compile_time: Duration::from_mins(2),
            compiler_nice: 10,
        }
    }
}

/// The maximum number of bytes of a log line, a reason or an error text.
pub(super) const TEXT_BYTES: usize = 1024;
