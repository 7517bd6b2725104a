use std::time::Duration;

/// What a guest may use. The defaults suit plugins of some kilobytes; what each number protects stands beside it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Real time of one call, waiting for the processor included.
    pub wall_time: Duration,
    /// Bytes of linear memory. It also bounds the one instruction that cannot be interrupted, a `memory.copy`.
    pub memory_bytes: usize,
    /// Bytes that cross from the guest to the host in one call: results, arguments of imports.
    pub transfer_bytes: usize,
    /// Bytes of a component's file. Compiling takes time and memory in proportion.
    pub component_bytes: u64,
    /// Plugin files that are read from one directory.
    pub files_per_directory: usize,
    /// Instances at the same time; a call beyond waits.
    pub instances: u32,
    /// How long a call waits for an instance before the sender is asked to come back.
    pub queue_time: Duration,
    /// Log lines that a guest may write in one call.
    pub log_lines: u32,
    /// Bytes of one log line, of a reason, of an error text.
    pub text_bytes: usize,
    /// Refs that one delivery may announce.
    pub detections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_time: Duration::from_millis(50),
            memory_bytes: 16 << 20,
            transfer_bytes: 1 << 20,
            component_bytes: 4 << 20,
            files_per_directory: 64,
            instances: 64,
            queue_time: Duration::from_secs(1),
            log_lines: 16,
            text_bytes: 1024,
            detections: 64,
        }
    }
}
