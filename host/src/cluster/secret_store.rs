//! The Secrets of a Kubernetes cluster. They are read by name: this module neither lists nor watches Secrets.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use stoker_api::detection::ObjectKey;

use crate::secrets::{SecretData, SecretStore, StoreError};

/// Reads Secrets with a client.
pub struct ClusterSecrets {
    client: Client,
}

impl ClusterSecrets {
    /// Returns the Secrets of the cluster of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl SecretStore for ClusterSecrets {
    fn get(&self, key: &ObjectKey) -> BoxFuture<'static, Result<SecretData, StoreError>> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), key.namespace());
        let name = key.name().to_owned();
        async move {
            let secret = api.get(&name).await.map_err(failure)?;
            let data = secret.data.unwrap_or_default();
            Ok(data
                .into_iter()
                .map(|(key, value)| (key, value.0))
                .collect())
        }
        .boxed()
    }
}

fn failure(error: kube::Error) -> StoreError {
    match error {
        kube::Error::Api(status) if status.code < 500 && !matches!(status.code, 401 | 429) => {
            StoreError::Refused(status.message)
        }
        error => StoreError::Unavailable(stoker_report::chain(&error).to_string()),
    }
}
