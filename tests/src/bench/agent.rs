//! Measures the agent: the way from a webhook to the disk, and a repository of 50,000 files.

mod repository;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process;
use super::report::{Row, Table};
use crate::{GatewayPod, TestCluster};
use repository::Repository;

/// The files of the large repository.
const FILES: usize = 50_000;
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

/// Measures `stoker-agent` with a repository of 50,000 files.
pub fn many_files() -> Result<Table> {
    let repository = Repository::new(FILES)?;
    let place = Place::new()?;
    let first = place.once(&repository)?;
    ensure!(
        first.written == FILES,
        "{} files were written",
        first.written
    );
    let unchanged = place.once(&repository)?;
    ensure!(
        unchanged.written == 0,
        "{} files were written",
        unchanged.written
    );
    repository.change((0..FILES).step_by(FILES / 10))?;
    let ten = place.once(&repository)?;
    let idle = place.idle(&repository)?;
    #[expect(clippy::cast_precision_loss, reason = "a count of files")]
    let written = ten.written as f64;
    Ok(Table {
        name: "many-files".into(),
        title: "50,000 files".into(),
        text: "`stoker-agent once` with a repository of 50,000 files of about a KiB, from git's daemon on the same machine. The memory of a process counts the mapped pack, whose pages the system can take back. It is idle after `stoker-agent run` has found nothing to do.",
        unit: "as named",
        rows: vec![
            Row::new("first sync, s", first.time.as_secs_f64(), ""),
            Row::new("first sync, peak memory, MiB", first.peak, "").at_most(64.0),
            Row::new("nothing changed, s", unchanged.time.as_secs_f64(), ""),
            Row::new("ten files changed, s", ten.time.as_secs_f64(), "").at_most(1.0),
            Row::new("ten files changed, files written", written, "").at_most(10.0),
            Row::new("ten files changed, peak memory, MiB", ten.peak, "").at_most(64.0),
            Row::new("idle memory, MiB", idle, "").at_most(20.0),
        ],
    })
}

/// A gateway's folder, and the state of its agent.
struct Place {
    folder: TempDir,
    binary: PathBuf,
}

/// What one sync took.
struct Sync {
    time: Duration,
    /// The largest resident memory in MiB.
    peak: f64,
    written: usize,
}

impl Place {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("data"))?;
        let profile = "mappings: [{source: config, destination: config}]\n";
        std::fs::write(folder.path().join("profile.yaml"), profile)?;
        let binary = std::env::current_exe()?.with_file_name("stoker-agent");
        Ok(Self { folder, binary })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `stoker-agent once`.
    fn once(&self, repository: &Repository) -> Result<Sync> {
        let out = self.path("out.json");
        let started = Instant::now();
        let mut child = Command::new(&self.binary)
            .args([
                "once",
                "--ref",
                "main",
                "-o",
                "json",
                "--repo",
                &repository.url(),
            ])
            .args(["--profile".as_ref(), self.path("profile.yaml").as_os_str()])
            .args(["--data".as_ref(), self.path("data").as_os_str()])
            .args(["--state".as_ref(), self.path("state").as_os_str()])
            .stdout(std::fs::File::create(&out)?)
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        let mut peak = 0;
        let status = loop {
            // A process that has just ended has no memory.
            peak = process::peak_kib(child.id()).unwrap_or(0).max(peak);
            if let Some(status) = child.try_wait()? {
                break status;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let time = started.elapsed();
        ensure!(status.success(), "stoker-agent ended with {status}");
        let printed: Value = serde_json::from_slice(&std::fs::read(&out)?)?;
        let count = |name: &str| printed[name].as_array().map_or(0, Vec::len);
        Ok(Sync {
            time,
            peak: process::mib(peak),
            written: count("added") + count("modified"),
        })
    }

    /// Runs `stoker-agent run` until it has nothing to do, and returns its resident memory in MiB.
    fn idle(&self, repository: &Repository) -> Result<f64> {
        let quote = |path: &Path| path.display().to_string();
        let config = json!({
            "repo": repository.url(), "ref": "main", "interval": "60s",
            "profile": quote(&self.path("profile.yaml")), "data": quote(&self.path("data")),
            "state": quote(&self.path("state")),
            "health": "127.0.0.1:0", "metrics": "127.0.0.1:0",
        });
        let file = self.path("config.yaml");
        std::fs::write(&file, config.to_string())?;
        let mut child = Command::new(&self.binary)
            .args(["run".as_ref(), "--config".as_ref(), file.as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_secs(15));
        let resident = process::resident_kib(child.id());
        child.kill()?;
        child.wait()?;
        Ok(process::mib(resident?))
    }
}
