//! Reads the object that a pod follows.

use std::time::Duration;

use kube::api::{Api, ListParams, ObjectMeta};
use kube::{Client, Resource, ResourceExt as _};
use serde::{Deserialize, Serialize};
use stoker_api::GatewaySync;

use super::inject::{Denial, Wanted};

/// The time limit of the reads for one pod. The API server waits ten seconds for the whole answer.
const TIME: Duration = Duration::from_secs(5);
/// The maximum number of objects that are listed. A message names them.
const MAX_LISTED: u32 = 100;

/// The reason why an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The API server refused the read, or cannot be reached.
    #[error("cannot read the GatewaySync objects of namespace '{namespace}'")]
    Read {
        /// The namespace of the pod.
        namespace: String,
        /// The error.
        #[source]
        source: kube::Error,
    },
    /// The object does not have the form of a `GatewaySync`.
    #[error("a GatewaySync object of namespace '{namespace}' does not have its form: {why}")]
    Form {
        /// The namespace of the pod.
        namespace: String,
        /// The reason, without the values of the object.
        why: String,
    },
    /// The API server did not answer in time.
    #[error("cannot read the GatewaySync objects of namespace '{namespace}' in time")]
    Time {
        /// The namespace of the pod.
        namespace: String,
    },
}

/// The objects of a cluster.
///
/// Each pod that asks for an agent causes a read. The watch of the receiver may be behind: an object that was created or
/// changed together with the pod would be missing or old, and the agent keeps what it was given as long as the pod
/// lives.
#[derive(Clone)]
pub struct Objects {
    client: Client,
}

/// An object of which only the name is used, so that one of an unexpected shape does not matter.
#[derive(Resource, Debug, Clone, Deserialize, Serialize)]
#[resource(inherit = GatewaySync)]
struct Named {
    metadata: ObjectMeta,
}

impl Objects {
    /// Returns the objects that a client reads.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Reads the object that a pod of a namespace follows.
    pub(super) async fn find(
        &self,
        namespace: &str,
        wanted: Wanted<'_>,
    ) -> Result<Result<GatewaySync, Denial>, ReadError> {
        let read = tokio::time::timeout(TIME, self.read(namespace, wanted)).await;
        let read = read.map_err(|_| ReadError::Time {
            namespace: namespace.to_owned(),
        })?;
        let namespace = || namespace.to_owned();
        read.map_err(|error| match error {
            kube::Error::SerdeError(error) => ReadError::Form {
                namespace: namespace(),
                why: stoker_report::without_values(&error.to_string()),
            },
            source => ReadError::Read {
                namespace: namespace(),
                source,
            },
        })
    }

    async fn read(
        &self,
        namespace: &str,
        wanted: Wanted<'_>,
    ) -> kube::Result<Result<GatewaySync, Denial>> {
        let name = match wanted {
            Wanted::Named(name) => name.to_owned(),
            Wanted::Only => match only(namespace, self.names(namespace).await?) {
                Ok(name) => name,
                Err(denial) => return Ok(Err(denial)),
            },
        };
        let api: Api<GatewaySync> = Api::namespaced(self.client.clone(), namespace);
        // A name that no object can have would be another path.
        let is_valid = stoker_api::detection::ObjectKey::new(namespace, &name).is_ok();
        let object = if is_valid {
            api.get_opt(&name).await?
        } else {
            None
        };
        Ok(object.ok_or_else(|| Denial::ObjectMissing {
            name,
            namespace: namespace.to_owned(),
        }))
    }

    async fn names(&self, namespace: &str) -> kube::Result<Vec<String>> {
        let api: Api<Named> = Api::namespaced(self.client.clone(), namespace);
        let listed = api.list(&ListParams::default().limit(MAX_LISTED)).await?;
        let mut names: Vec<_> = listed.iter().map(Named::name_any).collect();
        names.sort();
        Ok(names)
    }
}

/// Returns the only name.
fn only(namespace: &str, mut names: Vec<String>) -> Result<String, Denial> {
    let namespace = namespace.to_owned();
    match names.len() {
        0 => Err(Denial::NoObject { namespace }),
        1 => Ok(names.remove(0)),
        _ => Err(Denial::SeveralObjects { namespace, names }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_without_a_name_needs_a_namespace_with_one_object() {
        let only = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            only("x", names).map_err(|denial| denial.to_string())
        };
        assert_eq!(only(&["a"]), Ok("a".to_owned()));
        assert_eq!(
            only(&[]),
            Err("no GatewaySync CR found in namespace 'x'".to_owned())
        );
        assert_eq!(
            only(&["a", "b"]),
            Err("multiple GatewaySync CRs in namespace 'x': [a, b] — set annotation 'stoker.io/cr-name' explicitly".to_owned())
        );
    }
}
