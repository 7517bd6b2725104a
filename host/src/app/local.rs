use std::process::ExitCode;

use anyhow::Result;
use stoker_local_cluster::{History, LocalCluster, REFS};

use super::{signals, text};
use crate::cli::SandboxFlags;

/// Runs `stoker sandbox`.
pub(super) async fn run(flags: SandboxFlags) -> Result<ExitCode> {
    let ended = signals::termination()?;
    let cluster = LocalCluster::start(flags.port).await?;
    History::write(&cluster.git).await?;
    cluster.write_kubeconfig(&flags.kubeconfig)?;
    let file = flags.kubeconfig.display();
    text::print(&format!(
        "API server  {}\ngit         {}\n            {REFS}; push to {}\n\n  kubectl --kubeconfig {file} get gatewaysyncs -A\n  stoker run --kubeconfig {file}\n\nObjects are kept in memory only. Press Ctrl-C to exit.",
        cluster.api.url(),
        cluster.git.url(),
        cluster.git.directory().display(),
    ))?;
    ended.await;
    cluster.api.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
