//! Patches, and the owners of fields.
//!
//! This module works on values. It does not store objects or read requests.

use serde_json::Value;

use crate::resource::Resource;
use crate::status::Failure;

pub(crate) mod apply;
pub(crate) mod fields;
pub(crate) mod managers;
mod strategic;

/// Maximum number of operations of a JSON patch.
const OPERATION_LIMIT: usize = 10_000;

/// The type of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchKind {
    /// Reads the content type. The supported types depend on the resource.
    pub(crate) fn of(content_type: &str, resource: &Resource) -> Result<Self, Failure> {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        match media {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            "application/strategic-merge-patch+json" if !resource.custom => Ok(Self::Strategic),
            "application/apply-patch+cbor" => {
                Err(Failure::not_implemented("apply patches in CBOR"))
            }
            _ if resource.custom => Err(Failure::unsupported_media(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
            _ => Err(Failure::unsupported_media(
                "application/json-patch+json, application/merge-patch+json, \
                 application/strategic-merge-patch+json, application/apply-patch+yaml",
            )),
        }
    }
}

/// Applies a patch of any type except server-side apply.
pub(crate) fn patched(
    kind: PatchKind,
    object: &Value,
    body: &[u8],
    resource: &Resource,
) -> Result<Value, Failure> {
    let mut object = object.clone();
    if kind == PatchKind::Json {
        let operations: json_patch::Patch = read(body)?;
        if operations.len() > OPERATION_LIMIT {
            let message = format!(
                "The allowed maximum operations in a JSON patch is {OPERATION_LIMIT}, got {}",
                operations.len()
            );
            return Err(Failure::new(413, "RequestEntityTooLarge", message));
        }
        json_patch::patch(&mut object, &operations).map_err(|_| {
            let message = "the server rejected our request due to an error in our request";
            Failure::new(422, "Invalid", message)
        })?;
        return Ok(object);
    }
    let patch: Value = read(body)?;
    if !patch.is_object() {
        return Err(Failure::bad_request(
            "json: cannot unmarshal the patch into an object",
        ));
    }
    if kind == PatchKind::Strategic {
        strategic::merge(&mut object, &patch, Some(&resource.schema))?;
    } else {
        json_patch::merge(&mut object, &patch);
    }
    Ok(object)
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))
}

#[cfg(test)]
mod tests;
