//! The log on standard error: JSON lines, or text on a terminal.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// Directives before every filter. The Kubernetes client logs whole answers that it cannot parse, and errors of watches
/// that the agent logs too. The library of HTTP/2 has warnings about single frames, of which a server may send as many as
/// it wants.
const QUIET: &str = "kube_client=error,kube_runtime::watcher=error,h2=error";

/// Starts the log. `is_verbose` means text with debug lines.
pub(crate) fn start(is_verbose: bool, level: &str) {
    let level = if is_verbose { "debug" } else { level };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!(
            "{level},{QUIET},hyper=warn,rustls=warn,tower=warn"
        )))
        .with_writer(std::io::stderr)
        .with_target(false);
    let is_terminal = std::io::stderr().is_terminal();
    let started = if is_verbose || is_terminal {
        let lines = lines.with_ansi(is_terminal).with_timer(SystemTime);
        tracing::subscriber::set_global_default(lines.finish())
    } else {
        let lines = lines.json().flatten_event(true).with_current_span(false);
        tracing::subscriber::set_global_default(lines.finish())
    };
    // A program that uses this crate as a library has a log of its own.
    drop(started);
}
