//! `stoker plugin …`. No command needs a cluster.

mod advice;
mod answer;
mod check;
mod list;
mod run;

#[cfg(feature = "authoring")]
mod project;
#[cfg(feature = "authoring")]
mod test;
#[cfg(feature = "authoring")]
mod tester;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::HeaderMap;

use super::text;
use crate::auth::{AuthConfig, Authenticator};
use crate::cli::{CheckFlags, LimitFlags, PluginCommand};
use crate::delivery::Delivery;
use crate::metrics::Metrics;
use crate::payload::PayloadError;
use crate::plugin::{Limits, LoadError, Origin, Plugin, Question, Sandbox, Tuning, read_component};

pub(super) async fn run(command: PluginCommand) -> Result<ExitCode> {
    match command {
        PluginCommand::List(flags) => list::run(flags).await,
        PluginCommand::Check(flags) => check::run(&flags.file, tuning(&flags)?).await,
        PluginCommand::Run(flags) => run::run(&flags).await,
        #[cfg(feature = "authoring")]
        PluginCommand::New(flags) => project::new(&flags),
        #[cfg(feature = "authoring")]
        PluginCommand::Build(flags) => project::build(flags).await,
        #[cfg(feature = "authoring")]
        PluginCommand::Test(flags) => test::run(&flags).await,
    }
}

/// A plugin that was loaded outside of a host, and the size of its file in bytes.
struct Loaded {
    plugin: Plugin,
    size: u64,
}

/// Loads a component in the same way as a host. If the component cannot be used, advice is printed before the error is
/// returned.
async fn load(file: &Path, sandbox: &Sandbox, tuning: Tuning) -> Result<Loaded> {
    let loaded = try_load(file, sandbox, tuning).await;
    if let Err(error) = &loaded
        && let Some(advice) = advice::on(error)
    {
        text::print(advice)?;
    }
    loaded.with_context(|| format!("{} cannot be used", file.display()))
}

async fn try_load(file: &Path, sandbox: &Sandbox, tuning: Tuning) -> Result<Loaded, LoadError> {
    let bytes = read_component(file, tuning.limits.component_bytes)?;
    let size = bytes.len() as u64;
    let name = file.file_name().unwrap_or_default().display().to_string();
    let metrics = Metrics::new().plugin;
    let origin = Origin::File(name);
    let plugin = Plugin::load(sandbox, &metrics, origin, bytes, Arc::new(tuning)).await?;
    Ok(Loaded { plugin, size })
}

fn limits(flags: &LimitFlags) -> Limits {
    Limits {
        component_bytes: flags.max_size,
        memory_bytes: flags.memory,
        ..Limits::default()
    }
}

fn tuning(flags: &CheckFlags) -> Result<Tuning> {
    let settings = flags.settings.iter().map(|text| setting(text));
    Ok(Tuning {
        limits: limits(&flags.limits),
        settings: settings.collect::<Result<BTreeMap<_, _>>>()?,
        ..Tuning::default()
    })
}

fn setting(text: &str) -> Result<(String, String)> {
    let setting = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) =
        setting.with_context(|| format!("--setting {text:?} is invalid: write it as KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Creates a delivery. It needs no signature, because it comes from the user of the command line. If its body is not JSON,
/// the error is returned with the delivery, because a plugin can read the bytes of any body.
fn question(headers: HeaderMap, body: Vec<u8>) -> Result<(Question, Result<(), PayloadError>)> {
    let delivery = Delivery {
        headers,
        body: body.into(),
    };
    let keyring = Authenticator::new(AuthConfig::default()).global();
    let verified = keyring.verify(delivery)?;
    Ok(Question::new(verified))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_can_be_asked_about_a_body_that_is_not_json() {
        for (body, is_json) in [("<release/>", false), ("", false), ("{}", true)] {
            let (_, parsed) = question(HeaderMap::new(), body.into()).unwrap();
            assert_eq!(parsed.is_ok(), is_json, "{body}");
        }
    }
}
