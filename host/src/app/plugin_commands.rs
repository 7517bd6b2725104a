//! `stoker plugin …`: the room of the plugins, at the command line. No cluster is asked.

mod advice;
mod ask;
mod check;
mod list;

#[cfg(feature = "authoring")]
mod project;
#[cfg(feature = "authoring")]
mod test;
#[cfg(feature = "authoring")]
mod tester;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::HeaderMap;

use super::text;
use crate::auth::{AuthConfig, Authenticator};
use crate::cli::{CheckFlags, LimitFlags, PluginCommand};
use crate::delivery::Delivery;
use crate::metrics::Metrics;
use crate::plugin::{
    Capacity, Catalog, Detector, Limits, Origin, Plugin, PluginSources, Question, Sandbox,
    SettingsSource, Tuning,
};

pub(super) async fn run(command: PluginCommand) -> Result<ExitCode> {
    match command {
        PluginCommand::List(flags) => list::run(flags).await,
        PluginCommand::Check(flags) => check::run(&flags.file, tuning(&flags)?).await,
        PluginCommand::Run(flags) => ask::run(&flags).await,
        #[cfg(feature = "authoring")]
        PluginCommand::New(flags) => project::new(&flags),
        #[cfg(feature = "authoring")]
        PluginCommand::Build(flags) => project::build(flags).await,
        #[cfg(feature = "authoring")]
        PluginCommand::Test(flags) => test::run(&flags).await,
    }
}

/// The plugins of these directories, as a host would have them.
async fn open(directories: Vec<PathBuf>, settings: SettingsSource) -> Result<Arc<Detector>> {
    let detector = Arc::new(Detector::new(Arc::new(Sandbox::new(Capacity::default())?)));
    let metrics = Metrics::new().plugin;
    let sources = PluginSources {
        directories,
        supply: None,
    };
    Catalog::open(Arc::clone(&detector), metrics, sources, settings).await?;
    Ok(detector)
}

/// Loads one file as the host would, without those around it. What to do about a refusal is told before it is.
async fn load(file: &Path, sandbox: &Sandbox, tuning: Tuning) -> Result<Plugin> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.file_name().unwrap_or_default().display().to_string();
    let metrics = Metrics::new().plugin;
    let plugin = Plugin::load(
        sandbox,
        &metrics,
        Origin::File(name),
        bytes,
        Arc::new(tuning),
    )
    .await;
    if let Err(error) = &plugin
        && let Some(advice) = advice::on(error)
    {
        text::print(advice)?;
    }
    plugin.with_context(|| format!("{} cannot be used", file.display()))
}

fn limits(flags: &LimitFlags) -> Limits {
    Limits {
        component_bytes: flags.max_size,
        memory_bytes: flags.memory,
        ..Limits::default()
    }
}

fn tuning(flags: &CheckFlags) -> Result<Tuning> {
    let setting = |text: &String| {
        let (key, value) = text
            .split_once('=')
            .with_context(|| format!("{text:?} is no setting: use KEY=VALUE"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    Ok(Tuning {
        limits: limits(&flags.limits),
        settings: flags
            .settings
            .iter()
            .map(setting)
            .collect::<Result<BTreeMap<_, _>>>()?,
        ..Tuning::default()
    })
}

/// A delivery that needs no secret, since it comes from the person at the command line.
fn question(headers: HeaderMap, body: Vec<u8>) -> Result<Question> {
    let delivery = Delivery {
        headers,
        body: body.into(),
    };
    let claim = Authenticator::new(AuthConfig::default()).claim(&delivery.headers)?;
    let verified = claim.verify(delivery)?;
    let (question, parsed) = Question::new(verified);
    parsed?;
    Ok(question)
}
