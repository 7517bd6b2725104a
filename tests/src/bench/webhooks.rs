//! Measures webhooks through the whole binary: processor time, latency, and the time until the commit is resolved.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::runtime::{WatchStreamExt as _, watcher};

use super::report::{Row, Table};
use super::server::Server;
use super::{floor, process, release};
use crate::{SECRET, TestCluster};

/// Returns a signed request with a release of this tag for the cluster's object.
#[must_use]
pub fn request(cluster: &TestCluster, tag: &str) -> Vec<u8> {
    floor::signed_request(&path(cluster), SECRET, &release(tag))
}

/// Returns the path of webhooks for the cluster's object.
#[must_use]
pub fn path(cluster: &TestCluster) -> String {
    format!("/webhook/{}/plant", cluster.namespace)
}

/// Requests the tag, and waits until it is resolved. Later requests of the tag are repetitions.
pub async fn settle(cluster: &TestCluster, stoker: &Server, tag: &str) -> Result<()> {
    stoker.load(vec![request(cluster, tag)], 1, 1).await?;
    let is_settled = |object: &stoker_api::GatewaySync| {
        object
            .status
            .as_ref()
            .is_some_and(|status| status.last_sync_ref.as_deref() == Some(tag))
    };
    cluster.until("the tag is resolved", is_settled).await?;
    Ok(())
}

/// Measures the resident memory of an idle process.
pub async fn memory(stoker: &Server) -> Result<Table> {
    // The allocations of the start are released within this time.
    tokio::time::sleep(Duration::from_secs(5)).await;
    #[expect(clippy::cast_precision_loss, reason = "KiB of one process")]
    let resident = process::resident_kib(stoker.pid()?)? as f64 / 1024.0;
    Ok(Table {
        name: "memory",
        title: "Memory",
        text: "Resident memory of `stoker run`, idle, five seconds after its start, with one object and the built-in plugins.",
        unit: "MiB",
        rows: vec![Row::new("resident, idle", resident, "").at_most(30.0)],
    })
}

/// Measures processor time and latency.
pub async fn webhooks(
    cluster: &TestCluster,
    stoker: &Server,
    least: &Server,
) -> Result<(Table, Table)> {
    settle(cluster, stoker, "v1").await?;
    let (mut cpu, mut latency) = (Vec::new(), Vec::new());
    for connections in [1, 16] {
        let (used, taken) = under_load(cluster, stoker, least, connections).await?;
        cpu.extend(used);
        latency.extend(taken);
    }
    let cpu = Table {
        name: "cpu",
        title: "Processor time of a webhook",
        text: "User and system time of the whole process for each accepted webhook. The floor is a server that reads the body, checks the signature and answers, measured in the same run with the same allocator.",
        unit: "µs of CPU",
        rows: cpu,
    };
    let latency = Table {
        name: "latency",
        title: "Time to the answer",
        text: "From the first byte sent to the last received, median.",
        unit: "µs",
        rows: latency,
    };
    Ok((cpu, latency))
}

/// Returns the rows of processor time and of latency for a number of connections.
async fn under_load(
    cluster: &TestCluster,
    stoker: &Server,
    least: &Server,
    connections: usize,
) -> Result<([Row; 3], [Row; 3])> {
    let request = |tag: &str| request(cluster, tag);
    let repeated = || vec![request("v1")];
    least.load(repeated(), 2_000, connections).await?;
    stoker.load(repeated(), 2_000, connections).await?;
    let (floor, floor_taken) = least.load(repeated(), 20_000, connections).await?;
    let (repeat, repeat_taken) = stoker.load(repeated(), 20_000, connections).await?;
    let alternating = vec![request("v1"), request("v2")];
    let (writes, writes_taken) = stoker.load(alternating, 3_000, connections).await?;

    let plural = if connections == 1 { "" } else { "s" };
    let name = |what: &str| format!("{what}, {connections} connection{plural}");
    let [least, repeat_name, writes_name] =
        ["the floor", "repeated tag", "alternating tags"].map(name);
    // The absolute goal is for sixteen connections.
    let limit = if connections == 16 { 60.0 } else { f64::MAX };
    let goal = limit.min(2.5 * floor);
    let ratio = format!("{:.2} × the floor", repeat / floor);
    let cpu = [
        Row::new(&least, floor, ""),
        Row::new(&repeat_name, repeat, &ratio).at_most((goal * 10.0).round() / 10.0),
        Row::new(&writes_name, writes, "a write to the API server each"),
    ];
    let latency = [
        (least, floor_taken),
        (repeat_name, repeat_taken),
        (writes_name, writes_taken),
    ]
    .map(|(name, taken)| {
        let micros = |share| taken.percentile(share).as_secs_f64() * 1e6;
        let note = format!("p99 {:.0} µs, no answer other than 202", micros(0.99));
        Row::new(&name, micros(0.5), &note)
    });
    Ok((cpu, latency))
}

/// Measures the time from a webhook to the commit in the status of the object.
pub async fn resolution(
    cluster: &TestCluster,
    stoker: &Server,
    tags: &[(&str, &str)],
) -> Result<Table> {
    let mut events = watcher(cluster.objects(), watcher::Config::default())
        .applied_objects()
        .boxed();
    let mut taken = Vec::new();
    for round in 0..200 {
        let (tag, commit) = tags[round % tags.len()];
        let started = Instant::now();
        stoker.load(vec![request(cluster, tag)], 1, 1).await?;
        loop {
            let object = events.try_next().await?.context("the watch ended")?;
            let status = object.status.as_ref();
            let requested = object.requested_at();
            let is_there = status.is_some_and(|status| {
                status.last_sync_commit.as_deref() == Some(commit)
                    && status.last_sync_ref.as_deref() == Some(tag)
                    && status.last_handled_requested_at.as_deref() == requested
            });
            if is_there && object.requested_ref() == Some(tag) {
                break;
            }
        }
        taken.push(started.elapsed());
    }
    taken.sort_unstable();
    let millis = |index: usize| taken[index].as_secs_f64() * 1e3;
    Ok(Table {
        name: "resolution",
        title: "From webhook to resolved commit",
        text: "From the first byte of the webhook until a watch shows the commit in the object's status, with 200 alternating tags. This includes three writes to the API server and one request to a git server over HTTP, which starts two git processes for it.",
        unit: "ms",
        rows: vec![
            Row::new("median", millis(100), "").at_most(12.0),
            Row::new("p99", millis(198), ""),
        ],
    })
}
