use std::path::Path;

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// A client of the cluster that a file names, or of the one that this machine or pod belongs to.
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
            "found no Kubernetes cluster: give --kubeconfig, set KUBECONFIG, or try `stoker demo`, which needs none",
        )?,
    };
    Client::try_from(config).context("cannot make a client of the Kubernetes API")
}
