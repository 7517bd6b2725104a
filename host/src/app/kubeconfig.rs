//! The clients of the API server of a kubeconfig.

use std::path::Path;

use anyhow::{Context as _, Error, Result, anyhow};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use stoker_agent::with_proxy;

use crate::cluster::single_try;

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
///
/// # Errors
///
/// Fails if there is no cluster, or if it cannot be used. `advice` is what else the user can do without a cluster.
pub(super) async fn clients(file: Option<&Path>, advice: &str) -> Result<Clients> {
    let config = match file {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("cannot read the kubeconfig file {}", path.display()))?;
            let chosen = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
            let context = || format!("cannot use the kubeconfig file {}", path.display());
            with_proxy(chosen.with_context(context)?).with_context(context)?
        }
        None => inferred(advice).await?,
    };
    let create = || {
        Ok::<_, kube::Error>(Clients {
            single_try: single_try::client(config.clone())?,
            patient: Client::try_from(config)?,
        })
    };
    create().context("cannot create a client of the Kubernetes API")
}

/// Returns the configuration of the default kubeconfig, or of the service account of the pod. The API server of a pod's
/// cluster is reached without a proxy.
async fn inferred(advice: &str) -> Result<Config> {
    let of_file = Config::from_kubeconfig(&KubeConfigOptions::default()).await;
    let config = Config::infer().await;
    let config = config.map_err(|error| not_found(&error, advice))?;
    if of_file.is_err() {
        return Ok(config);
    }
    with_proxy(config).context("cannot use the default kubeconfig")
}

/// Returns the error that there is no cluster. The text of the client library has its causes: that of the kubeconfig and
/// that of the service account.
fn not_found(error: &dyn std::error::Error, advice: &str) -> Error {
    anyhow!("found no Kubernetes cluster: use --kubeconfig or set KUBECONFIG{advice}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no config: in-cluster: {in_cluster}, kubeconfig: {kubeconfig}")]
    struct Infer {
        in_cluster: std::io::Error,
        #[source]
        kubeconfig: std::io::Error,
    }

    #[test]
    fn each_cause_of_a_missing_cluster_is_told_once() {
        let error = Infer {
            in_cluster: std::io::Error::other("no token"),
            kubeconfig: std::io::Error::other("no file"),
        };
        let error = not_found(&error, "");
        let text = stoker_report::chain(error.as_ref()).to_string();
        let expected = "found no Kubernetes cluster: use --kubeconfig or set KUBECONFIG: \
                        no config: in-cluster: no token, kubeconfig: no file";
        assert_eq!(text, expected);
    }
}
