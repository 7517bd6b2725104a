//! Reads the results of the criterion benchmarks.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::report::{Row, Table};

/// Returns the medians of the criterion benchmarks of the detection.
pub fn inside() -> Result<Table> {
    let directory = std::env::current_exe()?
        .parent()
        .and_then(Path::parent)
        .context("no target directory")?
        .join("criterion/detection");
    let median = |name: &str| -> Result<f64> {
        let path = directory.join(name).join("new/estimates.json");
        let text = std::fs::read(&path)
            .with_context(|| format!("no {}: run `cargo bench` first", path.display()))?;
        let estimates: Value = serde_json::from_slice(&text)?;
        Ok(estimates["median"]["point_estimate"]
            .as_f64()
            .context("no median")?
            / 1e3)
    };
    let value = median("value")?;
    let row = |what: &str, name: &str| -> Result<Row> {
        let micros = median(name)?;
        Ok(Row::new(
            what,
            micros,
            &format!("{:.2} × the parse", micros / value),
        ))
    };
    Ok(Table {
        name: "detection".into(),
        title: "Detection inside".into(),
        text: "One thread. Each detection has a new instance. For comparison, the same body is parsed to a `serde_json::Value`.",
        unit: "µs",
        rows: vec![
            Row::new("parse to serde_json::Value", value, ""),
            row("parse as Stoker does", "document")?,
            row("fresh instance, github", "github")?.at_most((value * 0.5 * 10.0).round() / 10.0),
            row("fresh instance, generic declines", "generic-declines")?,
            row("fresh instance, plain std guest", "plain-std")?
                .at_most((value * 0.7 * 10.0).round() / 10.0),
            row(
                "ten plugins that decline by their pre-filter",
                "ten-pre-filters",
            )?
            .at_most(10.0),
        ],
    })
}
