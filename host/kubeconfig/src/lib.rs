//! Which API server the programs use: that of a kubeconfig, or of the pod that they run in, and the proxy to it.

mod default;
mod proxy;

use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde_saphyr::{SnippetMode, UserMessageFormatter};

pub use proxy::ProxyError;

/// The configuration of a client of the Kubernetes API cannot be made. The texts have no credentials.
#[derive(Debug, thiserror::Error)]
pub enum ClusterConfigError {
    /// The file is missing or cannot be read, or does not fit the files before it.
    #[error("cannot read the kubeconfig file {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KubeconfigError,
    },
    /// The file is not a kubeconfig.
    #[error("cannot read the kubeconfig file {}: {why}", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The fault and its position, without a value of the file.
        why: String,
    },
    /// The current context cannot be used.
    #[error("cannot use the {name}")]
    Use {
        /// The kubeconfig, in words.
        name: String,
        /// What is wrong with it.
        source: KubeconfigError,
    },
    /// The proxy to the API server cannot be used.
    #[error("cannot use the {name}")]
    Proxy {
        /// The kubeconfig, in words.
        name: String,
        /// What is wrong with the proxy.
        source: ProxyError,
    },
    /// There is no default kubeconfig, and no service account of a pod.
    #[error("there is no {files}, and no service account of a pod: {pod}")]
    NotFound {
        /// The files that were looked for.
        files: String,
        /// What is wrong with the service account.
        pod: InClusterError,
    },
}

/// Returns the configuration of the current context of a kubeconfig file, with the proxy to its API server.
///
/// # Errors
///
/// Fails if the file or the proxy cannot be used.
pub async fn of_file(path: &Path) -> Result<Config, ClusterConfigError> {
    let name = || format!("kubeconfig file {}", path.display());
    configured(read(path)?, name).await
}

/// Returns the configuration of the default kubeconfig, or else of the service account of the pod. The default is the
/// files of `KUBECONFIG`, or `~/.kube/config`. The API server of a pod's cluster is reached without a proxy.
///
/// As with kubectl, the service account is used only if there is no kubeconfig or if it is empty. One that cannot be used
/// is not replaced by another cluster.
///
/// # Errors
///
/// Fails if there is neither, or if the kubeconfig or the proxy cannot be used.
pub async fn default_or_pod() -> Result<Config, ClusterConfigError> {
    let files = default::files();
    let Some(file) = default::merged(&files)? else {
        return Config::incluster().map_err(|pod| ClusterConfigError::NotFound {
            files: default::names(&files),
            pod,
        });
    };
    configured(file, || "default kubeconfig".to_owned()).await
}

/// Returns the configuration of the current context, with the proxy to its API server. `name` is for errors.
async fn configured(
    file: Kubeconfig,
    name: impl Fn() -> String,
) -> Result<Config, ClusterConfigError> {
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    let config = config.map_err(|source| ClusterConfigError::Use {
        name: name(),
        source,
    })?;
    proxy::with_proxy(config).map_err(|source| ClusterConfigError::Proxy {
        name: name(),
        source,
    })
}

fn read(path: &Path) -> Result<Kubeconfig, ClusterConfigError> {
    let path = path.to_owned();
    Kubeconfig::read_from(&path).map_err(|error| match error {
        KubeconfigError::Parse(error) => ClusterConfigError::Parse {
            path,
            why: without_content(&error),
        },
        source => ClusterConfigError::Read { path, source },
    })
}

/// Returns the text of an error without the lines of the file, which may contain a token or a key.
fn without_content(error: &serde_saphyr::Error) -> String {
    let options = serde_saphyr::render_options! {
        formatter: &UserMessageFormatter,
        snippets: SnippetMode::Off,
    };
    stoker_report::without_values(&error.render_with_options(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_nothing_of_a_kubeconfig() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("kubeconfig");
        for text in [
            "users:\n- user:\n    token: s3cret\n  bad: [\n",
            "users:\n- name: a\n  user: {token: [s3cret]}\n",
            "users: s3cret\n",
            "users:\n- name: a\n  user: s3cret\n",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            let shown = format!("{} {error:?}", stoker_report::chain(&error));
            assert!(shown.contains("line"), "{shown}");
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}
