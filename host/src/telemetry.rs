//! The log: for people on a terminal, JSON elsewhere, and never in the way of an answer.

use std::io::IsTerminal as _;

use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// Which lines are written where nothing is said.
const DEFAULT_FILTER: &str = "info";

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As the output suggests: for people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error("{filter:?} is no log filter: use a level (info, debug) or target=level pairs")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// There is one already.
    #[error("the log is set up already")]
    AlreadySet,
}

/// Starts the log, which goes to standard error. Lines that were not written yet are written when the guard goes.
pub fn start(format: Format, filter: Option<&str>) -> Result<WorkerGuard, TelemetryError> {
    let text = filter.unwrap_or(DEFAULT_FILTER);
    let filter = EnvFilter::try_new(text).map_err(|source| TelemetryError::Filter {
        filter: text.to_owned(),
        source,
    })?;
    // Where the reader is slower than the webhooks come in, lines are dropped rather than answers held back.
    let (writer, guard) = NonBlocking::new(std::io::stderr());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_target(false);
    let is_terminal = std::io::stderr().is_terminal();
    let is_human = format == Format::Human || (format == Format::Auto && is_terminal);
    let started = if is_human {
        tracing::subscriber::set_global_default(
            lines.with_ansi(is_terminal).with_timer(SystemTime).finish(),
        )
    } else {
        tracing::subscriber::set_global_default(
            lines
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .finish(),
        )
    };
    started.map_err(|_| TelemetryError::AlreadySet)?;
    Ok(guard)
}
