//! The log on standard error: text on a terminal, JSON otherwise. Writing it never delays an answer.

mod queue;

use std::io::IsTerminal as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use queue::{Queue, State};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::time::SystemTime;

/// The filter if none is configured.
const DEFAULT_FILTER: &str = "info";

/// Directives before every filter, which later ones for the same targets replace. The Kubernetes client logs whole
/// answers that it cannot parse, and objects may contain credentials. It and its watches log errors that Stoker logs too,
/// without the call that failed. The library of HTTP/2 has warnings about single frames, of which the other side may send
/// as many as it wants.
const QUIET: &str =
    "kube_client=error,kube_client::client::builder=off,kube_runtime::watcher=error,h2=error";

/// The time between two reports of dropped lines.
const REPORT_PERIOD: Duration = Duration::from_secs(10);

/// The queue of the log, once it was started.
static QUEUE: OnceLock<Arc<State>> = OnceLock::new();

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Text.
    Human,
    /// One JSON object per line.
    Json,
}

/// The reason why the log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is invalid.
    #[error(
        "the log filter {filter:?} is invalid: use a level (error, warn, info, debug, trace or off), or target=level pairs"
    )]
    Filter {
        /// The filter.
        filter: String,
        /// The reason.
        #[source]
        source: Option<tracing_subscriber::filter::ParseError>,
    },
    /// The log was started before.
    #[error("the log was started already")]
    AlreadySet,
}

/// Starts the log on standard error. Dropping the guard writes the remaining lines.
pub fn start(format: Format, filter: Option<&str>) -> Result<WorkerGuard, TelemetryError> {
    let filter = parse(filter.unwrap_or(DEFAULT_FILTER))?;
    // If the reader of the log is too slow, lines are dropped. Answers do not wait for it.
    let (writer, guard) = Queue::start(std::io::stderr());
    let state = writer.state();
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
    drop(QUEUE.set(state));
    Ok(guard)
}

/// Parses a filter. The library takes a word that is no level for a target, and then nothing else is logged.
fn parse(text: &str) -> Result<EnvFilter, TelemetryError> {
    let invalid = |source| TelemetryError::Filter {
        filter: text.to_owned(),
        source,
    };
    let is_valid = |part: &str| {
        part.contains(['=', '[']) || (!part.is_empty() && part.parse::<LevelFilter>().is_ok())
    };
    if !text.split(',').all(is_valid) {
        return Err(invalid(None));
    }
    EnvFilter::try_new(format!("{QUIET},{text}")).map_err(|source| invalid(Some(source)))
}

/// Reports the lines that were dropped, from time to time.
pub async fn report_dropped() {
    loop {
        tokio::time::sleep(REPORT_PERIOD).await;
        let dropped = QUEUE.get().map_or(0, |state| state.take_dropped());
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "lines of the log were dropped, because its reader is too slow"
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io;
    use std::sync::{Mutex, PoisonError};

    use serde_json::Value;
    use tracing::subscriber::DefaultGuard;

    use super::*;

    /// The lines that this thread logs while it exists.
    pub(crate) struct Captured {
        written: Written,
        _guard: DefaultGuard,
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        /// Captures the lines that a filter lets through.
        pub(crate) fn start(filter: &str) -> Self {
            let written = Written::default();
            let writer = written.clone();
            let lines = tracing_subscriber::fmt()
                .with_env_filter(parse(filter).unwrap())
                .json()
                .flatten_event(true)
                .with_writer(move || writer.clone());
            Self {
                written,
                _guard: tracing::subscriber::set_default(lines.finish()),
            }
        }

        /// Returns the lines since the last call.
        pub(crate) fn take(&self) -> Vec<Value> {
            let written = std::mem::take(&mut *self.written.0.lock().unwrap());
            let lines = written.split(|byte| *byte == b'\n');
            let lines = lines.filter(|line| !line.is_empty());
            lines
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect()
        }
    }

    #[test]
    fn some_libraries_log_only_errors_unless_they_are_named() {
        let log = || {
            tracing::warn!(target: "kube_client::client", "an answer with credentials");
            tracing::error!(target: "kube_client::client", "an error");
            tracing::warn!(target: "kube_runtime::watcher", "an error that Stoker logs");
            tracing::warn!(target: "h2::proto::ping_pong", "a frame");
            tracing::info!(target: "stoker::controller", "a line");
        };
        let messages = |filter: &str| -> Vec<_> {
            let captured = Captured::start(filter);
            log();
            let lines = captured.take().into_iter();
            lines
                .map(|line| line["message"].as_str().unwrap().to_owned())
                .collect()
        };
        for filter in [DEFAULT_FILTER, "debug"] {
            assert_eq!(messages(filter), ["an error", "a line"], "{filter}");
        }
        let named = messages("info,kube_client=warn");
        assert_eq!(named, ["an answer with credentials", "an error", "a line"]);
        let named = messages("info,h2=debug");
        assert_eq!(named, ["an error", "a frame", "a line"]);
    }

    #[test]
    fn a_filter_has_levels_and_targets_with_levels() {
        for text in [
            "info",
            "WARN",
            "off",
            "3",
            "info,kube=debug",
            "stoker::receiver=trace,error",
            "info,[reconcile]=debug",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "warning",
            "verbose",
            "information",
            "info,verbose",
            "info,",
            "stoker",
            "6",
            "stoker=warning",
            "stoker::receiver",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("the log filter {text:?} is invalid: ")),
                "{error}"
            );
        }
    }
}
