//! What commands print for a person or a pipe.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;

/// Prints a whole text. A reader that went away, as `head` does, is no error.
pub(super) fn print(text: &str) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let ends = if text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{ends}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Tells a person how it goes, where it is not the result.
#[cfg(feature = "authoring")]
pub(super) fn note(text: &str) {
    // Who reads no notes misses nothing.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}
