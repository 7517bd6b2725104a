//! `stoker plugin run`: one component, one delivery.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use http::HeaderMap;

use super::{load, question, tuning};
use crate::app::send::{parse_header, read};
use crate::app::text;
use crate::cli::AskFlags;
use crate::detection::Detection;
use crate::plugin::{CallError, Capacity, Reply, Sandbox};
use crate::report;

pub(super) async fn run(flags: &AskFlags) -> Result<ExitCode> {
    let sandbox = Sandbox::new(Capacity::default())?;
    let plugin = load(&flags.plugin.file, &sandbox, tuning(&flags.plugin)?).await?;
    let headers = flags
        .headers
        .iter()
        .map(|header| parse_header(header))
        .collect::<Result<HeaderMap>>()?;
    let question = Arc::new(question(headers, read(&flags.body)?)?);
    let mut lines = Vec::new();
    if !plugin.wants(&question) {
        lines.push(
            "the pre-filter would keep this delivery from the plugin; it is asked all the same"
                .to_owned(),
        );
    }
    let (reply, report) = plugin.ask_unfiltered(&sandbox, &question).await;
    lines.push(say(&reply));
    lines.extend(report.log.iter().map(|line| format!("log: {line}")));
    let peak = report.peak_memory / 1024;
    lines.push(format!(
        "{} µs, {peak} KiB of memory at most",
        report.duration.as_micros()
    ));
    text::print(&lines.join("\n"))?;
    Ok(if reply.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(super) fn say(reply: &Result<Reply, CallError>) -> String {
    match reply {
        Ok(Reply::NotMine) => "not mine".to_owned(),
        Ok(Reply::Ignored(reason)) => format!("ignored: {reason}"),
        Ok(Reply::Malformed(why)) => format!("malformed: {why}"),
        Ok(Reply::Found(found)) => found.iter().map(show).collect::<Vec<_>>().join("\n"),
        Err(error) => format!("failed: {}", report::chain(error)),
    }
}

fn show(found: &Detection) -> String {
    let names = (!found.repositories.is_empty()).then(|| found.repositories.join(" or "));
    let parts = [
        Some(format!("found: {}", found.git_ref)),
        found
            .commit
            .as_ref()
            .map(|commit| format!("commit {commit}")),
        names.map(|names| format!("of {names}")),
        found.occurred_at.map(|time| format!("at {time}")),
        found
            .delivery_id
            .as_ref()
            .map(|id| format!("delivery {id}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
