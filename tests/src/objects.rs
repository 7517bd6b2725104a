//! The objects that tests and measurements create.

use anyhow::Result;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use stoker_api::GatewaySync;

/// The Secret that the objects name.
const API_SECRET: &str = "gateway-api";

/// Returns an object with the ref `main` of a repository. `spec` is merged into its spec.
pub(crate) fn gateway_sync(name: &str, repo: &str, spec: &Value) -> Result<GatewaySync> {
    let mut object = json!({
        "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync", "metadata": {"name": name},
        "spec": {
            "git": {"repo": repo, "ref": "main"},
            "gateway": {"api": {"secretName": API_SECRET}},
            "sync": {"profiles": {"edge": {"mappings": [{"source": "config", "destination": "config"}]}}},
        },
    });
    json_patch::merge(&mut object["spec"], spec);
    Ok(serde_json::from_value(object)?)
}

/// Returns the Secret that the objects name.
pub(crate) fn api_secret() -> Result<Secret> {
    Ok(serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": API_SECRET},
        "stringData": {"apiKey": "name:value"},
    }))?)
}
