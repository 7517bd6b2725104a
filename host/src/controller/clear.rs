//! Removes the requested ref from an object: after the last step, if the spec has the same meaning, and before the first
//! one, if the spec was changed after the request.

use kube::Client;
use kube::api::{Api, ObjectMeta, Patch};
use kube::core::PartialObjectMeta;
use serde_json::{Value, json};
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use stoker_api::names::annotation::{
    REQUESTED_AT, REQUESTED_COMMIT, REQUESTED_OVER, REQUESTED_REF,
};

use super::error::{ControllerError, within};
use super::patch_params;

/// Removes the requested ref, and returns whether it is gone. It stays if the object was changed in the meantime, for
/// example by another request.
pub(super) async fn clear(
    client: &Client,
    key: &ObjectKey,
    meta: &ObjectMeta,
) -> Result<bool, ControllerError> {
    let patch = Patch::Json::<()>(serde_json::from_value(removal(meta))?);
    let objects =
        Api::<PartialObjectMeta<GatewaySync>>::namespaced(client.clone(), key.namespace());
    match within(
        "remove the requested ref",
        objects.patch(key.name(), &patch_params(), &patch),
    )
    .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.is_gone() => Ok(true),
        Err(error) if error.is_failed_test() || error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the patch that removes the ref if the ref and the time of its request are unchanged. Without a time, the
/// whole object must be unchanged, because a patch cannot test that an annotation is absent.
fn removal(meta: &ObjectMeta) -> Value {
    let annotation = |name| meta.annotations.as_ref().and_then(|all| all.get(name));
    let requested_ref = annotation_path(REQUESTED_REF);
    let same_request = match annotation(REQUESTED_AT) {
        Some(at) => json!({ "op": "test", "path": annotation_path(REQUESTED_AT), "value": at }),
        None => {
            json!({ "op": "test", "path": "/metadata/resourceVersion", "value": meta.resource_version })
        }
    };
    let mut operations = vec![
        json!({ "op": "test", "path": requested_ref, "value": annotation(REQUESTED_REF) }),
        same_request,
        json!({ "op": "remove", "path": requested_ref }),
    ];
    // They must not be left for a later request, which a person may write without them.
    for name in [REQUESTED_OVER, REQUESTED_COMMIT] {
        if annotation(name).is_some() {
            operations.push(json!({ "op": "remove", "path": annotation_path(name) }));
        }
    }
    operations.into()
}

fn annotation_path(name: &str) -> String {
    format!(
        "/metadata/annotations/{}",
        name.replace('~', "~0").replace('/', "~1")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::tests::fixture::GatewaySyncExt as _;

    #[test]
    fn the_patch_removes_only_the_request_that_was_handled() {
        let sync = GatewaySync::sample().requested("v1", Some("2026-01-01T00:00:00.5Z"));
        let expected = json!([
            {"op": "test", "path": "/metadata/annotations/stoker.io~1requested-ref", "value": "v1"},
            {"op": "test", "path": "/metadata/annotations/stoker.io~1requested-at", "value": "2026-01-01T00:00:00.5Z"},
            {"op": "remove", "path": "/metadata/annotations/stoker.io~1requested-ref"},
        ]);
        assert_eq!(removal(&sync.metadata), expected);
    }

    #[test]
    fn without_a_time_the_object_must_be_unchanged() {
        let patch = removal(&GatewaySync::sample().requested("v1", None).metadata);
        assert_eq!(
            patch[1],
            json!({"op": "test", "path": "/metadata/resourceVersion", "value": "1"})
        );
    }
}
