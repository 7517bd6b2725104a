//! Measures the whole binary and writes the figures: `bench docs`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};
use stoker_tests::bench::report::{self, Row, Table};
use stoker_tests::bench::{BODY_BYTES, floor, load, process, release};
use stoker_tests::{SECRET, Stage};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Where benchmarks.md and the plots go.
    #[arg(default_value = "docs")]
    folder: PathBuf,
}

#[derive(Subcommand)]
enum Role {
    /// Be the server that does the least.
    #[command(hide = true)]
    Floor { port: u16 },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Role::Floor { port }) = arguments.role {
        return floor::serve(port, SECRET.to_owned()).await;
    }
    let stage = Stage::set().await?;
    stage.git.commit("main", "First").await?;
    let first = stage.git.tag("v1").await?;
    stage.git.commit("main", "Second").await?;
    let second = stage.git.tag("v2").await?;
    stage.create(json!({"polling": {"enabled": false}})).await?;
    let stoker = Server::stoker(&stage).await?;
    let least = Server::floor().await?;

    let idle = memory(&stoker).await?;
    let (cpu, latency) = webhooks(&stage, &stoker, &least).await?;
    let resolved = resolution(
        &stage,
        &stoker,
        &[("v1", first.as_str()), ("v2", second.as_str())],
    )
    .await?;
    let version = stage.client.apiserver_version().await?;
    let head = format!(
        "Written by `just bench` on {}.\n\nMachine: {}. API server: Kubernetes {}. Bodies: {BODY_BYTES} bytes, a signed GitHub release. Load generator, API server and Stoker share the machine.\nTrust the ratios within one run more than single figures.",
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        process::machine()?,
        version.git_version,
    );
    report::write(
        &arguments.folder,
        &head,
        &[inside()?, cpu, latency, resolved, idle],
    )?;
    Ok(())
}

/// A server under measurement, killed at the end.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    async fn stoker(stage: &Stage) -> Result<Self> {
        let port = free_port().await?;
        let kubeconfig = stage.kubeconfig()?;
        let binary = std::env::current_exe()?.with_file_name("stoker");
        let child = Command::new(&binary)
            .args([
                "run",
                "--health-probe-bind-address",
                "0",
                "--webhook-receiver-port",
                &port.to_string(),
            ])
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .env("WEBHOOK_HMAC_SECRET", SECRET)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        Self::answers(child, port).await
    }

    async fn floor() -> Result<Self> {
        let port = free_port().await?;
        let child = Command::new(std::env::current_exe()?)
            .args(["floor", &port.to_string()])
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the least server")?;
        Self::answers(child, port).await
    }

    async fn answers(child: Child, port: u16) -> Result<Self> {
        let up = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), up)
            .await
            .context("the server does not answer")?;
        Ok(Self { child, port })
    }

    fn pid(&self) -> Result<u32> {
        self.child.id().context("the server ended")
    }

    /// Sends so many requests, and gives the processor microseconds of each.
    async fn load(
        &self,
        requests: Vec<Vec<u8>>,
        total: usize,
        connections: usize,
    ) -> Result<(f64, load::Outcome)> {
        let before = process::cpu_time(self.pid()?)?;
        let outcome = load::run(self.port, requests, total, connections).await?;
        let used = process::cpu_time(self.pid()?)?.saturating_sub(before);
        ensure!(
            outcome.others == 0,
            "{} answers were not 202",
            outcome.others
        );
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let each = used.as_secs_f64() * 1e6 / total as f64;
        Ok((each, outcome))
    }
}

async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))
        .await?
        .local_addr()?
        .port())
}

fn path(stage: &Stage) -> String {
    format!("/webhook/{}/plant", stage.namespace)
}

async fn memory(stoker: &Server) -> Result<Table> {
    // Long enough for start-up allocations to be given back.
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

async fn webhooks(stage: &Stage, stoker: &Server, least: &Server) -> Result<(Table, Table)> {
    let request = |tag: &str| floor::signed_request(&path(stage), SECRET, &release(tag));
    // Until the tag is resolved, a request for it is news.
    stoker.load(vec![request("v1")], 1, 1).await?;
    let is_settled = |object: &stoker::api::GatewaySync| {
        object
            .status
            .as_ref()
            .is_some_and(|status| status.last_sync_ref.as_deref() == Some("v1"))
    };
    stage.until("v1 is resolved", is_settled).await?;
    let (mut cpu, mut latency) = (Vec::new(), Vec::new());
    for connections in [1, 16] {
        let (used, taken) = under_load(stage, stoker, least, connections).await?;
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

/// The rows of processor time and of latency for so many connections.
async fn under_load(
    stage: &Stage,
    stoker: &Server,
    least: &Server,
    connections: usize,
) -> Result<([Row; 3], [Row; 3])> {
    let request = |tag: &str| floor::signed_request(&path(stage), SECRET, &release(tag));
    let repeated = || vec![request("v1")];
    least.load(repeated(), 2_000, connections).await?;
    stoker.load(repeated(), 2_000, connections).await?;
    let (floor, floor_taken) = least.load(repeated(), 20_000, connections).await?;
    let (repeat, repeat_taken) = stoker.load(repeated(), 20_000, connections).await?;
    let alternating = vec![request("v1"), request("v2")];
    let (news, news_taken) = stoker.load(alternating, 3_000, connections).await?;

    let plural = if connections == 1 { "" } else { "s" };
    let name = |what: &str| format!("{what}, {connections} connection{plural}");
    let [least, repeat_name, news_name] =
        ["the floor", "repeated tag", "alternating tags"].map(name);
    // The absolute goal is for sixteen connections.
    let limit = if connections == 16 { 60.0 } else { f64::MAX };
    let goal = limit.min(2.5 * floor);
    let ratio = format!("{:.2} × the floor", repeat / floor);
    let cpu = [
        Row::new(&least, floor, ""),
        Row::new(&repeat_name, repeat, &ratio).at_most((goal * 10.0).round() / 10.0),
        Row::new(&news_name, news, "a write to the API server each"),
    ];
    let latency = [
        (least, floor_taken),
        (repeat_name, repeat_taken),
        (news_name, news_taken),
    ]
    .map(|(name, taken)| {
        let micros = |share| taken.percentile(share).as_secs_f64() * 1e6;
        let note = format!("p99 {:.0} µs, no answer other than 202", micros(0.99));
        Row::new(&name, micros(0.5), &note)
    });
    Ok((cpu, latency))
}

async fn resolution(stage: &Stage, stoker: &Server, tags: &[(&str, &str)]) -> Result<Table> {
    let mut events = watcher(stage.objects(), watcher::Config::default())
        .applied_objects()
        .boxed();
    let mut taken = Vec::new();
    for round in 0..200 {
        let (tag, commit) = tags[round % tags.len()];
        let started = Instant::now();
        stoker
            .load(
                vec![floor::signed_request(&path(stage), SECRET, &release(tag))],
                1,
                1,
            )
            .await?;
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
        text: "From the first byte of the webhook until a watch shows the commit in the object's status, 200 alternating tags. It includes three writes to the API server and a look at a git repository over HTTP, whose server starts two git processes for it.",
        unit: "ms",
        rows: vec![
            Row::new("median", millis(100), "").at_most(12.0),
            Row::new("p99", millis(198), ""),
        ],
    })
}

/// What criterion measured of the inside: medians in nanoseconds.
fn inside() -> Result<Table> {
    let folder = std::env::current_exe()?
        .parent()
        .and_then(Path::parent)
        .context("no target folder")?
        .join("criterion/detection");
    let median = |name: &str| -> Result<f64> {
        let path = folder.join(name).join("new/estimates.json");
        let text = std::fs::read(&path)
            .with_context(|| format!("no {}: run `cargo bench` first", path.display()))?;
        let estimates: Value = serde_json::from_slice(&text)?;
        Ok(estimates["median"]["point_estimate"]
            .as_f64()
            .context("no median")?
            / 1e3)
    };
    let value = median("value")?;
    let row = |what: &str, name: &str| -> Result<Row> {
        let micros = median(name)?;
        Ok(Row::new(
            what,
            micros,
            &format!("{:.2} × the parse", micros / value),
        ))
    };
    Ok(Table {
        name: "detection",
        title: "Detection inside",
        text: "One thread. A fresh instance for each detection, against what parsing the same body to a `serde_json::Value` takes.",
        unit: "µs",
        rows: vec![
            Row::new("parse to serde_json::Value", value, ""),
            row("parse as Stoker does", "document")?,
            row("fresh instance, github", "github")?.at_most((value * 0.5 * 10.0).round() / 10.0),
            row("fresh instance, generic declines", "generic-declines")?,
            row("fresh instance, plain std guest", "plain-std")?,
            row("four pre-filters", "four-pre-filters")?,
        ],
    })
}
