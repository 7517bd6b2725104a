//! A gateway's directory and the state of its agent, and runs of `stoker-agent` for it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::directory_of_programs;
use crate::bench::process;

/// A gateway's directory, and the state of its agent.
pub(super) struct Place {
    directory: TempDir,
    binary: PathBuf,
}

/// What one sync took.
pub(super) struct Sync {
    pub(super) time: Duration,
    /// The largest resident memory in MiB.
    pub(super) peak: f64,
    /// The largest memory in MiB without the pages of files.
    pub(super) peak_own: f64,
    /// The number of files that were added or modified.
    pub(super) written: usize,
}

impl Sync {
    /// Checks the number of files that were added or modified.
    pub(super) fn must_have_written(&self, files: usize) -> Result<()> {
        let written = self.written;
        ensure!(
            written == files,
            "{written} files were written, not {files}"
        );
        Ok(())
    }
}

impl Place {
    /// Creates the directory of a gateway that gets one directory of the repository.
    pub(super) fn new(source: &str) -> Result<Self> {
        let programs = directory_of_programs()?;
        let directory = tempfile::tempdir_in(&programs)?;
        std::fs::create_dir(directory.path().join("data"))?;
        let profile = json!({"mappings": [{"source": source, "destination": "config"}]});
        std::fs::write(directory.path().join("profile.yaml"), profile.to_string())?;
        let binary = programs.join("stoker-agent");
        Ok(Self { directory, binary })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs `stoker-agent once` with the repository at a URL.
    pub(super) fn once(&self, url: &str) -> Result<Sync> {
        let out = self.path("out.json");
        let started = Instant::now();
        let mut child = Command::new(&self.binary)
            .args(["once", "--ref", "main", "-o", "json", "--repo", url])
            .args(["--profile".as_ref(), self.path("profile.yaml").as_os_str()])
            .args(["--data".as_ref(), self.path("data").as_os_str()])
            .args(["--state".as_ref(), self.path("state").as_os_str()])
            .stdout(File::create(&out)?)
            .stderr(File::create(self.path("errors"))?)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        let (peak, own) = watch(&mut child)?;
        let time = started.elapsed();
        let status = child.wait()?;
        ensure!(
            status.success(),
            "stoker-agent ended with {status}: {}",
            std::fs::read_to_string(self.path("errors"))?
        );
        let printed: Value = serde_json::from_slice(&std::fs::read(&out)?)?;
        let count = |name: &str| printed[name].as_array().map_or(0, Vec::len);
        Ok(Sync {
            time,
            peak: process::mib(peak),
            peak_own: process::mib(own),
            written: count("added") + count("modified"),
        })
    }

    /// Runs `stoker-agent run` until it has nothing to do, and returns its resident memory in MiB.
    pub(super) fn idle(&self, url: &str) -> Result<f64> {
        let quote = |path: &Path| path.display().to_string();
        let config = json!({
            "repo": url, "ref": "main", "interval": "60s",
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

    /// Returns the disk that the state of the agent takes, in MiB.
    pub(super) fn disk_of_the_state(&self) -> Result<f64> {
        Ok(process::mib(disk_kib(&self.path("state"))?))
    }
}

/// Waits for the end of a process, and returns its largest resident and own memory in KiB.
fn watch(child: &mut Child) -> Result<(u64, u64)> {
    let (mut peak, mut own) = (0, 0);
    loop {
        // A process that has just ended has no memory.
        peak = process::peak_kib(child.id()).unwrap_or(0).max(peak);
        own = process::own_kib(child.id()).unwrap_or(0).max(own);
        if child.try_wait()?.is_some() {
            return Ok((peak, own));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Returns the disk that a directory takes, in KiB.
fn disk_kib(directory: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;

    let mut kib = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        kib += if metadata.is_dir() {
            disk_kib(&entry.path())?
        } else {
            // In blocks of 512 bytes, as `stat(2)` counts.
            metadata.blocks() / 2
        };
    }
    Ok(kib)
}
