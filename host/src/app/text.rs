//! Prints the output of commands.

#[cfg(feature = "authoring")]
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;

/// Prints a text. A reader that closes the pipe early, as `head` does, is not an error.
pub(super) fn print(text: &str) -> Result<ExitCode> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    stoker_process::print(std::io::stdout().lock(), &format!("{text}{end}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints lines with untrusted text, such as file names and answers of plugins. Control characters are escaped, so that
/// they neither break the line nor affect the terminal.
pub(super) fn print_lines(lines: &[String]) -> Result<ExitCode> {
    let lines: Vec<_> = lines
        .iter()
        .map(|line| stoker_report::escape(line))
        .collect();
    print(&lines.join("\n"))
}

/// Prints progress on standard error.
#[cfg(feature = "authoring")]
pub(super) fn note(text: &str) {
    let mut err = std::io::stderr().lock();
    for line in text.lines() {
        // The command continues if nothing reads standard error.
        drop(writeln!(err, "{}", stoker_report::escape(line)));
    }
}
