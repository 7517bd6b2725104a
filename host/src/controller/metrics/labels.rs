//! The labels of the controller's metrics.

use prometheus_client::encoding::EncodeLabelSet;
use stoker_api::detection::ObjectKey;

use super::{ObjectInfo, PassResult};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ObjectLabels {
    name: String,
    namespace: String,
}

impl ObjectLabels {
    pub(super) fn new(key: &ObjectKey) -> Self {
        Self {
            name: key.name().to_owned(),
            namespace: key.namespace().to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResultLabels {
    name: String,
    namespace: String,
    result: &'static str,
}

impl ResultLabels {
    pub(super) fn new(key: &ObjectKey, result: PassResult) -> Self {
        Self {
            name: key.name().to_owned(),
            namespace: key.namespace().to_owned(),
            result: result.label(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ConditionLabels {
    name: String,
    namespace: String,
    r#type: String,
}

impl ConditionLabels {
    pub(super) fn new(key: &ObjectKey, type_: &str) -> Self {
        Self {
            name: key.name().to_owned(),
            namespace: key.namespace().to_owned(),
            r#type: type_.to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct GatewayLabels {
    name: String,
    namespace: String,
    gateway: String,
}

impl GatewayLabels {
    pub(super) fn new(key: &ObjectKey, gateway: &str) -> Self {
        Self {
            name: key.name().to_owned(),
            namespace: key.namespace().to_owned(),
            gateway: gateway.to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct InfoLabels {
    name: String,
    namespace: String,
    git_repo: String,
    git_ref: String,
    auth_type: &'static str,
    polling_interval: String,
}

impl InfoLabels {
    pub(super) fn new(key: &ObjectKey, info: ObjectInfo) -> Self {
        Self {
            name: key.name().to_owned(),
            namespace: key.namespace().to_owned(),
            git_repo: info.git_repo,
            git_ref: info.git_ref,
            auth_type: info.auth_type,
            polling_interval: info.polling_interval,
        }
    }
}
