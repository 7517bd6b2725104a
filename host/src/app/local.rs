//! `stoker sandbox`: an API server, a git repository and a gateway to try things with.

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
    let directory = TempDir::with_prefix("stoker-sandbox-")?;
    let client = cluster.client().await?;
    let gateway = LocalGateway::start(client, directory.path(), NAMESPACE, NAME, PROFILE).await?;
    let file = flags.kubeconfig.display();
    text::print(&format!(
        "API server  {}\ngit         {}\n            {REFS}; push to {}\ngateway     http://localhost:{}, with its files in {}\n            It follows the profile {PROFILE} of the GatewaySync {NAMESPACE}/{NAME}.\n\n  stoker run --kubeconfig {file}\n  kubectl --kubeconfig {file} apply -f - <<'END'\n{}\nEND\n  kubectl --kubeconfig {file} get gatewaysyncs -A\n\nObjects are kept in memory only, and files in a temporary directory. Press Ctrl-C to exit.",
        cluster.api.url(),
        cluster.git.url(),
        cluster.git.directory().display(),
        gateway.port(),
        gateway.data().display(),
        manifest(cluster.git.url()),
    ))?;
    tokio::select! {
        () = ended => {}
        () = print_calls(gateway.calls()) => {}
    }
    gateway.stop().await?;
    cluster.api.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// Returns an object that the gateway can follow, and the Secret that the object names.
fn manifest(repo: &str) -> String {
    format!(
        "\
apiVersion: v1
kind: Secret
metadata: {{name: gateway-api, namespace: {NAMESPACE}}}
stringData: {{apiKey: \"sandbox:not-a-secret\"}}
---
apiVersion: stoker.io/v1alpha1
kind: GatewaySync
metadata: {{name: {NAME}, namespace: {NAMESPACE}}}
spec:
  git: {{repo: \"{repo}\", ref: main}}
  gateway: {{api: {{secretName: gateway-api}}}}
  sync:
    profiles:
      {PROFILE}:
        mappings:
          - {{source: \"plants/{{{{.GatewayName}}}}/config\", destination: config}}
          - {{source: \"plants/{{{{.GatewayName}}}}/projects\", destination: projects}}"
    )
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

#[cfg(test)]
mod tests {
    use stoker_api::GatewaySync;

    use super::*;

    #[test]
    fn the_manifest_is_that_of_the_gateway() {
        let text = manifest("http://127.0.0.1:1/demo/plant.git");
        let (secret, object) = text.split_once("\n---\n").unwrap();
        let secret: serde_json::Value = serde_saphyr::from_str(secret).unwrap();
        let object: GatewaySync = serde_saphyr::from_str(object).unwrap();
        assert_eq!(object.metadata.name.as_deref(), Some(NAME));
        assert_eq!(object.spec.git.repo, "http://127.0.0.1:1/demo/plant.git");
        let profile = serde_json::to_value(&object.spec.sync.profiles[PROFILE]).unwrap();
        assert_eq!(
            profile["mappings"][0]["source"],
            "plants/{{.GatewayName}}/config"
        );
        assert_eq!(secret["metadata"]["name"], "gateway-api");
        assert!(secret["stringData"]["apiKey"].is_string());
    }
}
