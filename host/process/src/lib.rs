//! What the programs have in common as processes: the signals that end them, and the text of their metrics.

mod exposition;
mod signals;

pub use exposition::Format;
pub use signals::termination;
