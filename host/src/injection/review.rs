//! The request of the API server about a pod, and the answer: `AdmissionReview` of `admission.k8s.io`.
//!
//! The same is accepted and answered as by controller-runtime, which serves the webhook of the Go operator: a request
//! that cannot be read gets an answer too, with the code 400.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use stoker_api::detection::ObjectKey;
use stoker_report::excerpt;

use super::inject::Decision;
use super::pod::Pod;

const KIND: &str = "AdmissionReview";

/// The version of a review. Both have the same fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Version {
    /// The version of which a review is if it names none.
    #[default]
    V1,
    V1Beta1,
}

impl Version {
    const ALL: [Self; 2] = [Self::V1, Self::V1Beta1];

    fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "admission.k8s.io/v1",
            Self::V1Beta1 => "admission.k8s.io/v1beta1",
        }
    }
}

/// The reason why a request is not a review of a pod.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReviewError {
    /// The request has another content type.
    #[error("the content type is not application/json")]
    ContentType,
    /// The body is not JSON, or a field has another type.
    #[error("the body is not an AdmissionReview: {}", excerpt(&_0.to_string()))]
    Json(#[source] serde_json::Error),
    /// The body is another object.
    #[error(
        "the body is {} of {}, and not {KIND} of admission.k8s.io/v1",
        excerpt(kind),
        excerpt(api_version)
    )]
    Kind { api_version: String, kind: String },
    /// The review contains no object.
    #[error("the AdmissionReview contains no pod")]
    NoPod,
    /// The object is not a pod.
    #[error("the AdmissionReview contains an invalid pod: {}", excerpt(&_0.to_string()))]
    Pod(#[source] serde_json::Error),
    /// No namespace can have this name.
    #[error("the AdmissionReview names no valid namespace: {:?}", excerpt(_0))]
    Namespace(String),
}

/// A request that is not a review of a pod, with what its answer repeats.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct Invalid {
    caption: Caption,
    #[source]
    error: ReviewError,
}

/// What an answer repeats of its request.
#[derive(Debug, Clone, Default)]
struct Caption {
    version: Version,
    uid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(borrow)]
    request: Option<Request<'a>>,
}

#[derive(Default, Deserialize)]
struct Request<'a> {
    uid: Option<String>,
    namespace: Option<String>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

/// A pod that somebody creates.
#[derive(Debug)]
pub(super) struct AdmissionRequest {
    caption: Caption,
    /// The namespace of the pod, which is an RFC 1123 label.
    pub(super) namespace: String,
    /// The pod.
    pub(super) pod: Pod,
}

impl Envelope<'_> {
    fn version(&self) -> Result<Version, ReviewError> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (api_version, kind) = (text(&self.api_version), text(&self.kind));
        let mut versions = Version::ALL.into_iter();
        let version = match api_version.as_str() {
            "" => Some(Version::default()),
            named => versions.find(|version| version.api_version() == named),
        };
        version
            .filter(|_| kind.is_empty() || kind == KIND)
            .ok_or(ReviewError::Kind { api_version, kind })
    }
}

impl AdmissionRequest {
    /// Reads the body of a request.
    ///
    /// The API server names the namespace in the request, and the pod may lack it.
    pub(super) fn read(body: &[u8]) -> Result<Self, Invalid> {
        let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(ReviewError::Json)?;
        let version = envelope.version()?;
        let request = envelope.request.unwrap_or_default();
        let caption = Caption {
            version,
            uid: request.uid.unwrap_or_default(),
        };
        match pod_in_namespace(request.namespace, request.object) {
            Ok((namespace, pod)) => Ok(Self {
                caption,
                namespace,
                pod,
            }),
            Err(error) => Err(Invalid { caption, error }),
        }
    }

    /// Returns the body of the answer.
    pub(super) fn answer(&self, decision: &Decision) -> Value {
        match decision {
            Decision::Unchanged(why) => self.caption.respond(json!({
                "allowed": true,
                "status": { "code": 200, "message": why.to_string() },
            })),
            Decision::Denied(why) => self.caption.respond(json!({
                "allowed": false,
                "status": { "code": 403, "reason": "Forbidden", "message": why.to_string() },
            })),
            Decision::Injected(injection) => {
                let patch = Value::from(injection.patch.clone()).to_string();
                let mut response = json!({
                    "allowed": true,
                    "status": { "code": 200 },
                    "patchType": "JSONPatch",
                    "patch": STANDARD.encode(patch),
                });
                if !injection.warnings.is_empty() {
                    response["warnings"] = injection.warnings.clone().into();
                }
                self.caption.respond(response)
            }
        }
    }

    /// Returns the body of an answer after an error. The pod is not created, so that its controller tries again.
    pub(super) fn fail(&self, message: &str) -> Value {
        self.caption.refuse(500, message)
    }
}

/// Reads the pod of a request, and returns its namespace.
///
/// Everybody who reaches the port chooses the namespace. It becomes a part of paths, a label of metrics and a field of
/// log lines, so it must be a name that a namespace can have.
fn pod_in_namespace(
    namespace: Option<String>,
    object: Option<&RawValue>,
) -> Result<(String, Pod), ReviewError> {
    let object = object.map(RawValue::get);
    let object = object.filter(|object| object.starts_with('{'));
    let pod = serde_json::from_str::<Pod>(object.ok_or(ReviewError::NoPod)?);
    let pod = pod.map_err(ReviewError::Pod)?;
    let namespace = namespace.filter(|name| !name.is_empty());
    let namespace = namespace.or_else(|| pod.namespace().map(str::to_owned));
    let namespace = namespace.unwrap_or_default();
    // Any name of an object will do.
    if ObjectKey::new(&namespace, "pod").is_err() {
        return Err(ReviewError::Namespace(namespace));
    }
    Ok((namespace, pod))
}

impl From<ReviewError> for Invalid {
    fn from(error: ReviewError) -> Self {
        Self {
            caption: Caption::default(),
            error,
        }
    }
}

impl Invalid {
    /// Returns the body of the answer.
    pub(super) fn answer(&self) -> Value {
        self.caption.refuse(400, &self.error.to_string())
    }
}

impl Caption {
    fn refuse(&self, code: u16, message: &str) -> Value {
        self.respond(json!({
            "allowed": false,
            "status": { "code": code, "message": message },
        }))
    }

    fn respond(&self, mut response: Value) -> Value {
        response["uid"] = self.uid.clone().into();
        json!({ "apiVersion": self.version.api_version(), "kind": KIND, "response": response })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(namespace: &str, pod: &Value) -> Result<AdmissionRequest, Value> {
        let body = json!({ "request": { "uid": "u", "namespace": namespace, "object": pod } });
        AdmissionRequest::read(body.to_string().as_bytes()).map_err(|invalid| invalid.answer())
    }

    #[test]
    fn a_review_of_no_possible_namespace_is_refused() {
        let long = "x".repeat(3 << 20);
        for namespace in ["../..", "a\n{}\"", "Plants", "a.b", "", &long] {
            let answer = read(namespace, &json!({})).unwrap_err();
            let response = &answer["response"];
            assert_eq!(response["uid"], "u");
            assert_eq!(response["status"]["code"], 400);
            let said = response["status"]["message"].as_str().unwrap();
            let start = "the AdmissionReview names no valid namespace: ";
            assert!(said.starts_with(start) && said.len() < 300, "{said:.300}");
        }
        let of_pod = json!({ "metadata": { "namespace": "../.." } });
        assert!(read("", &of_pod).is_err());
        assert_eq!(read("plants", &of_pod).unwrap().namespace, "plants");
    }

    #[test]
    fn what_is_no_review_is_named_shortly() {
        let long = "x".repeat(3 << 20);
        let review = |object| {
            let request = json!({ "uid": "1", "namespace": "plants", "object": object });
            json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request })
        };
        for body in [
            json!({ "apiVersion": long, "kind": long }),
            json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": long }),
            review(json!({ "metadata": long })),
        ] {
            let answer = AdmissionRequest::read(body.to_string().as_bytes())
                .unwrap_err()
                .answer();
            assert!(answer.to_string().len() < 1000);
        }
    }
}
