//! Why the controller has not handled an object or its last request, and what to do about it. Pure.

use stoker_api::names::LEASE;
use stoker_api::{GatewaySync, RefResolutionStatus};

/// What keeps an object, or the last request for it, from being handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unhandled {
    /// The controller has begun, and waits for the git server.
    GitIsSlow,
    /// No controller runs.
    NoController,
    /// No controller runs, or the API server drops the field that says which request was handled. A definition that is
    /// older than Stoker does not have it.
    NoControllerOrField,
}

impl Unhandled {
    /// Returns what keeps an object, or the last request for it, from being handled. One of them is not handled.
    pub(super) fn of(object: &GatewaySync) -> Self {
        let Some(status) = &object.status else {
            return Self::NoController;
        };
        match status.ref_resolution_status {
            Some(RefResolutionStatus::Resolving) => Self::GitIsSlow,
            Some(_) if status.last_handled_requested_at.is_none() => Self::NoControllerOrField,
            Some(_) | None => Self::NoController,
        }
    }

    /// Returns what to do about it, or what to wait for.
    pub(super) fn remedy(self) -> String {
        let lease = format!(
            "check that a replica leads: kubectl get lease -A --field-selector metadata.name={LEASE}"
        );
        match self {
            Self::GitIsSlow => {
                "the git server has not answered yet, or does not have the announced commit"
                    .to_owned()
            }
            Self::NoController => lease,
            Self::NoControllerOrField => format!(
                "{lease}; or, if the object has an event DefinitionOutdated, apply the definition of GatewaySync that \
                 `stoker crd` prints"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn unhandled(status: &Value) -> Unhandled {
        let object = json!({
            "apiVersion": "stoker.io/v1alpha1", "kind": "GatewaySync",
            "metadata": {"name": "plant", "annotations": {"stoker.io/requested-at": "t1"}},
            "spec": {
                "git": {"repo": "https://h/r", "ref": "main"}, "gateway": {"api": {"secretName": "k"}},
                "sync": {"profiles": {}},
            },
            "status": status,
        });
        Unhandled::of(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_request_that_no_controller_handles_is_told_apart() {
        for (status, expected) in [
            (json!(null), Unhandled::NoController),
            (json!({}), Unhandled::NoController),
            (
                json!({"refResolutionStatus": "Resolving"}),
                Unhandled::GitIsSlow,
            ),
            (
                json!({"refResolutionStatus": "Resolved"}),
                Unhandled::NoControllerOrField,
            ),
            (
                json!({"refResolutionStatus": "Resolved", "lastHandledRequestedAt": "t0"}),
                Unhandled::NoController,
            ),
        ] {
            assert_eq!(unhandled(&status), expected, "{status}");
        }
    }

    #[test]
    fn the_definition_is_named_only_where_it_can_be_the_cause() {
        for (unhandled, lease, definition) in [
            (Unhandled::GitIsSlow, false, false),
            (Unhandled::NoController, true, false),
            (Unhandled::NoControllerOrField, true, true),
        ] {
            let remedy = unhandled.remedy();
            assert_eq!(remedy.contains("a86165bb.stoker.io"), lease, "{remedy}");
            assert_eq!(remedy.contains("`stoker crd`"), definition, "{remedy}");
        }
    }
}
