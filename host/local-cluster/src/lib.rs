//! A cluster and a repository for one machine and one process: what `stoker demo`, `stoker sandbox` and the tests run
//! against. Nothing of it is used by `stoker run`, and a release image leaves it out.

mod git_server;
mod history;

use std::io::Write as _;
use std::path::Path;

use kube::{Client, CustomResourceExt as _};
use stoker_apiserver::ApiServer;

use stoker_api::GatewaySync;

pub use git_server::{GitServer, GitServerError};
pub use history::{History, REFS};

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The API server.
    #[error("cannot start the embedded API server")]
    ApiServer(#[from] stoker_apiserver::Error),
    /// The repository.
    #[error("cannot start the git server")]
    Git(#[from] GitServerError),
    /// The definition of the custom resource.
    #[error("cannot write the definition of the custom resource")]
    Definition(#[from] serde_json::Error),
    /// What the API server says of itself.
    #[error("cannot make a client of the embedded API server")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The kubeconfig file.
    #[error("cannot write the kubeconfig file")]
    Kubeconfig(#[from] std::io::Error),
}

/// An API server that knows `GatewaySync`, and a git repository.
pub struct LocalCluster {
    /// The API server.
    pub api: ApiServer,
    /// The repository.
    pub git: GitServer,
}

impl LocalCluster {
    /// Starts both on loopback; port 0 takes a free one.
    pub async fn start(port: u16) -> Result<Self, SandboxError> {
        let definition = serde_json::to_value(GatewaySync::crd())?;
        let api = ApiServer::builder()
            .port(port)
            .crd_value(definition)
            .start()
            .await?;
        let git = GitServer::start().await?;
        Ok(Self { api, git })
    }

    /// A client of the API server.
    pub async fn client(&self) -> Result<Client, SandboxError> {
        let refuse = |error: Box<dyn std::error::Error + Send + Sync>| SandboxError::Client(error);
        let kubeconfig = kube::config::Kubeconfig::from_yaml(&self.api.kubeconfig())
            .map_err(|e| refuse(e.into()))?;
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|e| refuse(e.into()))?;
        Client::try_from(config).map_err(|e| refuse(e.into()))
    }

    /// Writes a kubeconfig file that only its owner can read.
    pub fn write_kubeconfig(&self, path: &Path) -> Result<(), SandboxError> {
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
