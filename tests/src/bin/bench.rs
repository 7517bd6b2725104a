//! Runs the benchmarks and writes their results: `bench docs`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use serde_json::json;
use stoker_tests::bench::inside::inside;
use stoker_tests::bench::report::{self, Table};
use stoker_tests::bench::server::Server;
use stoker_tests::bench::{
    BODY_BYTES, agent, calls, floor, plugins, process, refusals, scale, threads, webhooks,
};
use stoker_tests::{SECRET, TestCluster};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Directory for benchmarks.md and the plots.
    #[arg(default_value = "docs")]
    directory: PathBuf,
    /// Directory with a project of the template of each language.
    #[arg(long, default_value = "target/templates")]
    templates: PathBuf,
}

#[derive(Subcommand)]
enum Role {
    /// Run the minimal server for comparison.
    #[command(hide = true)]
    Floor { port: u16 },
    /// Compare how long refusals take, and write only this result.
    Refusals { directory: PathBuf },
    /// Measure webhooks, and write only these results.
    Webhooks { directory: PathBuf },
    /// Measure the agent, and write only these results.
    Agent { directory: PathBuf },
    /// Measure the controller with many objects, and write only these results.
    Scale {
        directory: PathBuf,
        /// The numbers of objects.
        #[arg(default_values_t = [100, 1_000, 10_000])]
        counts: Vec<usize>,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(Role::Floor { port }) => floor::serve(port, SECRET.to_owned()).await,
        Some(Role::Refusals { directory }) => {
            report::write(&directory, "", &[refusals::refusals().await?])
        }
        Some(Role::Webhooks { directory }) => {
            let cluster = TestCluster::new().await?;
            report::write(&directory, "", &webhooks(&cluster).await?)
        }
        Some(Role::Agent { directory }) => {
            let mut tables = vec![agent::webhook_to_disk().await?];
            tables.extend(agent::repositories()?);
            report::write(&directory, "", &tables)
        }
        Some(Role::Scale { directory, counts }) => {
            let mut tables = Vec::new();
            for count in counts {
                tables.push(scale::scale(count).await?);
                // What was measured is kept where a later measurement fails.
                report::write(&directory, "", &tables)?;
            }
            Ok(())
        }
        None => all(arguments).await,
    }
}

/// Runs all benchmarks.
async fn all(arguments: Arguments) -> Result<()> {
    let templates = arguments.templates;
    let calls = tokio::task::spawn_blocking(move || {
        anyhow::Ok([threads::threads()?, calls::languages(&templates)?])
    });
    let calls = calls.await??;
    let cluster = TestCluster::new().await?;
    let measured = webhooks(&cluster).await?;
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
    tables.extend(measured);
    tables.extend(platform);
    tables.push(refusals::refusals().await?);
    report::write(&arguments.directory, &head, &tables)
}

/// Measures webhooks to one object of the cluster, whose repository has the tags that they announce.
async fn webhooks(cluster: &TestCluster) -> Result<Vec<Table>> {
    let mut commits = Vec::new();
    for tag in webhooks::TAGS {
        cluster.git.commit("main", tag).await?;
        commits.push((tag, cluster.git.tag(tag).await?));
    }
    cluster
        .create(json!({"polling": {"enabled": false}}))
        .await?;
    let stoker = Server::stoker(cluster, None, None).await?;
    let least = Server::floor().await?;
    let idle = webhooks::memory(&stoker).await?;
    let mut tables = Vec::from(webhooks::webhooks(cluster, &stoker, &least).await?);
    let tags: Vec<_> = commits.iter().take(2).collect();
    let tags: Vec<_> = tags
        .iter()
        .map(|(tag, commit)| (*tag, commit.as_str()))
        .collect();
    tables.push(webhooks::resolution(cluster, &stoker, &tags).await?);
    tables.push(idle);
    Ok(tables)
}
