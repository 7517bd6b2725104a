//! What the programs have in common as processes: the signals that end them, the limit of their memory, bounded reads
//! of files, their output, their waits before retries, and the text of their metrics.

mod exposition;
mod memory;
mod output;
mod read;
mod retry;
mod signals;

pub use exposition::Format;
pub use memory::{memory_left, memory_limit};
pub use output::print;
pub use read::{read_bounded, read_file, read_regular_file, read_regular_text, read_text};
pub use retry::retry_delay;
pub use signals::termination;
