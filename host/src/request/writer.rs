//! Reads and writes of objects at the API server. Each is one try, which a limit bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::core::Status;
use kube::{Client, Resource as _};
use serde_json::{Value, json};
use stoker_api::detection::{CommitId, GitRef, ObjectKey};
use stoker_api::names::annotation;
use stoker_api::request::{self, Annotations};
use tokio::time::{Instant, timeout_at};

use super::accepted::AcceptedDeliveries;
use super::objects::{self, GuardedObject};
use super::state::RequestState;
use super::{RequestError, Target};
use crate::cluster::written::{GuardedSync, WrittenObjects};

/// The manager of the annotations, in `managedFields`.
const FIELD_MANAGER: &str = "stoker-receiver";

/// The reason why a read or a write failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The object has changed since the version that the write was decided on.
    Conflict,
    /// Another try may succeed.
    Transient {
        /// The error, or `None` if there was no answer in time.
        error: Option<Arc<kube::Error>>,
        /// How long the API server asks to wait.
        again_in: Option<Duration>,
    },
    /// Another try would fail in the same way.
    Final(RequestError),
}

/// What is written to an object.
pub(super) enum Change {
    /// A request, with the accepted deliveries.
    Request(Request),
    /// The accepted deliveries alone. It starts no pass.
    Accepted(AcceptedDeliveries),
}

impl Change {
    /// Returns the merge patch of an object at a version. Without a version, it applies to any version.
    fn patch(&self, version: Option<&str>) -> Value {
        let (mut annotations, accepted) = match self {
            Self::Request(request) => (request.annotations(), &request.accepted),
            Self::Accepted(accepted) => (Annotations::new(), accepted),
        };
        let values = [
            (annotation::ACCEPTED_DELIVERIES, accepted.deliveries()),
            (annotation::ACCEPTED_EVENTS, accepted.events()),
        ];
        annotations.extend(values.into_iter().filter(|(_, value)| value.is_some()));
        let mut metadata = json!({ "annotations": annotations });
        if let Some(version) = version {
            metadata["resourceVersion"] = version.into();
        }
        json!({ "metadata": metadata })
    }
}

/// A request to be written.
pub(super) struct Request {
    pub(super) git_ref: GitRef,
    /// The commit of the ref, if the sender names it.
    pub(super) commit: Option<CommitId>,
    /// The plugin that detected the ref.
    pub(super) plugin: Arc<str>,
    pub(super) requested_at: Stamp,
    /// The present `spec.git.ref`, which the request overrides until it is changed.
    pub(super) spec_ref: String,
    /// The accepted deliveries, with those that the request is for.
    pub(super) accepted: AcceptedDeliveries,
}

impl Request {
    fn annotations(&self) -> Annotations {
        let (git_ref, at) = (self.git_ref.as_str(), self.requested_at.to_string());
        let commit = self.commit.as_ref().map(CommitId::as_str);
        request::of_ref(git_ref, &self.spec_ref, &at, &self.plugin, commit)
    }
}

/// Reads and writes objects.
pub(super) struct Writer {
    client: Client,
    clock: Clock,
    namespace: Option<String>,
    written: WrittenObjects,
}

impl Writer {
    pub(super) fn new(client: Client, namespace: Option<String>, written: WrittenObjects) -> Self {
        Self {
            client,
            clock: Clock::default(),
            namespace,
            written,
        }
    }

    /// Returns a new stamp.
    pub(super) fn stamp(&self) -> Stamp {
        self.clock.next()
    }

    /// Reads the present state of an object. An object outside of the namespace that this process follows does not
    /// exist. The API server would refuse the read, so another object is read instead: the answer takes as long.
    pub(super) async fn read(&self, key: &ObjectKey, limit: Instant) -> Result<Target, Failure> {
        let namespace = self.namespace.as_deref().unwrap_or(key.namespace());
        let api: Api<GuardedObject> = Api::namespaced(self.client.clone(), namespace);
        let answer = timeout_at(limit, api.get(key.name())).await;
        let object = answer
            .map_err(|_| NO_ANSWER)?
            .map_err(|error| failure(key, error))?;
        if namespace != key.namespace() {
            return Err(Failure::Final(RequestError::NotFound(key.clone())));
        }
        objects::target(key, &object).map_err(Failure::Final)
    }

    /// Writes a change, if the object still has the version that the change was decided on. Returns the version of the
    /// object with the change.
    pub(super) async fn write(
        &self,
        key: &ObjectKey,
        change: &Change,
        version: Option<&str>,
        limit: Instant,
    ) -> Result<Option<String>, Failure> {
        let patch = Patch::Merge(change.patch(version));
        let params = PatchParams::apply(FIELD_MANAGER);
        let api: Api<GuardedSync> = Api::namespaced(self.client.clone(), key.namespace());
        let answer = timeout_at(limit, api.patch(key.name(), &params, &patch)).await;
        let object = answer
            .map_err(|_| NO_ANSWER)?
            .map_err(|error| failure(key, error))?;
        let version = object.meta().resource_version.clone();
        self.written.add(object);
        Ok(version)
    }
}

/// The longest pause, in seconds, that is kept when the API server is unavailable. One that starts asks for 5 s
/// (k8s.io/apiserver, `notfoundhandler`), whatever it needs, and usually needs less.
const LONGEST_ASKED_AT_START: u32 = 1;

/// The maximum number of fields in a message.
const MAX_CAUSES: usize = 5;

/// Returns whether a request was refused because the API server, which starts, does not know the roles yet.
fn is_starting(refused: &Status) -> bool {
    // The authorizer of Kubernetes names what is missing, as in `RBAC: clusterrole.rbac.authorization.k8s.io "x" not found`.
    refused.message.contains("RBAC: ") && refused.message.contains("not found")
}

/// Returns the invalid fields of an object, and what is wrong with each. The texts of the API server also contain the
/// values, which may be credentials. `None` if it names no field, as an admission policy that refuses the write.
fn invalid_fields(refused: &Status) -> Option<String> {
    let causes = refused.details.iter().flat_map(|details| &details.causes);
    let causes = causes.filter(|cause| !cause.field.is_empty());
    let named = causes.map(|cause| format!("{} ({})", cause.field, cause.reason));
    let named: Vec<_> = named.take(MAX_CAUSES).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

const NO_ANSWER: Failure = Failure::Transient {
    error: None,
    again_in: None,
};

fn failure(key: &ObjectKey, error: kube::Error) -> Failure {
    let transient = |error, seconds: u32| Failure::Transient {
        error: Some(Arc::new(error)),
        again_in: (seconds > 0).then(|| Duration::from_secs(seconds.into())),
    };
    let kube::Error::Api(status) = &error else {
        return transient(error, 0);
    };
    let details = status.details.as_ref();
    let seconds = details.map_or(0, |details| details.retry_after_seconds);
    match status.code {
        404 => Failure::Final(RequestError::NotFound(key.clone())),
        409 => Failure::Conflict,
        429 => transient(error, seconds),
        422 => Failure::Final(match invalid_fields(status) {
            Some(fields) => RequestError::Invalid {
                key: key.clone(),
                why: format!("the Kubernetes API server does not accept it: {fields}"),
            },
            None => RequestError::Refused(Arc::new(error)),
        }),
        403 if is_starting(status) => transient(error, 0),
        500.. => transient(error, seconds.min(LONGEST_ASKED_AT_START)),
        _ => Failure::Final(RequestError::Refused(Arc::new(error))),
    }
}

/// The value of the annotation `requested-at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(Timestamp);

impl Stamp {
    /// Returns the time.
    pub(super) fn time(self) -> Timestamp {
        self.0
    }

    /// Returns whether the object has the request with this stamp.
    pub(super) fn is_in(self, state: &RequestState) -> bool {
        state.requested_at.as_deref() == Some(&self.to_string())
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&request::stamp(self.0))
    }
}

/// Returns stamps that never repeat and never go back, even where the system's clock does.
#[derive(Default)]
struct Clock {
    last: AtomicI64,
}

impl Clock {
    fn next(&self) -> Stamp {
        let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        let advance = |last: i64| now.max(last.saturating_add(1));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(advance(last))
            });
        let stamp = last.map_or(now, advance);
        Stamp(Timestamp::from_nanosecond(i128::from(stamp)).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_and_have_nine_digits() {
        let clock = Clock::default();
        let stamps: Vec<_> = (0..1000).map(|_| clock.next().to_string()).collect();
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(stamps[0].len(), "2026-01-02T03:04:05.123456789Z".len());
    }

    #[test]
    fn an_object_that_the_api_server_finds_invalid_is_named_without_its_values() {
        let answer = json!({
            "status": "Failure", "code": 422, "reason": "Invalid",
            "message": "GatewaySync.stoker.io \"north\" is invalid: spec: Required value",
            "details": {"causes": [
                {"reason": "FieldValueRequired", "field": "spec", "message": "Required value"},
                {"reason": "FieldValueInvalid", "field": "spec.git.repo", "message": "Invalid value: \"https://u:s3cret@h\""},
            ]},
        });
        let key = ObjectKey::new("plants", "north").unwrap();
        let failed = |answer: &Value| {
            let status: Status = serde_json::from_value(answer.clone()).unwrap();
            match failure(&key, kube::Error::Api(status.boxed())) {
                Failure::Final(error) => (error.reason().code(), error.to_string()),
                other => panic!("it would fail again: {other:?}"),
            }
        };
        let text =
            "the GatewaySync plants/north is invalid: the Kubernetes API server does not accept it";
        let fields = ": spec (FieldValueRequired), spec.git.repo (FieldValueInvalid)";
        assert_eq!(
            failed(&answer),
            ("invalid-object", format!("{text}{fields}"))
        );
        // An admission policy refuses a write with the same code, and names no field.
        let policy = json!({
            "status": "Failure", "code": 422, "reason": "Invalid", "message": "denied by the policy freeze",
            "details": {"causes": [{"message": "denied by the policy freeze"}]},
        });
        assert_eq!(failed(&policy).0, "api-refused");
    }

    fn request(commit: Option<&str>) -> Request {
        Request {
            git_ref: GitRef::parse("v1").unwrap(),
            commit: commit.map(|id| CommitId::parse(id).unwrap()),
            plugin: "github".into(),
            requested_at: Clock::default().next(),
            spec_ref: "main".to_owned(),
            accepted: AcceptedDeliveries::default(),
        }
    }

    #[test]
    fn a_request_notes_what_it_overrides() {
        let commit = "a".repeat(40);
        let request = request(Some(&commit));
        let expected = format!("v1 {} main", request.requested_at);
        let annotations = &Change::Request(request).patch(None)["metadata"]["annotations"];
        assert_eq!(annotations["stoker.io/requested-over"], expected);
        assert_eq!(annotations["stoker.io/requested-ref"], "v1");
        assert_eq!(annotations["stoker.io/requested-commit"], commit);
    }

    #[test]
    fn a_request_without_a_commit_removes_that_of_an_earlier_one() {
        let annotations = &Change::Request(request(None)).patch(None)["metadata"]["annotations"];
        assert_eq!(
            annotations.get("stoker.io/requested-commit"),
            Some(&Value::Null)
        );
    }
}
