//! Measures attacks: the memory of Stoker, and the latency of a healthy sender, before and during each of them.
//!
//! The attacker and the API server are separate processes. Each attack meets a new process of Stoker, so that the
//! memory of one attack is not counted for the next one.

mod attacker;
mod bomb;
mod healthy;
mod http2;
mod list;
mod target;

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

pub use self::attacker::attack;
use self::healthy::Latencies;
pub use self::list::names;
use self::target::Sandbox;
use crate::bench::process;

/// The largest memory above that of the idle process, in KiB.
const MEMORY_GOAL: u64 = 64 << 10;
/// A p99 of this much is never too long. It is less than a person or a sender notices.
const LATENCY_FLOOR: Duration = Duration::from_millis(20);
/// The share of all processes' time that the attacker gives up. On another machine, it would not take any.
const NICENESS: &str = "10";

/// The settings of the measurement.
#[derive(Debug)]
pub struct Settings {
    /// The binary of Stoker.
    pub stoker: PathBuf,
    /// The time before each attack, and the time of each attack.
    pub time: Duration,
    /// The names of the attacks, or none for all of them.
    pub only: Vec<String>,
}

/// What the attacker saw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The connections that were opened.
    pub connections: u64,
    /// The answers by status, in order.
    pub statuses: std::collections::BTreeMap<u16, u64>,
}

/// The result of one attack.
#[derive(Debug)]
pub struct Measured {
    name: &'static str,
    seen: Seen,
    /// The largest memory above that of the idle process, in KiB.
    memory: u64,
    before: Latencies,
    during: Latencies,
    /// Whether the attack may be accepted, because an authenticated sender sends it.
    is_signed: bool,
}

impl Measured {
    /// Returns why the result misses its goals.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if self.memory > MEMORY_GOAL {
            failures.push("memory".to_owned());
        }
        let limit = (self.before.percentile(0.99) * 2).max(LATENCY_FLOOR);
        if self.during.percentile(0.99) > limit {
            failures.push("p99".to_owned());
        }
        if self.during.failed > 0 {
            failures.push(format!("{} healthy deliveries failed", self.during.failed));
        }
        let accepted = self.seen.statuses.get(&202).copied().unwrap_or_default();
        if accepted > 0 && !self.is_signed {
            failures.push(format!("{accepted} requests were accepted"));
        }
        failures
    }
}

/// The results as a table in Markdown.
#[derive(Debug)]
pub struct Report(Vec<Measured>);

impl Report {
    /// Returns the attacks that miss their goals.
    #[must_use]
    pub fn missed(&self) -> Vec<&'static str> {
        let missed = self.0.iter().filter(|one| !one.failures().is_empty());
        missed.map(|one| one.name).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "| attack | connections | memory above idle, MiB | p50, ms | p99, ms | answers | goals |\n| --- | ---: | ---: | ---: | ---: | --- | --- |"
        )?;
        for one in &self.0 {
            let pair = |share| {
                let millis = |of: &Latencies| of.percentile(share).as_secs_f64() * 1e3;
                format!("{:.1} → {:.1}", millis(&one.before), millis(&one.during))
            };
            let failures = one.failures();
            let goals = if failures.is_empty() {
                "met".to_owned()
            } else {
                format!("**missed**: {}", failures.join(", "))
            };
            let answers = one.seen.statuses.iter();
            let answers: Vec<String> = answers
                .map(|(status, count)| format!("{count} × {status}"))
                .collect();
            #[expect(clippy::cast_precision_loss, reason = "KiB of one process")]
            let memory = one.memory as f64 / 1024.0;
            writeln!(
                out,
                "| {} | {} | {memory:.1} | {} | {} | {} | {goals} |",
                one.name,
                one.seen.connections,
                pair(0.5),
                pair(0.99),
                answers.join(", "),
            )?;
        }
        Ok(())
    }
}

/// Measures the attacks one after the other.
///
/// # Errors
///
/// Fails if a process cannot be started, or ends.
pub async fn run(settings: &Settings, progress: impl Fn(&str)) -> Result<Report> {
    let sandbox = Sandbox::start(&settings.stoker).await?;
    let mut results = Vec::new();
    for name in names() {
        let is_chosen = settings.only.is_empty() || settings.only.iter().any(|one| one == name);
        let attack = list::attack(name).context("an unknown attack")?;
        if !is_chosen {
            continue;
        }
        let mut target = target::start_stoker(&sandbox, &settings.stoker).await?;
        if attack.needs_http2 && !http2::is_served(target.port()).await {
            progress(&format!("{name}: HTTP/2 is not served"));
            continue;
        }
        // The first requests fill the caches of the process.
        healthy::send(target.port(), Duration::from_secs(1)).await;
        let before = healthy::send(target.port(), settings.time).await;
        let idle = process::resident_kib(target.pid()?)?;
        process::reset_peak(target.pid()?)?;
        let (seen, during) = tokio::join!(
            attacking(name, target.port(), settings.time),
            healthy::send(target.port(), settings.time),
        );
        target.check_running()?;
        let result = Measured {
            name,
            seen: seen?,
            memory: process::peak_kib(target.pid()?)?.saturating_sub(idle),
            before,
            during,
            is_signed: attack.is_signed,
        };
        progress(&format!("{name}: {:?}", result.failures()));
        results.push(result);
    }
    Ok(Report(results))
}

/// Runs the attacker as a process of its own.
async fn attacking(name: &str, port: u16, time: Duration) -> Result<Seen> {
    let output = Command::new("nice")
        .args(["-n", NICENESS])
        .arg(std::env::current_exe()?)
        .args(["attack", name, &port.to_string()])
        .arg(time.as_secs().to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot start the attacker")?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the attacker failed: {}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let latencies = |millis| Latencies::of(&[Duration::from_millis(millis)]);
        Measured {
            name: "test",
            seen: Seen::default(),
            memory: MEMORY_GOAL,
            before: latencies(4),
            during: latencies(20),
            is_signed: false,
        }
    }

    #[test]
    fn a_result_within_the_goals_has_no_failures() {
        assert_eq!(measured().failures(), [""; 0]);
        let slow = Latencies::of(&[Duration::from_millis(30)]);
        let before = Latencies::of(&[Duration::from_millis(15)]);
        let twice = Measured {
            before,
            during: slow,
            ..measured()
        };
        assert_eq!(twice.failures(), [""; 0]);
    }

    #[test]
    fn each_missed_goal_is_named() {
        let mut missed = measured();
        missed.memory += 1;
        missed.during = Latencies::of(&[Duration::from_millis(21)]);
        missed.during.failed = 3;
        missed.seen.statuses.insert(202, 7);
        let expected = [
            "memory",
            "p99",
            "3 healthy deliveries failed",
            "7 requests were accepted",
        ];
        assert_eq!(missed.failures(), expected);
        missed.is_signed = true;
        assert_eq!(missed.failures(), expected[..3]);
        let report = Report(vec![measured(), missed]);
        assert_eq!(report.missed(), ["test"]);
        assert!(
            report
                .to_string()
                .contains("| 7 × 202 | **missed**: memory, p99")
        );
    }

    #[test]
    fn every_attack_has_a_name_of_its_own() {
        let all: std::collections::BTreeSet<_> = names().collect();
        assert_eq!(all.len(), names().count());
    }
}
