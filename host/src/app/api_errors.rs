//! Errors of the Kubernetes API in words, for the commands that show or change objects.

use anyhow::{Error, anyhow};
use kube::core::Status;
use kube::runtime::watcher;

/// Returns an error of a request in words. With the namespace and name of an object, the request was about that object.
pub(super) fn in_words(error: kube::Error, object: Option<&str>) -> Error {
    match error {
        kube::Error::Api(status) => refused(&status, object),
        // The text of the client library adds only the name of one of its parts.
        kube::Error::Service(cause) => anyhow!(cause).context("cannot reach the API server"),
        kube::Error::HyperError(cause) => anyhow!(cause).context("cannot reach the API server"),
        kube::Error::SerdeError(error) => {
            let error = stoker_report::without_values(&error.to_string());
            anyhow!(error).context("the object does not have the form of a GatewaySync")
        }
        other => other.into(),
    }
}

/// Returns an error of a watch in words.
pub(super) fn of_watch(error: watcher::Error) -> Error {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => in_words(error, None),
        watcher::Error::WatchError(status) => refused(&status, None),
        error @ watcher::Error::NoResourceVersion => error.into(),
    }
}

fn refused(status: &Status, object: Option<&str>) -> Error {
    let is_named = |status: &Status| {
        let details = status.details.as_ref();
        details.is_some_and(|details| !details.name.is_empty())
    };
    match (status.code, object) {
        (404, Some(object)) if is_named(status) => anyhow!("there is no GatewaySync {object}"),
        // The answer about a kind that is not defined names no object.
        (404, _) if !is_named(status) => anyhow!(
            "the API server has no GatewaySync objects: install the definition with `stoker crd | kubectl apply -f -`"
        ),
        (401, _) => anyhow!("the API server does not accept the credentials of the kubeconfig"),
        (403, _) => anyhow!("not permitted: {}", status.message),
        (code, _) if status.message.is_empty() => anyhow!("the API server answered {code}"),
        _ => anyhow!("the API server answered: {}", status.message),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::response::StatusDetails;
    use serde_json::json;

    use super::*;

    fn shown(status: Status, object: Option<&str>) -> String {
        let error = in_words(kube::Error::Api(status.boxed()), object);
        stoker_report::chain(error.as_ref()).to_string()
    }

    #[test]
    fn the_values_of_an_object_of_another_shape_are_not_shown() {
        let object = json!({"spec": {"git": "https://user:s3cret@host/x.git"}});
        let error = serde_json::from_value::<stoker_api::GatewaySync>(object).unwrap_err();
        let error = in_words(kube::Error::SerdeError(error), None);
        let text = stoker_report::chain(error.as_ref()).to_string();
        assert!(text.contains("does not have the form"), "{text}");
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
            let text = shown(status.clone(), object);
            assert!(text.starts_with(expected), "{text}");
            assert!(!text.contains("Status"), "{text}");
            let watched = of_watch(watcher::Error::WatchError(status.boxed())).to_string();
            assert!(!watched.contains("Failure"), "{watched}");
        }
    }

    #[test]
    fn a_server_that_does_not_answer_is_named_as_the_cause() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = in_words(kube::Error::Service(Box::new(refused)), None);
        let text = stoker_report::chain(error.as_ref()).to_string();
        assert_eq!(text, "cannot reach the API server: connection refused");
    }
}
