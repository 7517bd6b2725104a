//! Measures the controller with many objects over 50 repositories, on the API server of `STOKER_TEST_KUBECONFIG`.

mod remotes;
mod statuses;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use stoker_api::{GatewaySync, RefResolutionStatus};

use super::report::{Row, Table};
use super::server::Server;
use super::{floor, load, process};
use crate::{SECRET, TestCluster};
use remotes::{Remotes, branch};
use statuses::Statuses;

/// The number of repositories.
const REPOSITORIES: usize = 50;
/// How many objects are created at a time.
const CONCURRENT: usize = 32;
/// The polling interval of the objects, by default.
const INTERVAL: Duration = Duration::from_mins(1);
/// The longest wait for all objects.
const PATIENCE: Duration = Duration::from_mins(10);
/// The webhooks of the load of a minute.
const RATE: u32 = 200;
/// The objects on the server that goes and returns.
const FAILING: usize = 2_000;

/// Measures a number of objects.
pub async fn scale(count: usize) -> Result<Table> {
    let cluster = TestCluster::new().await?;
    let remotes = Remotes::start().await?;
    let statuses = Statuses::watch(cluster.objects());
    create(&cluster, &remotes, count).await?;
    let begun = Instant::now();
    let stoker = Server::stoker(&cluster, None, None).await?;
    statuses.until(count, PATIENCE).await?;
    let started = begun.elapsed();
    let peak = process::peak_kib(stoker.pid()?)?;
    // The polls are spread over the interval.
    tokio::time::sleep(INTERVAL + INTERVAL / 4).await;
    let (lookups, cpu) = idle(&stoker, &remotes).await?;
    let (patch, single) = single(&cluster, &stoker, &statuses, count).await?;
    let loaded = minute(&cluster, &stoker, &statuses, count).await?;
    let after = process::peak_kib(stoker.pid()?)?;
    let failing = if count >= FAILING {
        failing(&cluster, &stoker, &remotes, &statuses, count).await?
    } else {
        Vec::new()
    };
    drop(stoker);
    cluster
        .objects()
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let mut rows = vec![
        Row::new("start to all resolved, s", started.as_secs_f64(), "").at_most(60.0),
        Row::new("peak memory until then, MiB", process::mib(peak), "").at_most(128.0),
        Row::new("peak memory of the run, MiB", process::mib(after), "").at_most(128.0),
        Row::new("lookups a minute, idle", lookups, "").at_most(50.0),
        Row::new("processor, idle, % of a core", cpu * 100.0, "").at_most(2.0),
        Row::new("one merge patch, ms", millis(patch), ""),
        Row::new(
            "webhook to commit, idle, median, ms",
            millis(single),
            &format!("{:.1} × the patch", millis(single) / millis(patch)),
        )
        .at_most((millis(patch) * 30.0).round() / 10.0),
        Row::new(
            "webhook to commit, 200/s, median, ms",
            millis(at(&loaded.taken, 50)),
            "",
        ),
        Row::new(
            "webhook to commit, 200/s, p99, ms",
            millis(at(&loaded.taken, 99)),
            "",
        )
        .at_most(1000.0),
        Row::new("answers other than 202", counted(loaded.refused), "").at_most(0.0),
        Row::new("webhooks lost", counted(loaded.lost), "").at_most(0.0),
    ];
    rows.extend(failing);
    Ok(Table {
        name: format!("scale-{count}").into(),
        title: format!("{count} objects").into(),
        text: "Objects over 50 repositories, polled each minute, on a real API server that shares the machine. The git servers are in the process of the load generator.",
        unit: "as named",
        rows,
    })
}

async fn create(cluster: &TestCluster, remotes: &Remotes, count: usize) -> Result<()> {
    stream::iter(0..count)
        .map(|number| async move {
            let repo = remotes.url(number % REPOSITORIES);
            let spec = json!({"git": {"repo": repo}});
            cluster.create_named(&name(number), spec).await
        })
        .buffer_unordered(CONCURRENT)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
}

fn name(number: usize) -> String {
    format!("gateway-{number:05}")
}

/// Returns the lookups of a minute, and the share of a core that is used.
async fn idle(stoker: &Server, remotes: &Remotes) -> Result<(f64, f64)> {
    let (lookups, used, start) = (
        remotes.lookups(),
        process::cpu_time(stoker.pid()?)?,
        Instant::now(),
    );
    tokio::time::sleep(INTERVAL).await;
    let used = process::cpu_time(stoker.pid()?)?.saturating_sub(used);
    let elapsed = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a count of lookups")]
    let lookups = (remotes.lookups() - lookups) as f64 / elapsed * 60.0;
    Ok((lookups, used.as_secs_f64() / elapsed))
}

/// Returns a signed webhook for a branch.
fn request(cluster: &TestCluster, number: usize, round: usize) -> (String, Vec<u8>) {
    let git_ref = format!("refs/heads/{}", branch(round));
    let path = format!("/webhook/{}/{}", cluster.namespace, name(number));
    let body = json!({"ref": git_ref, "round": round}).to_string();
    let request = floor::signed_request_with(&path, SECRET, "x-round: 1", body.as_bytes());
    (git_ref, request)
}

/// Sends a hundred webhooks, one after the other. Returns the median of a merge patch and of the webhooks.
async fn single(
    cluster: &TestCluster,
    stoker: &Server,
    statuses: &Statuses,
    count: usize,
) -> Result<(Duration, Duration)> {
    const ROUNDS: usize = 100;
    let mut patches = Vec::new();
    for round in 0..ROUNDS {
        let number = round * count / ROUNDS;
        let (git_ref, request) = request(cluster, number, round % 8 + 1);
        statuses.expect(&name(number), git_ref);
        stoker.load(vec![request], 1, 1).await?;
        statuses.until(count, PATIENCE).await?;
        let patch = json!({"metadata": {"annotations": {"example.org/round": "x"}}});
        let started = Instant::now();
        let objects = cluster.objects();
        let other = name((number + 1) % count);
        objects
            .patch(&other, &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        patches.push(started.elapsed());
    }
    patches.sort_unstable();
    Ok((at(&patches, 50), at(&statuses.take(), 50)))
}

/// What was measured with many webhooks.
struct Loaded {
    /// How long they took.
    taken: Vec<Duration>,
    /// The number of answers other than 202.
    refused: usize,
    /// The number of objects whose last webhook was not resolved at the end.
    lost: usize,
}

/// Sends webhooks for a minute, over all objects in turn.
async fn minute(
    cluster: &TestCluster,
    stoker: &Server,
    statuses: &Statuses,
    count: usize,
) -> Result<Loaded> {
    let total = RATE as usize * 60;
    let start = tokio::time::Instant::now();
    let sent = stream::iter(0..total).map(|index| async move {
        let due = Duration::from_secs(1) * u32::try_from(index)? / RATE;
        tokio::time::sleep_until(start + due).await;
        // Each object follows another branch than before.
        let (git_ref, request) = request(cluster, index % count, index / count % 8 + 2);
        statuses.expect(&name(index % count), git_ref);
        let outcome = load::run(stoker.port(), vec![request], 1, 1, 202).await?;
        anyhow::Ok(outcome.others)
    });
    let refused: Vec<usize> = sent.buffered(512).try_collect().await?;
    // A webhook that a later one for the same object supersedes is not measured.
    let lost = match statuses.until(count, PATIENCE).await {
        Ok(_) => 0,
        Err(_) => statuses.unresolved(),
    };
    let taken = statuses.take();
    ensure!(!taken.is_empty(), "no webhook was resolved");
    Ok(Loaded {
        taken,
        refused: refused.iter().sum(),
        lost,
    })
}

/// Measures objects on a server that goes away for two intervals and returns.
async fn failing(
    cluster: &TestCluster,
    stoker: &Server,
    remotes: &Remotes,
    statuses: &Statuses,
    count: usize,
) -> Result<Vec<Row>> {
    let other = Remotes::start().await?;
    let url = other.url(0);
    stream::iter(0..FAILING)
        .map(|number| {
            let (name, spec) = (format!("other-{number:05}"), json!({"git": {"repo": url}}));
            async move { cluster.create_named(&name, spec).await }
        })
        .buffer_unordered(CONCURRENT)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    statuses.until(count + FAILING, PATIENCE).await?;
    other.set_away(true);
    tokio::time::sleep(INTERVAL).await;
    let (before, start) = (other.lookups(), Instant::now());
    let (lookups, _) = idle(stoker, remotes).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of lookups")]
    let tries = (other.lookups() - before) as f64 / start.elapsed().as_secs_f64();
    other.set_away(false);
    let returned = Instant::now();
    while unresolved(cluster).await? > 0 {
        ensure!(returned.elapsed() < PATIENCE, "objects did not recover");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(vec![
        Row::new(
            "2,000 objects on a server that is away, tries a second",
            tries,
            "",
        )
        .at_most(1.0),
        Row::new("lookups a minute of the others meanwhile", lookups, "").at_most(50.0),
        Row::new(
            "until all have recovered, s",
            returned.elapsed().as_secs_f64(),
            "",
        )
        .at_most(INTERVAL.as_secs_f64()),
    ])
}

/// Returns the number of objects whose ref is not resolved.
async fn unresolved(cluster: &TestCluster) -> Result<usize> {
    let is_unresolved = |object: &&GatewaySync| {
        let status = object.status.as_ref();
        status
            .is_some_and(|status| status.ref_resolution_status == Some(RefResolutionStatus::Error))
    };
    let mut count = 0;
    let mut page = ListParams::default().limit(500);
    loop {
        let list = cluster.objects().list(&page).await?;
        count += list.items.iter().filter(is_unresolved).count();
        page.continue_token = list.metadata.continue_.filter(|token| !token.is_empty());
        if page.continue_token.is_none() {
            return Ok(count);
        }
    }
}

fn at(times: &[Duration], share: usize) -> Duration {
    let index = times.len() * share / 100;
    times
        .get(index.min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a small count")]
fn counted(number: usize) -> f64 {
    number as f64
}
