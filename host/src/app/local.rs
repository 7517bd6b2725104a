use std::process::ExitCode;

use anyhow::Result;
use stoker_local_cluster::{History, LocalCluster, REFS};
use tempfile::TempDir;
use tokio::sync::watch;

use super::local_gateway::LocalGateway;
use super::text;
use crate::cli::SandboxFlags;

/// The object that the gateway of the sandbox follows.
const NAMESPACE: &str = "default";
const NAME: &str = "plant";
const PROFILE: &str = "default";

/// Runs `stoker sandbox`.
pub(super) async fn run(flags: SandboxFlags) -> Result<ExitCode> {
    let ended = stoker_process::termination()?;
    let cluster = LocalCluster::start(flags.port).await?;
    History::write(&cluster.git).await?;
    cluster.write_kubeconfig(&flags.kubeconfig)?;
    let folder = TempDir::with_prefix("stoker-sandbox-")?;
    let client = cluster.client().await?;
    let gateway = LocalGateway::start(client, folder.path(), NAMESPACE, NAME, PROFILE).await?;
    let file = flags.kubeconfig.display();
    text::print(&format!(
        "API server  {}\ngit         {}\n            {REFS}; push to {}\ngateway     http://localhost:{}, with its files in {}\n            It follows the profile {PROFILE} of the GatewaySync {NAMESPACE}/{NAME}.\n\n  kubectl --kubeconfig {file} get gatewaysyncs -A\n  stoker run --kubeconfig {file}\n\nObjects are kept in memory only, and files in a temporary folder. Press Ctrl-C to exit.",
        cluster.api.url(),
        cluster.git.url(),
        cluster.git.directory().display(),
        gateway.port(),
        gateway.data().display(),
    ))?;
    tokio::select! {
        () = ended => {}
        () = print_calls(gateway.calls()) => {}
    }
    gateway.stop().await?;
    cluster.api.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Prints what the gateway is told to scan.
async fn print_calls(mut calls: watch::Receiver<Vec<String>>) {
    let mut printed = 0;
    while calls.changed().await.is_ok() {
        let new = calls.borrow_and_update()[printed..].to_vec();
        printed += new.len();
        for call in new.iter().filter(|call| call.starts_with("POST ")) {
            // The sandbox goes on if nothing reads its output.
            drop(text::print(&format!("gateway     {call}")));
        }
    }
}
