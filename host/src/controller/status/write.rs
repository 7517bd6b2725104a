//! Writes the difference between two statuses.

use std::collections::BTreeMap;

use kube::api::{Api, ObjectMeta, Patch};
use kube::core::DeserializeGuard;
use kube::{Client, Resource, ResourceExt as _};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use stoker_api::detection::ObjectKey;
use stoker_api::names::annotation;
use stoker_api::{GatewaySync, GatewaySyncStatus};

use crate::controller::definition::{Dropped, HOST_KEY};
use crate::controller::error::{ControllerError, within};
use crate::controller::{merge_patch, patch_params};

/// The maximum number of tries to write a status while other clients write.
const TRIES: u32 = 4;
/// The annotations that a pass reads.
const READ: [&str; 5] = [
    annotation::REQUESTED_REF,
    annotation::REQUESTED_AT,
    annotation::REQUESTED_OVER,
    annotation::REQUESTED_COMMIT,
    annotation::ACCEPTED_HOST_KEY,
];

/// Returns the merge patch from one status to the other, or `None` if they are equal.
///
/// It contains only the fields that change, so that fields of other writers stay, and not those that the API server
/// drops. It applies only to the version that was read, because lists are replaced as a whole.
fn difference(
    sync: &GatewaySync,
    next: &GatewaySyncStatus,
    dropped: &Dropped,
) -> Result<Option<Value>, ControllerError> {
    // Most passes of an object that is polled change nothing.
    if sync.status.as_ref() == Some(next) {
        return Ok(None);
    }
    let fields = |status: &GatewaySyncStatus| -> Result<BTreeMap<String, Value>, ControllerError> {
        Ok(serde_json::from_value(serde_json::to_value(status)?)?)
    };
    let before = fields(&sync.status.clone().unwrap_or_default())?;
    let mut next = fields(next)?;
    // A field that the object has is not dropped any more.
    next.retain(|name, _| before.contains_key(name) || !dropped.contains(name));
    if !dropped.is_empty() {
        remove_messages(&before, &mut next);
    }
    let changes = merge_patch::replacement(Some(&before), Some(&next));
    let fields = merge_patch::field("status", changes);
    Ok(merge_patch::of_version(&sync.metadata, Map::new(), fields))
}

/// Removes the messages of gateways, unless the object has one. A definition that lacks other fields lacks these, too.
fn remove_messages(before: &BTreeMap<String, Value>, next: &mut BTreeMap<String, Value>) {
    const GATEWAYS: &str = "discoveredGateways";
    let before = before.get(GATEWAYS).and_then(Value::as_array);
    if before.is_some_and(|all| all.iter().any(|one| one.get("message").is_some())) {
        return;
    }
    let next = next.get_mut(GATEWAYS).and_then(Value::as_array_mut);
    for gateway in next.into_iter().flatten().filter_map(Value::as_object_mut) {
        gateway.remove("message");
    }
}

/// What the API server has stored of a status.
#[derive(Debug)]
pub(in crate::controller) struct Stored {
    /// The new metadata of the object.
    pub(in crate::controller) metadata: ObjectMeta,
    /// The fields that were written and are not stored.
    pub(in crate::controller) dropped: Dropped,
    /// Whether the object has the host key of an ssh server.
    pub(in crate::controller) has_host_key: bool,
}

/// The fields of an answer that are parsed: the client library logs answers that it cannot parse, and the spec may
/// contain credentials.
#[derive(Resource, Debug, Clone, Deserialize)]
#[resource(inherit = GatewaySync)]
struct Answer {
    metadata: ObjectMeta,
    #[serde(default)]
    #[expect(
        clippy::zero_sized_map_values,
        reason = "a set cannot be read from a map, and only the names are of use"
    )]
    status: Option<BTreeMap<String, IgnoredAny>>,
}

/// Writes a status if it differs. Returns `None` if nothing was written.
pub(in crate::controller) async fn write(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
    next: &GatewaySyncStatus,
    dropped: &Dropped,
) -> Result<Option<Stored>, ControllerError> {
    let Some(mut patch) = difference(sync, next, dropped)? else {
        return Ok(None);
    };
    let Answer { metadata, status } = apply(client, key, sync, &mut patch).await?;
    let stored = status.unwrap_or_default();
    let sent = patch.get("status").and_then(Value::as_object);
    let sent = sent.into_iter().flatten();
    let dropped = sent.filter(|(name, value)| !value.is_null() && !stored.contains_key(*name));
    let dropped = Dropped::new(dropped.map(|(name, _)| name.clone()));
    Ok(Some(Stored {
        metadata,
        dropped,
        has_host_key: stored.contains_key(HOST_KEY),
    }))
}

/// Applies a patch of the status. If another client wrote in the meantime, and changed nothing that the status is about,
/// the patch is applied to the new version. Otherwise a client that writes often would keep the status from being
/// written.
async fn apply(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
    patch: &mut Value,
) -> Result<Answer, ControllerError> {
    let objects = Api::<Answer>::namespaced(client.clone(), key.namespace());
    let params = patch_params();
    let mut tries = 1;
    loop {
        let body = Patch::Merge(&*patch);
        let call = objects.patch_status(key.name(), &params, &body);
        match within("patch the status", call).await {
            Err(error) if error.is_conflict() && tries < TRIES => {
                let Some(version) = version_of_same(client, key, sync).await? else {
                    return Err(error);
                };
                merge_patch::set_version(patch, version);
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Returns the present version of an object if everything that its status is about is as it was.
async fn version_of_same(
    client: &Client,
    key: &ObjectKey,
    before: &GatewaySync,
) -> Result<Option<String>, ControllerError> {
    let objects = Api::<DeserializeGuard<GatewaySync>>::namespaced(client.clone(), key.namespace());
    let now = within("read the object", objects.get(key.name())).await?;
    let same = now.0.ok().filter(|now| is_same(before, now));
    Ok(same.and_then(|now| now.metadata.resource_version))
}

fn is_same(before: &GatewaySync, now: &GatewaySync) -> bool {
    let meta = |sync: &GatewaySync| {
        let meta = &sync.metadata;
        let is_deleted = meta.deletion_timestamp.is_some();
        (meta.uid.clone(), meta.generation, is_deleted)
    };
    let annotation = |sync: &GatewaySync, name| sync.annotations().get(name).cloned();
    meta(before) == meta(now)
        && before.status == now.status
        && READ.map(|name| annotation(before, name)) == READ.map(|name| annotation(now, name))
}
