//! `stoker plugin run`: runs one component on one delivery.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use http::HeaderMap;

use super::{answer, load, question, tuning};
use crate::app::send::{parse_header, read};
use crate::app::text;
use crate::auth::is_withheld;
use crate::cli::PluginRunFlags;
use crate::plugin::{Capacity, Sandbox};

pub(super) async fn run(flags: &PluginRunFlags) -> Result<ExitCode> {
    let headers = flags
        .headers
        .iter()
        .map(|header| parse_header(header))
        .collect::<Result<HeaderMap>>()?;
    let (question, parsed) = question(headers, read(&flags.body)?)?;
    let question = Arc::new(question);
    let sandbox = Sandbox::new(Capacity::of_command())?;
    let loaded = load(&flags.plugin.file, &sandbox, tuning(&flags.plugin)?).await?;
    let mut lines = Vec::new();
    if let Err(error) = parsed {
        let why = stoker_report::chain(&error);
        lines.push(format!(
            "the body has no values that the plugin can read by pointer: {why}"
        ));
    }
    if !loaded.plugin.wants(&question) {
        lines.push(
            "a host would not offer this delivery to the plugin, because nothing in it matches the pre-filter"
                .to_owned(),
        );
    }
    let headers = &loaded.plugin.descriptor().headers;
    let withheld = headers.iter().filter(|name| is_withheld(name.as_str()));
    lines.extend(withheld.map(|name| {
        format!("the pre-filter names the header {name}: plugins see that it is present, but not its value")
    }));
    let (reply, report) = loaded.plugin.ask(&sandbox, &question).await;
    lines.extend(answer::lines(&reply));
    lines.extend(report.notes.iter().map(|note| answer::note(note)));
    lines.extend(report.log.iter().map(|line| format!("log: {line}")));
    lines.push(format!(
        "{} µs, at most {} KiB of memory",
        report.duration.as_micros(),
        report.peak_memory / 1024
    ));
    text::print_lines(&lines)?;
    Ok(if reply.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
