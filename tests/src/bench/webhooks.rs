//! Measures webhooks through the whole binary: processor time, latency, and the time until the commit is resolved.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::json;

use super::load::Outcome;
use super::report::{Row, Table};
use super::server::Server;
use super::{floor, process, release, release_with_id};
use crate::{SECRET, TestCluster};

/// The tags of the loads that write.
pub const TAGS: [&str; 10] = ["v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10"];

/// Returns a signed request with a release of this tag for the cluster's object. All requests with one tag are the same
/// delivery.
#[must_use]
pub fn request(cluster: &TestCluster, tag: &str) -> Vec<u8> {
    floor::signed_request(&path(cluster), SECRET, &release(tag))
}

/// Returns a number of signed requests with releases of these tags in turn. Each is another delivery than any before.
#[must_use]
pub fn requests(cluster: &TestCluster, tags: &[&str], number: usize) -> Vec<Vec<u8>> {
    static NEXT: AtomicUsize = AtomicUsize::new(200_000_000);
    let first = NEXT.fetch_add(number, Ordering::Relaxed);
    let path = path(cluster);
    let request = |(index, tag): (usize, &&str)| {
        floor::signed_request(&path, SECRET, &release_with_id(tag, first + index))
    };
    let tags = tags.iter().cycle().take(number);
    tags.enumerate().map(request).collect()
}

/// Returns the path of webhooks for the cluster's object.
#[must_use]
pub fn path(cluster: &TestCluster) -> String {
    format!("/webhook/{}/plant", cluster.namespace)
}

/// Requests the tag, and waits until it is resolved. Later requests of the tag are repetitions.
pub async fn settle(cluster: &TestCluster, stoker: &Server, tag: &str) -> Result<()> {
    stoker.load(requests(cluster, &[tag], 1), 1, 1).await?;
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
    let resident = process::mib(process::resident_kib(stoker.pid()?)?);
    Ok(Table {
        name: "memory".into(),
        title: "Memory".into(),
        text: "Resident memory of `stoker run`, idle, five seconds after its start, with one object and the built-in plugins.",
        unit: "MiB",
        rows: vec![Row::new("resident, idle", resident, "").at_most(30.0)],
    })
}

/// Measures processor time, latency, and the rate of accepted webhooks.
pub async fn webhooks(
    cluster: &TestCluster,
    stoker: &Server,
    least: &Server,
) -> Result<[Table; 3]> {
    settle(cluster, stoker, "v1").await?;
    let one = Load::measure(cluster, stoker, least, 1).await?;
    let many = Load::measure(cluster, stoker, least, 16).await?;
    let refused = refused(cluster, stoker, least).await?;
    let mut cpu: Vec<_> = [&one, &many].into_iter().flat_map(Load::cpu).collect();
    cpu.extend(refused);
    let cpu = Table {
        name: "cpu".into(),
        title: "Processor time of a webhook".into(),
        text: "User and system time of the whole process for each answered webhook. The floor is a server that reads the body, checks the signature and answers, measured in the same run with the same allocator. A refused sender waits for its answer, and its connection is closed.",
        unit: "µs of CPU",
        rows: cpu,
    };
    let latency = Table {
        name: "latency".into(),
        title: "Time to the answer".into(),
        text: "From the first byte sent to the last received, median.",
        unit: "µs",
        rows: [&one, &many].into_iter().flat_map(Load::latency).collect(),
    };
    let rate = Table {
        name: "rate".into(),
        title: "Ten refs of one object".into(),
        text: "Accepted webhooks per second, each with another one of ten refs of the same object than the last. The webhooks that arrive during a write are stored by the next write.",
        unit: "webhooks/s",
        rows: vec![
            Row::new("1 connection", one.rate, ""),
            Row::new(
                "16 connections",
                many.rate,
                &format!("{:.1} × one connection", many.rate / one.rate),
            )
            .at_least((one.rate * 50.0).round() / 10.0),
        ],
    };
    Ok([cpu, latency, rate])
}

/// What was measured with a number of connections.
struct Load {
    connections: usize,
    /// The name, the processor time in µs and the outcome of each kind of webhook.
    kinds: [(&'static str, f64, Outcome); 4],
    /// The accepted webhooks per second that alternate between refs.
    rate: f64,
}

impl Load {
    async fn measure(
        cluster: &TestCluster,
        stoker: &Server,
        least: &Server,
        connections: usize,
    ) -> Result<Self> {
        const ALTERNATING: usize = 3_000;
        let same = || vec![request(cluster, "v1")];
        let others = |tags, number| requests(cluster, tags, number);
        least.load(same(), 2_000, connections).await?;
        let (floor, floor_taken) = least.load(same(), 20_000, connections).await?;
        stoker.load(same(), 2_000, connections).await?;
        let (again, again_taken) = stoker.load(same(), 20_000, connections).await?;
        let repeated = others(&["v1"], 10_000);
        let (repeated, repeated_taken) = stoker.load(repeated, 10_000, connections).await?;
        let alternating = others(&TAGS, ALTERNATING);
        let (writes, writes_taken) = stoker.load(alternating, ALTERNATING, connections).await?;
        #[expect(clippy::cast_precision_loss, reason = "a count of webhooks")]
        let rate = ALTERNATING as f64 / writes_taken.time.as_secs_f64();
        settle(cluster, stoker, "v1").await?;
        Ok(Self {
            connections,
            kinds: [
                ("the floor", floor, floor_taken),
                ("a delivery again", again, again_taken),
                ("repeated tag", repeated, repeated_taken),
                ("alternating tags", writes, writes_taken),
            ],
            rate,
        })
    }

    fn name(&self, what: &str) -> String {
        let plural = if self.connections == 1 { "" } else { "s" };
        format!("{what}, {} connection{plural}", self.connections)
    }

    fn cpu(&self) -> impl Iterator<Item = Row> {
        let floor = self.kinds[0].1;
        self.kinds
            .iter()
            .enumerate()
            .map(move |(index, (kind, cpu, _))| {
                let ratio = format!("{:.2} × the floor", cpu / floor);
                match index {
                    0 => Row::new(&self.name(kind), *cpu, ""),
                    // The goal is for sixteen connections.
                    2 if self.connections == 16 => Row::new(&self.name(kind), *cpu, &ratio)
                        .at_most((floor * 30.0).round() / 10.0),
                    _ => Row::new(&self.name(kind), *cpu, &ratio),
                }
            })
    }

    fn latency(&self) -> impl Iterator<Item = Row> {
        self.kinds.iter().map(|(kind, _, taken)| {
            let micros = |share| taken.percentile(share).as_secs_f64() * 1e6;
            let note = format!("p99 {:.0} µs, no answer other than 202", micros(0.99));
            Row::new(&self.name(kind), micros(0.5), &note)
        })
    }
}

/// Measures the processor time of webhooks with a wrong signature, each from another source and on a new connection. So
/// many are sent at once that the time for which a refusal is held back does not limit their rate.
async fn refused(cluster: &TestCluster, stoker: &Server, least: &Server) -> Result<Vec<Row>> {
    const NUMBER: usize = 20_000;
    const CONNECTIONS: usize = 400;
    let request = |source: usize| {
        let header = format!(
            "connection: close\r\nx-forwarded-for: 10.{}.{}.{}",
            source >> 16,
            source >> 8 & 0xff,
            source & 0xff
        );
        floor::signed_request_with(&path(cluster), "a-wrong-key", &header, &release("v1"))
    };
    let requests = || (0..NUMBER).map(request).collect();
    let (floor, _) = least
        .load_expecting(requests(), NUMBER, CONNECTIONS, 401)
        .await?;
    let (cpu, _) = stoker
        .load_expecting(requests(), NUMBER, CONNECTIONS, 401)
        .await?;
    let note = format!("{:.2} × the floor", cpu / floor);
    Ok(vec![
        Row::new("the floor, wrong signature, a connection each", floor, ""),
        Row::new("wrong signature, a connection each", cpu, &note)
            .at_most((floor * 10.0).round() / 10.0),
    ])
}

/// The number of measured webhooks of [`resolution`].
const ROUNDS: usize = 200;

/// Measures the time from a webhook to the commit in the status of the object, and in turn with each webhook the time of
/// one merge patch.
pub async fn resolution(
    cluster: &TestCluster,
    stoker: &Server,
    tags: &[(&str, &str)],
) -> Result<Table> {
    let mut events = watcher(cluster.objects(), watcher::Config::default())
        .applied_objects()
        .boxed();
    let (mut taken, mut patches) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (tag, commit) = tags[round % tags.len()];
        let request = requests(cluster, &[tag], 1);
        let started = Instant::now();
        stoker.load(request, 1, 1).await?;
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
        patches.push(patch(cluster, round).await?);
    }
    taken.sort_unstable();
    patches.sort_unstable();
    let millis = |times: &[Duration], share: usize| times[ROUNDS * share / 100].as_secs_f64() * 1e3;
    let patch = millis(&patches, 50);
    let row = |name, share, goal: f64| {
        let time = millis(&taken, share);
        let note = format!("{:.2} × the patch", time / patch);
        Row::new(name, time, &note).at_most((patch * goal * 100.0).round() / 100.0)
    };
    Ok(Table {
        name: "resolution".into(),
        title: "From webhook to resolved commit".into(),
        text: "From the first byte of the webhook until a watch shows the commit in the object's status, with 200 alternating tags. This includes the writes to the API server and one request to a git server over HTTP, which starts two git processes for it. In turn with them, a merge patch of an annotation of the same object is measured.",
        unit: "ms",
        rows: vec![
            Row::new("one merge patch, median", patch, ""),
            Row::new("one merge patch, p90", millis(&patches, 90), ""),
            row("median", 50, 2.2),
            row("p90", 90, 3.5),
            Row::new("p99", millis(&taken, 99), ""),
        ],
    })
}

/// Changes an annotation of the object, and returns the time that this takes.
async fn patch(cluster: &TestCluster, round: usize) -> Result<Duration> {
    let patch = json!({"metadata": {"annotations": {"example.org/round": round.to_string()}}});
    let started = Instant::now();
    let objects = cluster.objects();
    objects
        .patch("plant", &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    Ok(started.elapsed())
}
