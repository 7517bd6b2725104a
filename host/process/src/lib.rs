//! What the programs have in common as processes: the signals that end them, bounded reads of files, and the text of
//! their metrics.

mod exposition;
mod read;
mod signals;

pub use exposition::Format;
pub use read::{read_bounded, read_file, read_text};
pub use signals::termination;
