//! The objects that the controller writes for a `GatewaySync`: how each is read, created and patched.

use std::fmt::Debug;

use kube::api::{Api, ObjectMeta, Patch};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use stoker_api::detection::ObjectKey;

use super::error::{ControllerError, within};
use super::{create_params, patch_params};

/// The calls for the objects of one kind. Each text completes "failed to …".
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) read: &'static str,
    pub(super) create: &'static str,
    pub(super) patch: &'static str,
}

/// An object that the controller writes for a `GatewaySync`.
pub(super) struct Owned<K> {
    pub(super) api: Api<K>,
    pub(super) name: String,
    calls: &'static Calls,
}

impl<K> Owned<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    /// Returns the object with this name, in the namespace of a `GatewaySync`. It need not exist.
    pub(super) fn new(
        client: &Client,
        key: &ObjectKey,
        name: String,
        calls: &'static Calls,
    ) -> Self {
        let api = Api::namespaced(client.clone(), key.namespace());
        Self { api, name, calls }
    }

    /// Reads the object, if it exists.
    pub(super) async fn read(&self) -> Result<Option<K>, ControllerError> {
        within(self.calls.read, self.api.get_opt(&self.name)).await
    }

    /// Creates the object. Returns its metadata.
    pub(super) async fn create(&self, wanted: &K) -> Result<ObjectMeta, ControllerError> {
        let params = create_params();
        let created = within(self.calls.create, self.api.create(&params, wanted)).await?;
        Ok(created.meta().clone())
    }

    /// Applies a merge patch to the object. Returns its metadata, and reads nothing else back.
    pub(super) async fn patch(&self, patch: &Value) -> Result<ObjectMeta, ControllerError> {
        let (params, patch) = (patch_params(), Patch::Merge(patch));
        let call = self.api.patch_metadata(&self.name, &params, &patch);
        Ok(within(self.calls.patch, call).await?.metadata)
    }
}
