//! The question of the API server about a pod, and the answer: `AdmissionReview` of `admission.k8s.io/v1`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;
use serde_json::{Value, json};

use super::inject::Decision;

/// The version of the reviews that are answered.
const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// The reason why a body is not a review of a pod.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReviewError {
    /// The body is not JSON, or lacks a field.
    #[error("the body is not an AdmissionReview of a pod: {0}")]
    Json(#[from] serde_json::Error),
    /// The body is another object.
    #[error("the body is {kind} of {api_version}, and not {KIND} of {API_VERSION}")]
    Kind { api_version: String, kind: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    api_version: String,
    kind: String,
    request: Question,
}

/// A pod that somebody creates.
#[derive(Debug, Deserialize)]
pub(super) struct Question {
    uid: String,
    /// The namespace of the pod. It is missing in the pod itself.
    #[serde(default)]
    pub(super) namespace: String,
    /// The pod.
    pub(super) object: Pod,
}

impl Question {
    /// Reads the body of a request.
    pub(super) fn read(body: &[u8]) -> Result<Self, ReviewError> {
        let envelope: Envelope = serde_json::from_slice(body)?;
        if envelope.api_version != API_VERSION || envelope.kind != KIND {
            return Err(ReviewError::Kind {
                api_version: envelope.api_version,
                kind: envelope.kind,
            });
        }
        Ok(envelope.request)
    }

    /// Returns the body of the answer.
    pub(super) fn answer(&self, decision: &Decision) -> Value {
        match decision {
            Decision::Unchanged(why) => self.respond(json!({
                "allowed": true,
                "status": { "code": 200, "message": why.to_string() },
            })),
            Decision::Denied(why) => self.respond(json!({
                "allowed": false,
                "status": { "code": 403, "reason": "Forbidden", "message": why.to_string() },
            })),
            Decision::Injected(injection) => {
                let patch = Value::from(injection.patch.clone()).to_string();
                let mut response = json!({
                    "allowed": true,
                    "patchType": "JSONPatch",
                    "patch": STANDARD.encode(patch),
                });
                if !injection.warnings.is_empty() {
                    response["warnings"] = injection.warnings.clone().into();
                }
                self.respond(response)
            }
        }
    }

    /// Returns the body of an answer after an error. The pod is not created, so that its controller tries again.
    pub(super) fn fail(&self, message: &str) -> Value {
        self.respond(json!({
            "allowed": false,
            "status": { "code": 500, "message": message },
        }))
    }

    fn respond(&self, mut response: Value) -> Value {
        response["uid"] = self.uid.clone().into();
        json!({ "apiVersion": API_VERSION, "kind": KIND, "response": response })
    }
}
