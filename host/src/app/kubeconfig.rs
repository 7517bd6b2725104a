use std::path::Path;

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Returns a client of the cluster in the kubeconfig file. Without a file, it uses the default kubeconfig or the
/// service account of the pod.
pub(super) async fn client(file: Option<&Path>) -> Result<Client> {
    let config = match file {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("cannot read the kubeconfig file {}", path.display()))?;
            let chosen = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
            chosen.with_context(|| {
                format!("cannot use the kubeconfig file {}", path.display())
            })?
        }
        None => Config::infer().await.context(
            "found no Kubernetes cluster: use --kubeconfig, set KUBECONFIG, or try `stoker demo`, which needs no cluster",
        )?,
    };
    Client::try_from(config).context("cannot create a client of the Kubernetes API")
}
