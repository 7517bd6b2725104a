use std::path::Path;

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::single_try;

/// The clients of one API server.
pub struct Clients {
    /// Repeats requests that the API server refuses for now.
    pub patient: Client,
    /// Tries each request once, for those that have a deadline.
    pub single_try: Client,
}

impl From<Client> for Clients {
    /// Uses one client for all requests, of an API server that does not refuse them for a time.
    fn from(client: Client) -> Self {
        Self {
            single_try: client.clone(),
            patient: client,
        }
    }
}

/// Returns the clients of the cluster in the kubeconfig file. Without a file, they use the default kubeconfig or the
/// service account of the pod.
pub(super) async fn clients(file: Option<&Path>) -> Result<Clients> {
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
    let create = || {
        Ok::<_, kube::Error>(Clients {
            single_try: single_try::client(config.clone())?,
            patient: Client::try_from(config)?,
        })
    };
    create().context("cannot create a client of the Kubernetes API")
}
