//! Payload files: what a plugin says of each, against what is expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::text;
use crate::plugin::{CallError, Detector, Plugin, Reply};
use crate::report;

/// One payload file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Fixture {
    /// For people.
    #[serde(rename = "description")]
    _description: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Box<RawValue>>,
    body_text: Option<String>,
    expect: Expectation,
}

/// What a plugin says of a payload.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum Expectation {
    Found(Vec<Announced>),
    Ignored(String),
    Malformed(String),
    NotMine(bool),
    #[serde(skip_deserializing)]
    Failed(String),
}

#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Announced {
    r#ref: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    repositories: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    occurred_at: Option<jiff::Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivery_id: Option<String>,
}

/// Runs every payload file of the directories and prints a table.
pub(super) async fn run(detector: &Detector, directories: &[PathBuf]) -> Result<ExitCode> {
    let mut lines = vec![format!(
        "{:<12} {:<44} {:<10} {:>7}",
        "PLUGIN", "FILE", "OUTCOME", "µs"
    )];
    let (mut passed, mut failed) = (0, 0);
    for directory in directories {
        let project = directory
            .parent()
            .filter(|_| directory.ends_with("payloads"));
        let name = project
            .unwrap_or(directory)
            .file_name()
            .unwrap_or_default()
            .display()
            .to_string();
        let plugins = detector.plugins();
        let plugin = plugins
            .iter()
            .find(|plugin| plugin.descriptor().name == name);
        let plugin = plugin
            .with_context(|| format!("there is no plugin {name:?} for {}", directory.display()))?;
        for file in payload_files(directory)? {
            let checked = check(detector, plugin, &file).await;
            let (expected, said, micros) =
                checked.with_context(|| format!("in {}", file.display()))?;
            let shown = file.file_name().unwrap_or_default().display().to_string();
            let outcome = word(&said);
            if said == expected {
                passed += 1;
                lines.push(format!("{name:<12} {shown:<44} {outcome:<10} {micros:>7}"));
            } else {
                failed += 1;
                lines.push(format!("{name:<12} {shown:<44} DIFFERENT  {micros:>7}"));
                lines.push(format!("  expected {}", serde_json::to_string(&expected)?));
                lines.push(format!("  but got  {}", serde_json::to_string(&said)?));
            }
        }
    }
    lines.push(format!("{passed} passed, {failed} failed"));
    text::print(&lines.join("\n"))?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn payload_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?;
    let paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    let is_json = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    };
    let mut files: Vec<_> = paths.into_iter().filter(is_json).collect();
    ensure!(
        !files.is_empty(),
        "there is no payload file (*.json) in {}",
        directory.display()
    );
    files.sort();
    Ok(files)
}

async fn check(
    detector: &Detector,
    plugin: &Arc<Plugin>,
    file: &Path,
) -> Result<(Expectation, Expectation, u128)> {
    let fixture: Fixture = serde_json::from_slice(&std::fs::read(file)?)?;
    let body = match (fixture.body, fixture.body_text) {
        (Some(body), None) => body.get().as_bytes().to_vec(),
        (None, Some(text)) => text.into_bytes(),
        _ => anyhow::bail!("give either `body` or `bodyText`"),
    };
    let headers = fixture
        .headers
        .iter()
        .map(|(name, value)| anyhow::Ok((name.parse::<HeaderName>()?, value.parse()?)));
    let headers = headers.collect::<Result<HeaderMap>>()?;
    let question = Arc::new(super::question(headers, body)?);
    if !plugin.wants(&question) {
        return Ok((fixture.expect, Expectation::NotMine(true), 0));
    }
    let (reply, report) = plugin.ask(detector.sandbox(), &question).await;
    Ok((fixture.expect, said(reply), report.duration.as_micros()))
}

fn said(reply: Result<Reply, CallError>) -> Expectation {
    match reply {
        Ok(Reply::NotMine) => Expectation::NotMine(true),
        Ok(Reply::Ignored(reason)) => Expectation::Ignored(reason),
        Ok(Reply::Malformed(why)) => Expectation::Malformed(why),
        Err(error) => Expectation::Failed(report::chain(&error).to_string()),
        Ok(Reply::Found(found)) => Expectation::Found(
            found
                .into_iter()
                .map(|one| Announced {
                    r#ref: one.git_ref.to_string(),
                    commit: one.commit.map(|commit| commit.to_string()),
                    repositories: one.repositories,
                    occurred_at: one.occurred_at,
                    delivery_id: one.delivery_id,
                })
                .collect(),
        ),
    }
}

fn word(said: &Expectation) -> &'static str {
    match said {
        Expectation::Found(_) => "found",
        Expectation::Ignored(_) => "ignored",
        Expectation::Malformed(_) => "malformed",
        Expectation::NotMine(_) => "not mine",
        Expectation::Failed(_) => "failed",
    }
}
