//! The processor time and the memory of a process, as Linux reports them.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// Linux reports process times in hundredths of a second (`proc_pid_stat(5)`).
const TICK: Duration = Duration::from_millis(10);

/// Returns the user and system time of a process.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may contain spaces. utime and stime are the 14th and 15th field.
    let rest = stat.rsplit_once(')').context("no name")?.1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u32 = fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
    Ok(TICK * ticks)
}

/// Returns the resident memory of a process in KiB.
pub fn resident_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmRSS:")
}

/// Returns the resident memory of a process in KiB without the pages of files, which the system can take back.
pub fn own_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "RssAnon:")
}

/// Returns the largest resident memory of a process in KiB, since [`reset_peak`].
pub fn peak_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmHWM:")
}

/// Sets the largest resident memory of a process to its present one (`proc_pid_clear_refs(5)`).
pub fn reset_peak(pid: u32) -> Result<()> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset the peak")
}

/// Returns a number of KiB in MiB.
#[must_use]
pub fn mib(kib: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "KiB of one process")]
    let kib = kib as f64;
    kib / 1024.0
}

fn status_kib(pid: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with(name))
        .with_context(|| format!("no {name}"))?;
    Ok(line
        .split_whitespace()
        .nth(1)
        .context("no number")?
        .parse()?)
}

/// The resources of a process.
pub struct Holdings {
    /// Resident memory in KiB.
    pub resident_kib: u64,
    /// Open files.
    pub files: usize,
    /// Memory mappings.
    pub mappings: usize,
}

/// Returns the current resources of a process.
pub fn holdings(pid: u32) -> Result<Holdings> {
    Ok(Holdings {
        resident_kib: resident_kib(pid)?,
        files: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        mappings: std::fs::read_to_string(format!("/proc/{pid}/maps"))?
            .lines()
            .count(),
    })
}

/// Returns the names of the processor and of the kernel.
pub fn machine() -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let models: Vec<&str> = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name\t: "))
        .collect();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "{} × {}, Linux {}",
        models.len(),
        models.first().unwrap_or(&"unknown"),
        kernel.trim()
    ))
}
