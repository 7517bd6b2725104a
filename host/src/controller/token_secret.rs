//! The Secret with the token of a GitHub App, from which the agents read the token. It is written in the
//! fourth step, and deleted with the object.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::ResourceExt as _;
use kube::api::{Api, ObjectMeta};
use kube::core::PartialObjectMeta;
use serde_json::Value;
use stoker_api::GatewaySync;
use stoker_api::detection::ObjectKey;
use stoker_api::names::{self, TOKEN_KEY, annotation};

use super::error::{ControllerError, within};
use super::owned::{Calls, Owned};
use super::ownership::{self, Writer};
use super::{finalizer, merge_patch};
use crate::github_app::InstallationToken;

/// The value of the annotation that says what the Secret contains.
const SECRET_TYPE: &str = "github-app-token";
const CALLS: Calls = Calls {
    read: "read the token Secret",
    create: "create the token Secret",
    patch: "patch the token Secret",
};

/// Returns the name of the Secret of an object.
pub(super) fn name(key: &ObjectKey) -> String {
    names::token_secret(key.name())
}

fn object(client: &Client, key: &ObjectKey) -> Owned<Secret> {
    Owned::new(client, key, name(key), &CALLS)
}

/// Reads the Secret of an object, if it exists.
pub(super) async fn read(
    client: &Client,
    key: &ObjectKey,
) -> Result<Option<Secret>, ControllerError> {
    object(client, key).read().await
}

/// Creates the Secret, or updates it if it belongs to the object and differs.
pub(super) async fn write(
    client: &Client,
    key: &ObjectKey,
    sync: &GatewaySync,
    present: Option<&Secret>,
    token: &InstallationToken,
) -> Result<(), ControllerError> {
    let (secret, wanted) = (object(client, key), wanted(key, sync, token));
    let Some(present) = present else {
        secret.create(&wanted).await?;
        return Ok(());
    };
    let uid = sync.uid();
    ownership::check(&present.metadata, key, uid.as_deref(), Writer::Controller).map_err(
        |whose| ControllerError::TokenSecretTaken {
            name: name(key),
            whose,
        },
    )?;
    if let Some(patch) = difference(key, present, &wanted) {
        secret.patch(&patch).await?;
    }
    Ok(())
}

/// Deletes the Secret of a deleted object, if it exists and belongs to the object.
///
/// The role of the chart does not contain the right to delete Secrets. The garbage collector of Kubernetes then deletes
/// it, because of its owner reference.
pub(super) async fn delete(
    client: &Client,
    key: &ObjectKey,
    meta: &ObjectMeta,
) -> Result<(), ControllerError> {
    let secrets = Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), key.namespace());
    let name = name(key);
    let found = match within("read a Secret's metadata", secrets.get_opt(&name)).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(()),
        Err(error) => return unless_forbidden(key, Err(error)),
    };
    let uid = meta.uid.as_deref();
    if let Err(whose) = ownership::check(&found.metadata, key, uid, Writer::Controller) {
        tracing::info!(
            sync.namespace = key.namespace(),
            sync.name = key.name(),
            "the Secret {name} stays: it {whose}"
        );
        return Ok(());
    }
    let params = finalizer::only(found.metadata);
    let call = within("delete the token Secret", secrets.delete(&name, &params)).await;
    unless_forbidden(key, finalizer::unless_gone(call))
}

fn unless_forbidden(
    key: &ObjectKey,
    result: Result<(), ControllerError>,
) -> Result<(), ControllerError> {
    match result {
        Err(error) if error.is_forbidden() => {
            tracing::debug!(
                sync.namespace = key.namespace(),
                sync.name = key.name(),
                error = %stoker_report::chain(&error),
                "the token Secret is left to the garbage collector"
            );
            Ok(())
        }
        result => result,
    }
}

fn wanted(key: &ObjectKey, sync: &GatewaySync, token: &InstallationToken) -> Secret {
    let owner = sync.uid().map(|uid| ownership::reference(key, &uid));
    let type_ = (annotation::SECRET_TYPE.to_owned(), SECRET_TYPE.to_owned());
    let value = ByteString(token.token.expose().as_bytes().to_vec());
    Secret {
        metadata: ObjectMeta {
            name: Some(name(key)),
            namespace: Some(key.namespace().to_owned()),
            labels: Some(ownership::labels(key)),
            annotations: Some(BTreeMap::from([type_])),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(TOKEN_KEY.to_owned(), value)])),
        ..Secret::default()
    }
}

/// Returns the merge patch that updates a Secret, or `None` if it is up to date. It applies only to the version that
/// was read.
fn difference(key: &ObjectKey, present: &Secret, wanted: &Secret) -> Option<Value> {
    let data = merge_patch::replacement(present.data.as_ref(), wanted.data.as_ref());
    let fields = merge_patch::field("data", data);
    merge_patch::of_owned(key, &present.metadata, &wanted.metadata, fields)
}
