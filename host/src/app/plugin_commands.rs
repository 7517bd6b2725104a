//! `stoker plugin …`: the room of the plugins, at the command line. No cluster is asked.

mod check;
mod fixtures;
mod list;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::HeaderMap;

use super::send::{parse_header, read};
use super::text;
use crate::auth::{AuthConfig, Authenticator};
use crate::cli::PluginCommand;
use crate::delivery::Delivery;
use crate::detection::Detection;
use crate::metrics::Metrics;
use crate::plugin::{
    CallError, Capacity, Catalog, Detector, Origin, Plugin, Question, Reply, Sandbox,
    SettingsSource, Tuning,
};
use crate::report;

pub(super) async fn run(command: PluginCommand) -> Result<ExitCode> {
    match command {
        PluginCommand::List(flags) => list::run(flags).await,
        PluginCommand::Check { file } => check::run(&file).await,
        PluginCommand::Run {
            file,
            headers,
            body,
        } => ask(&file, &headers, &body).await,
        PluginCommand::Test {
            directories,
            plugin_dir,
        } => {
            let detector = open(plugin_dir, SettingsSource::default()).await?;
            fixtures::run(&detector, &directories).await
        }
    }
}

/// The plugins of these directories, as a host would have them.
async fn open(directories: Vec<PathBuf>, settings: SettingsSource) -> Result<Arc<Detector>> {
    let detector = Arc::new(Detector::new(Arc::new(Sandbox::new(Capacity::default())?)));
    let metrics = Metrics::new().plugin;
    Catalog::open(Arc::clone(&detector), metrics, directories, settings).await?;
    Ok(detector)
}

/// Loads one file as the host would, without those around it.
async fn load(file: &Path, sandbox: &Sandbox) -> Result<Plugin> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.file_name().unwrap_or_default().display().to_string();
    let plugin = Plugin::load(
        sandbox,
        &Metrics::new().plugin,
        Origin::File(name),
        bytes,
        Arc::new(Tuning::default()),
    )
    .await;
    plugin.with_context(|| format!("{} cannot be used", file.display()))
}

async fn ask(file: &Path, headers: &[String], body: &Path) -> Result<ExitCode> {
    let sandbox = Sandbox::new(Capacity::default())?;
    let plugin = load(file, &sandbox).await?;
    let headers = headers
        .iter()
        .map(|header| parse_header(header))
        .collect::<Result<HeaderMap>>()?;
    let question = Arc::new(question(headers, read(body)?)?);
    let mut lines = Vec::new();
    if !plugin.wants(&question) {
        lines.push(
            "the pre-filter would keep this delivery from the plugin; it is asked all the same"
                .to_owned(),
        );
    }
    let (reply, report) = plugin.ask(&sandbox, &question).await;
    let code = if reply.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    lines.push(say(&reply));
    let peak = report.peak_memory / 1024;
    lines.push(format!(
        "{} µs, {peak} KiB of memory at most",
        report.duration.as_micros()
    ));
    text::print(&lines.join("\n"))?;
    Ok(code)
}

fn say(reply: &Result<Reply, CallError>) -> String {
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

/// A delivery that needs no secret, since it comes from the person at the command line.
fn question(headers: HeaderMap, body: Vec<u8>) -> Result<Question> {
    let delivery = Delivery {
        headers,
        body: body.into(),
    };
    let verified = Authenticator::new(AuthConfig::default()).verify(delivery)?;
    Ok(Question::new(verified)?)
}
