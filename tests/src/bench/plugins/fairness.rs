use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::{HOSTILE, HOSTILE_START, settled};
use crate::bench::report::{Row, Table};
use crate::bench::{floor, load, webhooks};
use crate::{SECRET, TestCluster};

/// The number of webhooks for the hostile plugin per second.
const HITS: u32 = 50;
/// The number of other webhooks per second.
const OTHERS: u32 = 200;
/// The duration of each measurement.
const TIME: Duration = Duration::from_secs(5);

/// The behaviours of the guest.
const BEHAVIOURS: [&str; 8] = [
    "loop",
    "host-call-loop",
    "memory-copy",
    "allocate",
    "panic",
    "recurse",
    "giant-result",
    "slow-start",
];

pub(super) async fn measure(cluster: &TestCluster) -> Result<Table> {
    let alone = others_beside(cluster, &[]).await?;
    let mut rows = vec![Row::new("no hostile plugin", alone, "")];
    for behaviour in BEHAVIOURS {
        let p99 = others_beside(cluster, &[behaviour]).await?;
        rows.push(row(behaviour, p99, alone));
        // An equal number of correct answers keeps the circuit breaker closed, so every failing call takes effect.
        let p99 = others_beside(cluster, &[behaviour, "ok"]).await?;
        rows.push(row(&format!("{behaviour}, never benched"), p99, alone));
    }
    Ok(Table {
        name: "fairness".into(),
        title: "Beside a hostile plugin".into(),
        text: "The time to the answer for a repeated tag at the 99th percentile, from the time at which each webhook was due. 200 of them are sent per second, while a hostile plugin is called 50 times per second. A plugin that keeps failing is benched. In the second row of each pair it answers correctly as often as it fails, so that it is never benched.",
        unit: "ms",
        rows,
    })
}

fn row(what: &str, p99: f64, alone: f64) -> Row {
    let note = format!("{:+.2} ms", p99 - alone);
    Row::new(what, p99, &note).at_most(((alone + 5.0) * 100.0).round() / 100.0)
}

/// Returns the 99th percentile of the other webhooks in milliseconds, beside a plugin with these behaviours in turn.
async fn others_beside(cluster: &TestCluster, behaviours: &[&str]) -> Result<f64> {
    let directory = TempDir::new()?;
    std::fs::write(directory.path().join("hostile.wasm"), HOSTILE)?;
    std::fs::write(directory.path().join("hostile-start.wasm"), HOSTILE_START)?;
    let server = settled(cluster, Some(directory.path()), None).await?;
    let others = load::paced(
        server.port(),
        webhooks::requests(cluster, &["v1"], 2_000),
        OTHERS,
        TIME,
    );
    let hostile = behaviours
        .iter()
        .map(|behaviour| provoke(cluster, behaviour));
    let hostile: Vec<_> = hostile.collect();
    let each = u32::try_from(hostile.len()).unwrap_or(1);
    let outcome = if hostile.is_empty() {
        others.await?
    } else {
        let hits = load::paced(server.port(), hostile, HITS * each, TIME);
        tokio::try_join!(others, hits)?.0
    };
    ensure!(
        outcome.others == 0,
        "{} of the other webhooks were not answered with 202 beside {behaviours:?}",
        outcome.others
    );
    Ok(outcome.percentile(0.99).as_secs_f64() * 1e3)
}

/// Returns a signed request that triggers the behaviour.
fn provoke(cluster: &TestCluster, behaviour: &str) -> Vec<u8> {
    let header = match behaviour {
        "slow-start" => "x-slow-start: yes".to_owned(),
        other => format!("x-behaviour: {other}"),
    };
    let body = br#"{"ref":"v1"}"#;
    floor::signed_request_with(&webhooks::path(cluster), SECRET, &header, body)
}
