//! `stoker plugin list`: who is asked, in which order, and what is wrong with the others.

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use stoker_http_client::http_client;

use super::open;
use crate::app::text;
use crate::cli::ListFlags;
use crate::plugin::{Limits, PluginState, PluginStatus, SettingsSource};

pub(super) async fn run(flags: ListFlags) -> Result<ExitCode> {
    let plugins = if let Some(host) = &flags.host {
        ask(host).await?
    } else {
        let settings = SettingsSource {
            file: flags.plugin_settings,
            limits: Limits::default(),
        };
        open(flags.plugin_dir, settings).await?.status()
    };
    text::print(&table(&plugins))?;
    let all_is_well = plugins
        .iter()
        .all(|plugin| plugin.state.complaint().is_none());
    Ok(if all_is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Asks a Stoker that runs.
async fn ask(host: &str) -> Result<Vec<PluginStatus>> {
    let url = format!("{}/plugins", host.trim_end_matches('/'));
    let answer = http_client()?.get(&url).send().await;
    let answer = answer
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("cannot ask {url}"))?;
    let status = answer.status();
    ensure!(
        status.is_success(),
        "{url} answers {status}; it should be the address of --health-probe-bind-address"
    );
    let body = answer.bytes().await?;
    serde_json::from_slice(&body)
        .with_context(|| format!("{url} is not the probe address of a Stoker"))
}

fn table(plugins: &[PluginStatus]) -> String {
    let mut lines = vec![line(["NAME", "VERSION", "STATE", "FROM", "SUMMARY"])];
    let mut complaints = Vec::new();
    for plugin in plugins {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let (name, version) = (or_dash(&plugin.name), or_dash(&plugin.version));
        let summary = plugin.summary.as_deref().unwrap_or_default();
        let state = word(&plugin.state);
        lines.push(line([&name, &version, state, &plugin.from, summary]));
        let complaint = match &plugin.state {
            PluginState::Replaced { by } => Some(format!("is replaced by {by}")),
            PluginState::ServingPrevious { why } => Some(format!(
                "cannot be used as it is now, so what was before serves: {why}"
            )),
            PluginState::Refused { why } => Some(format!("cannot be used: {why}")),
            state => state.complaint().map(str::to_owned),
        };
        complaints.extend(complaint.map(|text| format!("{}: {text}", plugin.from)));
    }
    if !complaints.is_empty() {
        lines.push(String::new());
        lines.extend(complaints);
    }
    lines.join("\n")
}

fn line([name, version, state, from, summary]: [&str; 5]) -> String {
    format!("{name:<16} {version:<10} {state:<10} {from:<24} {summary}")
        .trim_end()
        .to_owned()
}

fn word(state: &PluginState) -> &'static str {
    match state {
        PluginState::Loading => "loading",
        PluginState::Serving => "serving",
        PluginState::Benched => "benched",
        PluginState::ServingPrevious { .. } => "previous",
        PluginState::Refused { .. } => "refused",
        PluginState::Replaced { .. } => "replaced",
        PluginState::Disabled => "disabled",
    }
}
