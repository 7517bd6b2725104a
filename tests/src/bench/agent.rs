//! Measures the agent: the way from a webhook to the disk, repositories of 50,000 files and of 2 GB, and what their
//! fetches read from the network.

mod network;
mod place;
mod proxy;
mod repository;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::report::{Row, Table};
use crate::{GatewayPod, TestCluster};
use place::{Place, Sync};
use repository::{LARGE, MANY, Repository};

/// The number of measured webhooks.
const ROUNDS: u32 = 40;

/// Measures the time from a webhook to the file on the disk, with Stoker and the agent in this process.
pub async fn webhook_to_disk() -> Result<Table> {
    let mut cluster = TestCluster::new().await?;
    let mappings = json!([{"source": "plants/plant-1/config", "destination": "config"}]);
    let sync = json!({"profiles": {"edge": {"mappings": mappings}}});
    cluster
        .create(json!({"polling": {"enabled": false}, "sync": sync}))
        .await?;
    cluster.start_signed().await?;
    let gateway = GatewayPod::start(&cluster).await?;
    let mut taken = Vec::new();
    for revision in 2..ROUNDS + 2 {
        cluster.git.commit("main", "A revision").await?;
        cluster.git.tag(&format!("v{revision}")).await?;
        let setpoint = format!("\"setpoint\": {}", 80 + revision);
        let is_there = || {
            let file = gateway.file("config/tags/boiler.json");
            file.is_some_and(|text| text.contains(&setpoint))
        };
        let started = Instant::now();
        cluster
            .send_json(&json!({"ref": format!("v{revision}")}))
            .await?;
        while !is_there() {
            ensure!(started.elapsed() < Duration::from_mins(1), "no {setpoint}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        taken.push(started.elapsed().as_secs_f64() * 1e3);
        // The report of this sync is written before the next webhook.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    gateway.stop().await?;
    cluster.stop().await?;
    taken.sort_by(f64::total_cmp);
    let at = |share: usize| taken[taken.len() * share / 100];
    Ok(Table {
        name: "webhook-to-disk".into(),
        title: "From webhook to file".into(),
        text: "From the first byte of the webhook until the changed file is on the gateway's disk, with a real API server, a git server over HTTP and 40 new tags. Stoker, the agent and the load generator are one process.",
        unit: "ms",
        rows: vec![
            Row::new("median", at(50), "").at_most(150.0),
            Row::new("p90", at(90), ""),
        ],
    })
}

/// Measures `stoker-agent` with repositories of 50,000 files and of 2 GB.
pub fn repositories() -> Result<Vec<Table>> {
    let many = {
        let mut repository = Repository::new(MANY)?;
        let bytes = network::measure("50,000 files", &mut repository)?;
        (bytes, many_files(&mut repository)?)
    };
    let mut repository = Repository::new(LARGE)?;
    let mut bytes = many.0;
    bytes.extend(network::measure("2 GB", &mut repository)?);
    let large = large_files(&mut repository)?;
    Ok(vec![many.1, large, network::table(bytes)])
}

/// Measures `stoker-agent` with a repository of 50,000 files.
fn many_files(repository: &mut Repository) -> Result<Table> {
    let place = Place::new("config")?;
    let first = place.once(&repository.url())?;
    first.must_have_written(MANY.count)?;
    let unchanged = place.once(&repository.url())?;
    unchanged.must_have_written(0)?;
    repository.change_ten()?;
    let ten = place.once(&repository.url())?;
    let idle = place.idle(&repository.url())?;
    #[expect(clippy::cast_precision_loss, reason = "a count of files")]
    let written = ten.written as f64;
    Ok(Table {
        name: "many-files".into(),
        title: "50,000 files".into(),
        text: "`stoker-agent once` with a repository of 50,000 files of about a KiB, from git's daemon on the same machine. The memory of a process counts the mapped pack, whose pages the system can take back. It is idle after `stoker-agent run` has found nothing to do.",
        unit: "as named",
        rows: vec![
            Row::new("first sync, s", seconds(&first), ""),
            Row::new("first sync, peak memory, MiB", first.peak, "").at_most(64.0),
            Row::new("nothing changed, s", seconds(&unchanged), ""),
            Row::new("ten files changed, s", seconds(&ten), "").at_most(1.0),
            Row::new("ten files changed, files written", written, "").at_most(10.0),
            Row::new("ten files changed, peak memory, MiB", ten.peak, "").at_most(64.0),
            Row::new("idle memory, MiB", idle, "").at_most(20.0),
        ],
    })
}

/// Measures `stoker-agent` with a repository of 2 GB, of which it brings one directory or everything.
fn large_files(repository: &mut Repository) -> Result<Table> {
    let mut rows = Vec::new();
    for (what, source, files) in [
        ("one directory", LARGE.directory(), LARGE.in_directory),
        ("everything", "config".to_owned(), LARGE.count),
    ] {
        let place = Place::new(&source)?;
        let first = place.once(&repository.url())?;
        first.must_have_written(files)?;
        rows.extend(rows_of(&format!("{what}, first sync"), &first));
        repository.change_ten()?;
        let ten = place.once(&repository.url())?;
        rows.extend(rows_of(&format!("{what}, ten files changed"), &ten));
        let disk = place.disk_of_the_state()?;
        rows.push(Row::new(
            &format!("{what}, disk of the state, MiB"),
            disk,
            "",
        ));
    }
    Ok(Table {
        name: "large-files".into(),
        title: "2 GB".into(),
        text: "`stoker-agent once` with a repository of 200 files of 10 MB with random bytes, from git's daemon on the same machine. The profile maps one directory of ten files, or everything. Resident memory counts the mapped packs, whose pages the system can take back and does in a container with a limit; the agent's own memory does not. The state is the fetched objects, and the record of what is on the gateway.",
        unit: "as named",
        rows,
    })
}

/// Returns the time and the memory of a sync of large files.
fn rows_of(what: &str, sync: &Sync) -> [Row; 3] {
    [
        Row::new(&format!("{what}, s"), seconds(sync), ""),
        Row::new(&format!("{what}, peak resident memory, MiB"), sync.peak, ""),
        Row::new(&format!("{what}, peak own memory, MiB"), sync.peak_own, "").at_most(64.0),
    ]
}

fn seconds(sync: &Sync) -> f64 {
    sync.time.as_secs_f64()
}

/// Returns the directory of the programs. It is on a disk, which a directory for temporary files need not be.
fn directory_of_programs() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let directory = program.parent().context("a program without a directory")?;
    Ok(directory.to_owned())
}
