use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use super::{HOSTILE, HOSTILE_START, PLAIN, settled, variant};
use crate::TestCluster;
use crate::bench::calls::median;
use crate::bench::report::{Row, Table};
use crate::bench::{process, webhooks};

/// The number of pairs, of which the median is used.
const ROUNDS: usize = 7;
/// The number of webhooks of each measurement.
const WEBHOOKS: usize = 10_000;
/// The number of pairs of processes for the memory, which differs by some MiB between two starts.
const MEMORY_ROUNDS: usize = 5;
/// The number of idle plugins.
const IDLE: u32 = 40;

/// Settings that disable all plugins but four.
const FOUR: &str = "plugins:\n  gitea: {enabled: false}\n  gitlab: {enabled: false}\n  bitbucket: {enabled: false}\n  azure-devops: {enabled: false}\n  codecommit: {enabled: false}\n  registry: {enabled: false}\n  cloudevents: {enabled: false}\n";

pub(super) async fn processor_time(cluster: &TestCluster) -> Result<Table> {
    let directory = TempDir::new()?;
    let (four, two) = (
        directory.path().join("four.yaml"),
        directory.path().join("two"),
    );
    std::fs::write(&four, FOUR)?;
    std::fs::create_dir(&two)?;
    std::fs::write(two.join("hostile.wasm"), HOSTILE)?;
    std::fs::write(two.join("hostile-start.wasm"), HOSTILE_START)?;
    let few = settled(cluster, None, Some(&four)).await?;
    let many = settled(cluster, Some(&two), None).await?;
    let requests = || webhooks::requests(cluster, &["v1"], WEBHOOKS);
    let (mut of_few, mut of_many, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (cpu, _) = few.load(requests(), WEBHOOKS, 16).await?;
        let (more, _) = many.load(requests(), WEBHOOKS, 16).await?;
        of_few.push(cpu);
        of_many.push(more);
        ratios.push(more / cpu);
    }
    let few = median(&mut of_few);
    Ok(Table {
        name: "many-plugins".into(),
        title: "Processor time with more plugins".into(),
        text: "User and system time of the whole process for each repeated tag on 16 connections. Four plugins, and all built-in ones with two more, are measured in turn. The note has the median of the ratios.",
        unit: "µs of CPU",
        rows: vec![
            Row::new("4 plugins", few, ""),
            Row::new(
                "12 plugins",
                median(&mut of_many),
                &format!("{:.2} ×", median(&mut ratios)),
            )
            .at_most((few * 11.5).round() / 10.0),
        ],
    })
}

pub(super) async fn memory(cluster: &TestCluster) -> Result<Table> {
    let directory = TempDir::new()?;
    for number in 0..IDLE {
        let file = directory.path().join(format!("{number}.wasm"));
        std::fs::write(file, variant(PLAIN, number))?;
    }
    let mut all = Vec::new();
    for _ in 0..MEMORY_ROUNDS {
        let none = settled(cluster, None, None).await?;
        let many = settled(cluster, Some(directory.path()), None).await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let resident = |pid| process::holdings(pid).map(|held| held.resident_kib);
        let more = resident(many.pid()?)?.saturating_sub(resident(none.pid()?)?);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        all.push(more as f64 / f64::from(IDLE));
    }
    let each = median(&mut all);
    Ok(Table {
        name: "idle-plugin".into(),
        title: "Memory of an idle plugin".into(),
        text: "Difference of the resident memory with 40 plugins of 15 KB and without, divided by 40. Median of five starts.",
        unit: "KiB",
        rows: vec![Row::new("each", each, "").at_most(300.0)],
    })
}
