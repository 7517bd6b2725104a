//! Calls of plugins in this process, and a comparison of the languages.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use stoker::auth::{AuthConfig, Authenticator};
use stoker::delivery::Delivery;
use stoker::metrics::Metrics;
use stoker::plugin::{
    Capacity, Catalog, Chain, Limits, Origin, Plugin, Question, Reply, Sandbox, SettingsSource,
    Tuning,
};
use tokio::runtime::{Builder, Runtime};

use super::BODY_BYTES;
use super::report::{Row, Table};

/// The duration of a measurement.
const TIME: Duration = Duration::from_secs(1);

/// Returns a verified delivery with this body.
pub fn question(body: &[u8], event: Option<&'static str>) -> Result<Arc<Question>> {
    let mut headers = HeaderMap::new();
    if let Some(event) = event {
        headers.insert("x-github-event", HeaderValue::from_static(event));
    }
    let delivery = Delivery {
        headers,
        body: Bytes::copy_from_slice(body),
    };
    let keyring = Authenticator::new(AuthConfig::default()).global();
    let verified = keyring.verify(delivery)?;
    let (question, parsed) = Question::new(verified);
    parsed?;
    Ok(Arc::new(question))
}

/// Returns a chain with the built-in plugins.
pub fn chain(runtime: &Runtime, metrics: &Metrics) -> Result<Arc<Chain>> {
    let sandbox = Arc::new(Sandbox::new(Capacity::default())?);
    let chain = Arc::new(Chain::new(sandbox));
    let catalog = Catalog::open(
        Arc::clone(&chain),
        metrics.plugin.clone(),
        Vec::new(),
        SettingsSource::default(),
    );
    runtime.block_on(catalog)?;
    Ok(chain)
}

/// Returns a runtime for one thread.
pub fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Measures a call of each component in a directory. `just bench-templates` builds the components from the templates.
pub fn languages(directory: &Path) -> Result<Table> {
    let (runtime, metrics) = (runtime()?, Metrics::new());
    let sandbox = Sandbox::new(Capacity::default())?;
    let body = announcement();
    let parse = || serde_json::from_slice::<Value>(&body).map(drop);
    let mut values = Vec::new();
    let question = question(&body, None)?;
    let mut rows = Vec::new();
    for language in ["rust", "c", "go", "js", "python"] {
        let file = directory.join(language).join(format!("{language}.wasm"));
        let Ok(bytes) = std::fs::read(&file) else {
            continue;
        };
        let size = bytes.len();
        let tuning = Tuning {
            limits: Limits {
                component_bytes: 64 << 20,
                memory_bytes: 256 << 20,
                ..Limits::default()
            },
            ..Tuning::default()
        };
        let origin = Origin::File(format!("{language}.wasm"));
        let plugin = Plugin::load(&sandbox, &metrics.plugin, origin, bytes, Arc::new(tuning));
        let plugin = runtime.block_on(plugin)?;
        let (reply, report) = runtime.block_on(plugin.ask(&sandbox, &question));
        ensure!(
            matches!(reply?, Reply::Found(_)),
            "{language} finds nothing"
        );
        let call = || {
            Ok(runtime
                .block_on(plugin.ask(&sandbox, &question))
                .0
                .map(drop)?)
        };
        // Both are measured in turn, so that a slow phase of the machine affects both.
        let (value, micros) = in_turn(|| Ok(parse()?), call)?;
        values.push(value);
        let peak = report.peak_memory / 1024;
        let note = format!(
            "{:.2} × the parse, {size} bytes, {peak} KiB of memory",
            micros / value
        );
        let row = Row::new(language, micros, &note);
        rows.push(if language == "rust" {
            row.at_most((value * 7.0).round() / 10.0)
        } else {
            row
        });
    }
    rows.insert(
        0,
        Row::new("parse to serde_json::Value", median(&mut values), ""),
    );
    Ok(Table {
        name: "languages".into(),
        title: "Plugins in other languages".into(),
        text: "One call of the plugin that `stoker plugin new` writes in each language, with a new instance and a body of 8 KiB. One thread, median. The parse is measured in turn with each plugin, so its row is the median of several.",
        unit: "µs",
        rows,
    })
}

/// Returns a body that the plugins of the templates recognize, with many fields that they do not read.
fn announcement() -> Vec<u8> {
    let parts: Vec<Value> = (0..60)
        .map(|number| json!({"id": 70_000 + number, "name": format!("part-{number}"), "state": "released", "size": 1_048_576, "sum": number * 7}))
        .collect();
    let body = json!({"bench": {
        "event": "released", "tag": "v1.2.3", "commit": "6c1f0a3f0e3b9d57c8f2a4e1d0b6c7a8f9e0d1c2",
        "repository": "https://git.example.com/plant/line.git", "parts": parts,
    }});
    let mut body = body.to_string().into_bytes();
    body.resize(BODY_BYTES.max(body.len()), b' ');
    body
}

/// Runs two functions in turn, and returns the median of each in microseconds.
fn in_turn(one: impl Fn() -> Result<()>, other: impl Fn() -> Result<()>) -> Result<(f64, f64)> {
    let micros = |run: &dyn Fn() -> Result<()>| -> Result<f64> {
        let before = Instant::now();
        run()?;
        Ok(before.elapsed().as_secs_f64() * 1e6)
    };
    let (mut of_one, mut of_other) = (Vec::new(), Vec::new());
    let started = Instant::now();
    while of_one.len() < 200 || started.elapsed() < TIME {
        of_one.push(micros(&one)?);
        of_other.push(micros(&other)?);
    }
    Ok((median(&mut of_one), median(&mut of_other)))
}

/// Returns the median.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
