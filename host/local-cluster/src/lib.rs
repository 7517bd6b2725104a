//! A Kubernetes API server, a git repository and a gateway in one process. `stoker demo`, `stoker sandbox` and the tests run
//! against them. `stoker run` does not use this crate, and the container image does not contain it.

mod gateway;
mod git_server;
mod history;

use std::io::Write as _;
use std::path::Path;

use kube::{Client, CustomResourceExt as _};
use stoker_apiserver::ApiServer;

use stoker_api::GatewaySync;

pub use gateway::FakeGateway;
pub use git_server::{GitServer, GitServerError};
pub use history::{History, REFS};

/// The reason why the cluster cannot be started or used.
#[derive(Debug, thiserror::Error)]
pub enum LocalClusterError {
    /// The API server did not start.
    #[error("cannot start the embedded API server")]
    ApiServer(#[from] stoker_apiserver::Error),
    /// The git server did not start.
    #[error("cannot start the git server")]
    Git(#[from] GitServerError),
    /// The definition of the custom resource could not be serialized.
    #[error("cannot serialize the definition of the custom resource")]
    Definition(#[from] serde_json::Error),
    /// The kubeconfig of the API server could not be used.
    #[error("cannot create a client of the embedded API server")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The kubeconfig file could not be written.
    #[error("cannot write the kubeconfig file")]
    Kubeconfig(#[from] std::io::Error),
}

/// An API server with the `GatewaySync` resource, and a git repository.
pub struct LocalCluster {
    /// The API server.
    pub api: ApiServer,
    /// The git server.
    pub git: GitServer,
}

impl LocalCluster {
    /// Starts both on the loopback address. `port` is the port of the API server; 0 chooses a free one.
    pub async fn start(port: u16) -> Result<Self, LocalClusterError> {
        let definition = serde_json::to_value(GatewaySync::crd())?;
        let api = ApiServer::builder()
            .port(port)
            .crd_value(definition)
            .start()
            .await?;
        let git = GitServer::start().await?;
        Ok(Self { api, git })
    }

    /// Returns a client of the API server.
    pub async fn client(&self) -> Result<Client, LocalClusterError> {
        let failed =
            |error: Box<dyn std::error::Error + Send + Sync>| LocalClusterError::Client(error);
        let kubeconfig = kube::config::Kubeconfig::from_yaml(&self.api.kubeconfig())
            .map_err(|e| failed(e.into()))?;
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|e| failed(e.into()))?;
        Client::try_from(config).map_err(|e| failed(e.into()))
    }

    /// Writes a kubeconfig file that only its owner can read.
    pub fn write_kubeconfig(&self, path: &Path) -> Result<(), LocalClusterError> {
        use std::os::unix::fs::OpenOptionsExt as _;

        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(self.api.kubeconfig().as_bytes())?;
        Ok(())
    }
}
