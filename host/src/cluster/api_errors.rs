//! Errors of the Kubernetes API in words. The client library's own texts quote whole answers.

use std::error::Error;

use kube::Resource;
use kube::core::Status;
use kube::runtime::watcher;
use stoker_api::GatewaySync;

/// An error of a request or a watch, in words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The object of the request does not exist.
    #[error("there is no {kind} {object}")]
    NoObject {
        /// The kind of the object.
        kind: String,
        /// The object, as the caller names it.
        object: String,
    },
    /// `GatewaySync` is not defined.
    #[error(
        "the API server has no GatewaySync objects: install the definition with `stoker crd | kubectl apply -f -`"
    )]
    NoDefinition,
    /// Another kind is not defined.
    #[error("the API server has no {0} objects")]
    NoKind(String),
    /// The credentials are missing, wrong or out of date.
    #[error(
        "the API server does not accept the credentials of the kubeconfig, or of the pod's ServiceAccount"
    )]
    Credentials,
    /// The account lacks a right.
    #[error("not permitted: {0}")]
    Forbidden(String),
    /// The API server answered with another error.
    #[error("the API server answered: {0}")]
    Refused(String),
    /// The API server answered with another error, and did not describe it.
    #[error("the API server answered {0}")]
    Code(u16),
    /// The API server did not answer.
    #[error("cannot reach the API server")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// An object has another form.
    #[error("the object does not have the form of a {kind}: {why}")]
    Form {
        /// The kind that was expected.
        kind: String,
        /// What is wrong, without the values of the object.
        why: String,
    },
    /// Another error of the client library.
    #[error(transparent)]
    Client(Box<kube::Error>),
    /// Another error of a watch.
    #[error(transparent)]
    Watch(Box<watcher::Error>),
}

impl ApiError {
    /// Returns an error of a request for objects of a kind. With the name of an object, the request was about that object.
    pub(crate) fn of_request<K: Resource<DynamicType = ()>>(
        error: kube::Error,
        object: Option<&str>,
    ) -> Self {
        match error {
            kube::Error::Api(status) => Self::refused::<K>(&status, object),
            // The text of the client library adds only the name of one of its parts.
            kube::Error::Service(cause) => Self::Unreachable(cause),
            kube::Error::HyperError(cause) => Self::Unreachable(cause.into()),
            kube::Error::SerdeError(error) => Self::Form {
                kind: K::kind(&()).into_owned(),
                why: stoker_report::without_values(&error.to_string()),
            },
            other => Self::Client(other.into()),
        }
    }

    /// Returns an error of a watch of objects of a kind.
    pub(crate) fn of_watch<K: Resource<DynamicType = ()>>(error: watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::of_request::<K>(error, None),
            watcher::Error::WatchError(status) => Self::refused::<K>(&status, None),
            error @ watcher::Error::NoResourceVersion => Self::Watch(error.into()),
        }
    }

    fn refused<K: Resource<DynamicType = ()>>(status: &Status, object: Option<&str>) -> Self {
        let kind = K::kind(&());
        let details = status.details.as_ref();
        // The answer about a kind that is not defined names no object.
        let is_named = details.is_some_and(|details| !details.name.is_empty());
        match (status.code, object) {
            (404, Some(object)) if is_named => Self::NoObject {
                kind: kind.into_owned(),
                object: object.to_owned(),
            },
            (404, _) if !is_named && kind == GatewaySync::kind(&()) => Self::NoDefinition,
            (404, _) if !is_named => Self::NoKind(kind.into_owned()),
            (401, _) => Self::Credentials,
            (403, _) => Self::Forbidden(status.message.clone()),
            (code, _) if status.message.is_empty() => Self::Code(code),
            _ => Self::Refused(status.message.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::core::response::StatusDetails;
    use serde_json::json;

    use super::*;

    fn shown(error: &ApiError) -> String {
        stoker_report::chain(error).to_string()
    }

    fn of_request(error: kube::Error) -> String {
        shown(&ApiError::of_request::<GatewaySync>(error, None))
    }

    #[test]
    fn the_values_of_an_object_of_another_shape_are_not_shown() {
        let object = json!({"spec": {"git": "https://user:s3cret@host/x.git"}});
        let error = serde_json::from_value::<GatewaySync>(object).unwrap_err();
        let text = of_request(kube::Error::SerdeError(error));
        assert!(
            text.contains("does not have the form of a GatewaySync"),
            "{text}"
        );
        assert!(!text.contains("s3cret"), "{text}");
    }

    #[test]
    fn refusals_are_told_in_words() {
        let named: StatusDetails = serde_json::from_value(json!({"name": "nope"})).unwrap();
        let failure = |code, message| Status::failure(message, "Reason").with_code(code);
        let absent = failure(404, "gatewaysyncs.stoker.io \"nope\" not found").with_details(named);
        let object = Some("edge/nope");
        let undefined = "the API server has no GatewaySync objects: install the definition with";
        for (status, object, expected) in [
            (absent, object, "there is no GatewaySync edge/nope"),
            (failure(404, "404 page not found"), object, undefined),
            (failure(404, "404 page not found"), None, undefined),
            (
                failure(403, "gatewaysyncs.stoker.io is forbidden: no"),
                object,
                "not permitted: gatewaysyncs.stoker.io is forbidden: no",
            ),
            (
                failure(401, "Unauthorized"),
                object,
                "the API server does not accept",
            ),
            (
                failure(500, "broken"),
                object,
                "the API server answered: broken",
            ),
            (failure(502, ""), None, "the API server answered 502"),
        ] {
            let error = kube::Error::Api(status.clone().boxed());
            let text = shown(&ApiError::of_request::<GatewaySync>(error, object));
            assert!(text.starts_with(expected), "{text}");
            assert!(!text.contains("Status"), "{text}");
            let error = watcher::Error::WatchError(status.boxed());
            let watched = shown(&ApiError::of_watch::<GatewaySync>(error));
            assert!(!watched.contains("Failure"), "{watched}");
        }
    }

    #[test]
    fn only_gateway_syncs_lack_the_definition() {
        let status = Status::failure("404 page not found", "").with_code(404);
        let error = watcher::Error::WatchError(status.boxed());
        let text = shown(&ApiError::of_watch::<Pod>(error));
        assert_eq!(text, "the API server has no Pod objects");
    }

    #[test]
    fn a_server_that_does_not_answer_is_named_as_the_cause() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let text = of_request(kube::Error::Service(Box::new(refused)));
        assert_eq!(text, "cannot reach the API server: connection refused");
    }
}
