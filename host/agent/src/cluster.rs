//! The agent's view of the Kubernetes API: the published commit, its own pod, its reports and its events.

mod events;
mod follow;
mod reports;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use stoker_api::GatewaySync;
use stoker_api::detection::RepoUrl;
use stoker_api::names::annotation;

pub(crate) use events::Events;
pub(crate) use follow::follow;
pub(crate) use reports::{Reports, entry_name, last_report};

/// The name by which the agent's writes are recognised.
const FIELD_MANAGER: &str = "stoker-agent";

/// The time limit of a call.
const CALL_TIME: Duration = Duration::from_secs(15);

/// A call of the Kubernetes API failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// The API server refused the call, or cannot be reached.
    #[error(transparent)]
    Refused(kube::Error),
    /// What the API server sent does not have the expected form. The text has no values.
    #[error("the object does not have the expected form: {0}")]
    Form(String),
    /// The API server did not answer.
    #[error("the API server did not answer in {} s", .0.as_secs())]
    Timeout(Duration),
}

impl From<kube::Error> for ClusterError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::SerdeError(error) => {
                Self::Form(stoker_report::without_values(&error.to_string()))
            }
            error => Self::Refused(error),
        }
    }
}

/// Makes a call, or several, within a time limit.
async fn within<T, E: Into<ClusterError>>(
    limit: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(limit, call).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err(ClusterError::Timeout(limit)),
    }
}

/// The object and the pod that the agent belongs to.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// The namespace of the object.
    pub(crate) namespace: String,
    /// The name of the object.
    pub(crate) object: String,
    pub(crate) pod_namespace: String,
    pub(crate) pod_name: String,
}

impl Cluster {
    /// Returns the labels of the pod.
    pub(crate) async fn labels(&self) -> Result<BTreeMap<String, String>, ClusterError> {
        let pods = Api::<Pod>::namespaced(self.client.clone(), &self.pod_namespace);
        let pod = within(CALL_TIME, pods.get_metadata(&self.pod_name)).await?;
        Ok(pod.metadata.labels.unwrap_or_default())
    }

    /// Returns the commit whose deletions a person confirmed by annotation.
    pub(crate) async fn confirmed_deletions(&self) -> Result<Option<String>, ClusterError> {
        let object = within(CALL_TIME, self.objects().get(&self.object)).await?;
        let text = object.annotations().get(annotation::CONFIRM_DELETES);
        Ok(text.map(|text| text.trim().to_owned()))
    }

    /// Returns the only host key that the repository's ssh server may have: the one that a person accepted, or the one
    /// that the controller saw first.
    pub(crate) async fn pinned_host_key(
        &self,
        repo: &RepoUrl,
    ) -> Result<Option<String>, ClusterError> {
        let object = within(CALL_TIME, self.objects().get(&self.object)).await?;
        Ok(object.pinned_host_key(repo).map(str::to_owned))
    }

    /// Returns a reference to the object, for events.
    async fn reference(&self) -> Result<ObjectReference, ClusterError> {
        let object = within(CALL_TIME, self.objects().get(&self.object)).await?;
        Ok(object.object_ref(&()))
    }

    fn objects(&self) -> Api<GatewaySync> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

#[cfg(test)]
mod tests;
