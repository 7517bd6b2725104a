//! After the fifth step: takes the requested ref off an object whose spec has caught up with it. Writes to the cluster,
//! and only if no newer request came in the meantime.

use kube::Client;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::FIELD_MANAGER;
use super::error::{ControllerError, within};
use crate::api::GatewaySync;
use crate::api::names::annotation::{REQUESTED_AT, REQUESTED_REF};
use crate::detection::ObjectKey;

/// Removes the requested ref. Tells whether it did; it does not where somebody asked for something in the meantime.
pub(super) async fn clear(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
) -> Result<bool, ControllerError> {
    let patch = Patch::Json::<()>(serde_json::from_value(removal(sync))?);
    let objects = Api::<GatewaySync>::namespaced(client.clone(), key.namespace());
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match within(
        "remove the requested ref",
        objects.patch(key.name(), &params, &patch),
    )
    .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.is_failed_test() || error.is_conflict() || error.is_gone() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes the ref if it, and the time at which it was asked for, are still the same. Where no time was given, nothing
/// may have changed at all: a patch cannot test that something is absent.
fn removal(sync: &GatewaySync) -> Value {
    let annotations = sync.annotations();
    let requested_ref = annotation_path(REQUESTED_REF);
    let same_request = match annotations.get(REQUESTED_AT) {
        Some(at) => json!({ "op": "test", "path": annotation_path(REQUESTED_AT), "value": at }),
        None => {
            json!({ "op": "test", "path": "/metadata/resourceVersion", "value": sync.metadata.resource_version })
        }
    };
    json!([
        { "op": "test", "path": requested_ref, "value": annotations.get(REQUESTED_REF) },
        same_request,
        { "op": "remove", "path": requested_ref },
    ])
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
    fn removes_only_the_request_that_was_handled() {
        let sync = GatewaySync::sample().requested("v1", Some("2026-01-01T00:00:00.5Z"));
        let expected = json!([
            {"op": "test", "path": "/metadata/annotations/stoker.io~1requested-ref", "value": "v1"},
            {"op": "test", "path": "/metadata/annotations/stoker.io~1requested-at", "value": "2026-01-01T00:00:00.5Z"},
            {"op": "remove", "path": "/metadata/annotations/stoker.io~1requested-ref"},
        ]);
        assert_eq!(removal(&sync), expected);
    }

    #[test]
    fn without_a_time_the_object_must_be_unchanged() {
        let patch = removal(&GatewaySync::sample().requested("v1", None));
        assert_eq!(
            patch[1],
            json!({"op": "test", "path": "/metadata/resourceVersion", "value": "1"})
        );
    }
}
