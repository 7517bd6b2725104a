//! `stoker plugin list`: lists plugins in the order in which webhooks are offered to them, and the problems of the
//! plugins that cannot be used.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use stoker_http_client::http_client;
use url::Url;

use crate::app::text;
use crate::cli::{ListFlags, plugin_directories};
use crate::metrics::Metrics;
use crate::plugin::{
    Capacity, Catalog, Chain, Limits, PluginState, PluginStatus, Sandbox, SettingsSource, Supply,
};

/// The maximum size of the answer of a running Stoker, in bytes. Each plugin needs some hundred bytes.
const STATUS_BYTES: usize = 16 << 20;
/// The path of the plugins' status.
const PATH: &str = "/plugins";

pub(super) async fn run(mut flags: ListFlags) -> Result<ExitCode> {
    flags.plugin_dir = plugin_directories(flags.plugin_dir);
    let (plugins, mut problems) = if let Some(host) = &flags.host {
        (fetch(&plugins_url(host)?).await?, Vec::new())
    } else {
        let problems = unreadable(&flags.plugin_dir);
        (load(flags).await?, problems)
    };
    let is_healthy = problems.is_empty()
        && plugins
            .iter()
            .all(|plugin| plugin.state.complaint().is_none());
    problems.extend(plugins.iter().filter_map(problem_line));
    let mut lines = table(&plugins);
    if !problems.is_empty() {
        lines.push(String::new());
        lines.extend(problems);
    }
    text::print_lines(&lines)?;
    Ok(if is_healthy {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Loads the plugins in the same way as a host.
async fn load(flags: ListFlags) -> Result<Vec<PluginStatus>> {
    let chain = Arc::new(Chain::new(Arc::new(Sandbox::new(Capacity::of_command())?)));
    let supplies = flags
        .plugin_dir
        .into_iter()
        .map(Supply::Directory)
        .collect();
    let settings = SettingsSource {
        file: flags.plugin_settings,
        limits: Limits {
            component_bytes: flags.max_size,
            ..Limits::default()
        },
    };
    let metrics = Metrics::new().plugin;
    Catalog::open(Arc::clone(&chain), metrics, supplies, settings).await?;
    Ok(chain.status())
}

/// Returns a line for each directory that cannot be read. A host waits until such a directory exists. On the command
/// line, it is most likely a mistake.
fn unreadable(directories: &[PathBuf]) -> Vec<String> {
    let errors = directories.iter().filter_map(|directory| {
        let error = fs::read_dir(directory).err()?;
        Some(format!(
            "the plugin directory {} cannot be read: {error}",
            directory.display()
        ))
    });
    errors.collect()
}

/// Returns the address of the plugins' status. An address without a scheme means HTTP, the only protocol of the probes.
fn plugins_url(host: &str) -> Result<Url> {
    let scheme = if host.contains("://") { "" } else { "http://" };
    let url = Url::parse(&format!("{scheme}{host}"))
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    let mut url = url.with_context(|| {
        format!(
            "--host {host:?} is invalid: write the address of --health-probe-bind-address as http://HOST:PORT or HOST:PORT"
        )
    })?;
    let base = url.path().trim_end_matches('/').trim_end_matches(PATH);
    let path = format!("{base}{PATH}");
    url.set_path(&path);
    Ok(url)
}

/// Fetches the plugins' status from a running Stoker.
async fn fetch(url: &Url) -> Result<Vec<PluginStatus>> {
    // Errors contain the address, which may contain a password.
    let place = url[..url::Position::BeforeUsername].to_owned() + &url[url::Position::BeforeHost..];
    let answer = http_client()?.get(url.clone()).send().await;
    let mut answer = answer
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("cannot reach {place}"))?;
    let status = answer.status();
    ensure!(
        status.is_success(),
        "{place} answers {status}; --host takes the address of --health-probe-bind-address"
    );
    let mut body = Vec::new();
    while let Some(part) = answer
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("cannot read the answer of {place}"))?
    {
        ensure!(
            body.len() + part.len() <= STATUS_BYTES,
            "{place} answers with more than {STATUS_BYTES} bytes; --host takes the address of --health-probe-bind-address"
        );
        body.extend_from_slice(&part);
    }
    serde_json::from_slice(&body).with_context(|| {
        format!("{place} does not answer as the probes of a Stoker do; --host takes the address of --health-probe-bind-address")
    })
}

fn table(plugins: &[PluginStatus]) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut lines = vec![row(["NAME", "VERSION", "STATE", "FROM", "SUMMARY"])];
    lines.extend(plugins.iter().map(|plugin| {
        let (name, version) = (or_dash(&plugin.name), or_dash(&plugin.version));
        let summary = plugin.summary.as_deref().unwrap_or_default();
        row([
            &name,
            &version,
            state_name(&plugin.state),
            &plugin.from,
            summary,
        ])
    }));
    lines
}

fn row([name, version, state, from, summary]: [&str; 5]) -> String {
    format!("{name:<16} {version:<10} {state:<10} {from:<24} {summary}")
        .trim_end()
        .to_owned()
}

/// Returns a line about a plugin that cannot be used in its current state.
fn problem_line(plugin: &PluginStatus) -> Option<String> {
    let text = match &plugin.state {
        PluginState::Replaced { by } => format!("is replaced by {by}"),
        PluginState::ServingPrevious { why } => {
            format!("cannot be used, so the previous version serves: {why}")
        }
        PluginState::Refused { why } => format!("cannot be used: {why}"),
        state => state.complaint()?.to_owned(),
    };
    Some(format!("{}: {text}", plugin.from))
}

fn state_name(state: &PluginState) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_means_http() {
        for (host, expected) in [
            ("localhost:8081", "http://localhost:8081/plugins"),
            ("localhost", "http://localhost/plugins"),
            ("127.0.0.1:8081/", "http://127.0.0.1:8081/plugins"),
            ("[::1]:8081", "http://[::1]:8081/plugins"),
            ("http://stoker:8081", "http://stoker:8081/plugins"),
            ("HTTPS://proxy/stoker/", "https://proxy/stoker/plugins"),
            ("http://stoker:8081/plugins", "http://stoker:8081/plugins"),
        ] {
            assert_eq!(plugins_url(host).unwrap().as_str(), expected, "{host}");
        }
        for host in [
            "",
            ":8081",
            "http://",
            "localhost:port",
            "::1:8081",
            "ftp://host",
            "a b:1",
        ] {
            let error = plugins_url(host).unwrap_err().to_string();
            assert!(error.contains("http://HOST:PORT or HOST:PORT"), "{error}");
        }
    }
}
