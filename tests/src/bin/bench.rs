//! Runs the benchmarks and writes their results: `bench docs`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use serde_json::json;
use stoker_tests::bench::inside::inside;
use stoker_tests::bench::report;
use stoker_tests::bench::server::Server;
use stoker_tests::bench::{
    BODY_BYTES, calls, floor, plugins, process, refusals, threads, webhooks,
};
use stoker_tests::{SECRET, TestCluster};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Folder for benchmarks.md and the plots.
    #[arg(default_value = "docs")]
    folder: PathBuf,
    /// Folder with a project of the template of each language.
    #[arg(long, default_value = "target/templates")]
    templates: PathBuf,
}

#[derive(Subcommand)]
enum Role {
    /// Run the minimal server for comparison.
    #[command(hide = true)]
    Floor { port: u16 },
    /// Compare how long refusals take, and write only this result.
    Refusals { folder: PathBuf },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Role::Floor { port }) = arguments.role {
        return floor::serve(port, SECRET.to_owned()).await;
    }
    if let Some(Role::Refusals { folder }) = arguments.role {
        return report::write(&folder, "", &[refusals::refusals().await?]);
    }
    let templates = arguments.templates;
    let calls = tokio::task::spawn_blocking(move || {
        anyhow::Ok([threads::threads()?, calls::languages(&templates)?])
    });
    let calls = calls.await??;
    let cluster = TestCluster::new().await?;
    cluster.git.commit("main", "First").await?;
    let first = cluster.git.tag("v1").await?;
    cluster.git.commit("main", "Second").await?;
    let second = cluster.git.tag("v2").await?;
    cluster
        .create(json!({"polling": {"enabled": false}}))
        .await?;
    let stoker = Server::stoker(&cluster, None, None).await?;
    let least = Server::floor().await?;

    let idle = webhooks::memory(&stoker).await?;
    let (cpu, latency) = webhooks::webhooks(&cluster, &stoker, &least).await?;
    let resolved = webhooks::resolution(
        &cluster,
        &stoker,
        &[("v1", first.as_str()), ("v2", second.as_str())],
    )
    .await?;
    drop((stoker, least));
    let platform = plugins::measure(&cluster).await?;
    let version = cluster.client.apiserver_version().await?;
    let head = format!(
        "Written by `just bench` on {}.\n\nMachine: {}. API server: Kubernetes {}. Bodies: {BODY_BYTES} bytes, a signed GitHub release. Load generator, API server and Stoker share the machine.\nThe ratios within one run are more reliable than single figures.",
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        process::machine()?,
        version.git_version,
    );
    let mut tables = vec![inside()?];
    tables.extend(calls);
    tables.extend([cpu, latency, resolved, idle]);
    tables.extend(platform);
    tables.push(refusals::refusals().await?);
    report::write(&arguments.folder, &head, &tables)
}
