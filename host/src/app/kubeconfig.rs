//! The clients of the API server of a kubeconfig.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use kube::Client;
use stoker_kubeconfig::ClusterConfigError;

use crate::cluster::single_try;

/// The text of the error that there is no cluster, without further advice.
const NOT_FOUND: &str = "found no Kubernetes cluster: use --kubeconfig or set KUBECONFIG";

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
        Some(path) => stoker_kubeconfig::of_file(path).await?,
        None => stoker_kubeconfig::default_or_pod()
            .await
            .map_err(|error| match error {
                ClusterConfigError::NotFound { .. } => anyhow!("{NOT_FOUND}{advice}: {error}"),
                error => error.into(),
            })?,
    };
    let create = || {
        Ok::<_, kube::Error>(Clients {
            single_try: single_try::client(config.clone())?,
            patient: Client::try_from(config)?,
        })
    };
    create().context("cannot create a client of the Kubernetes API")
}
