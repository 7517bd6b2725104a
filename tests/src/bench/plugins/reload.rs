use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{PLAIN, settled, variant};
use crate::TestCluster;
use crate::bench::process::Holdings;
use crate::bench::report::{Row, Table};
use crate::bench::server::Server;
use crate::bench::{load, process, webhooks};

/// The number of reloads.
const RELOADS: u32 = 1000;
/// The number of reloads after which the resources of the process should not grow.
const WARM: u32 = 100;
/// The number of webhooks per second during the reloads.
const OTHERS: u32 = 100;

pub(super) async fn measure(cluster: &TestCluster) -> Result<(Table, Table)> {
    let directory = TempDir::new()?;
    let server = settled(cluster, Some(directory.path()), None).await?;
    let mut times = Vec::new();
    let mut before = process::holdings(server.pid()?)?;
    let webhook = vec![webhooks::request(cluster, "v1")];
    let (mut answered, mut failed) = (0, 0);
    for number in 0..RELOADS {
        if number == WARM {
            before = process::holdings(server.pid()?)?;
        }
        let load = load::paced(
            server.port(),
            webhook.clone(),
            OTHERS,
            Duration::from_millis(40),
        );
        let reload = replace(&server, directory.path(), number);
        let (outcome, time) = tokio::try_join!(load, reload)?;
        answered += outcome.latencies.len();
        failed += outcome.others;
        times.push(time);
    }
    ensure!(failed == 0, "{failed} webhooks failed during reloads");
    let after = process::holdings(server.pid()?)?;
    times.sort_unstable();
    Ok((time_table(&times, answered), leak_table(&before, &after)))
}

fn time_table(times: &[Duration], answered: usize) -> Table {
    let millis = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e3;
    let note = format!("{answered} webhooks meanwhile, all answered with 202");
    Table {
        name: "reload".into(),
        title: "From file to serving".into(),
        text: "From the time at which a file of 15 KB is complete until its plugin serves, 1000 times, while webhooks arrive.",
        unit: "ms",
        rows: vec![
            Row::new("median", millis(50), &note).at_most(50.0),
            Row::new("p99", millis(99), ""),
        ],
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn leak_table(before: &Holdings, after: &Holdings) -> Table {
    let row = |what: &str, before: f64, after: f64, most: f64| {
        [
            Row::new(&format!("{what} before"), before, ""),
            Row::new(&format!("{what} after"), after, "").at_most(most.round()),
        ]
    };
    let (memory, files) = (before.resident_kib as f64, before.files as f64);
    let mappings = before.mappings as f64;
    let rows = [
        row(
            "resident KiB",
            memory,
            after.resident_kib as f64,
            memory * 1.1,
        ),
        row("open files", files, after.files as f64, files),
        row("mappings", mappings, after.mappings as f64, mappings + 8.0),
    ];
    Table {
        name: "leaks".into(),
        title: "What 1000 reloads leave behind".into(),
        text: "The same run, after its 100th reload and after its last.",
        unit: "count",
        rows: rows.into_iter().flatten().collect(),
    }
}

/// Replaces the plugin by another version, and waits until it is loaded.
async fn replace(server: &Server, directory: &Path, number: u32) -> Result<Duration> {
    let bytes = variant(PLAIN, number);
    let digest = hex::encode(Sha256::digest(&bytes));
    let part = directory.join(".plain.part");
    std::fs::write(&part, &bytes)?;
    let started = Instant::now();
    std::fs::rename(&part, directory.join("plain.wasm"))?;
    let wait = async {
        while !is_there(server, &digest).await? {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        anyhow::Ok(started.elapsed())
    };
    tokio::time::timeout(Duration::from_secs(10), wait)
        .await
        .context("the plugin was not loaded in time")?
}

async fn is_there(server: &Server, digest: &str) -> Result<bool> {
    let plugins = server.plugins().await?;
    Ok(plugins
        .iter()
        .any(|plugin| plugin.sha256.as_deref() == Some(digest)))
}
