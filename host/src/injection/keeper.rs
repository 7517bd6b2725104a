//! Keeps the webhook's own certificate: in a Secret that the replicas share, and in the configuration by which the API
//! server trusts it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stoker_api::names::label;

use super::certificate::{Certificate, IssueError};
use crate::server::Tls;

/// The name by which Kubernetes knows the writer of a field.
const FIELD_MANAGER: &str = "stoker-injector";
/// The annotation of the Secret with the time from which the certificate is replaced.
const RENEW_AT: &str = "stoker.io/renew-at";
/// The annotation of the Secret with the names in the certificate, separated by commas.
const NAMES: &str = "stoker.io/dns-names";
/// The annotation of the Secret with the SHA-256 of the certificate in PEM, in hexadecimal. Another issuer may replace the
/// certificate and leave the annotations, and then they do not describe it.
const DIGEST: &str = "stoker.io/certificate-digest";
/// The keys of the Secret, as cert-manager writes them.
const AUTHORITIES: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
/// The maximum number of attempts to store a certificate at a time. Each lost one means that another writer was faster.
const TRIES: u32 = 5;

/// The reason why the certificate cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The Secret cannot be read or written.
    #[error("cannot {what} the Secret {name}")]
    Secret {
        /// What was tried.
        what: &'static str,
        /// The name of the Secret.
        name: String,
        /// The error of the API server.
        #[source]
        source: kube::Error,
    },
    /// The configuration cannot be read or written.
    #[error("cannot {what} the MutatingWebhookConfiguration {name}")]
    Configuration {
        /// What was tried.
        what: &'static str,
        /// The name of the configuration.
        name: String,
        /// The error of the API server.
        #[source]
        source: kube::Error,
    },
    /// No certificate can be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// Keeps a certificate.
pub struct Keeper {
    /// The client for all requests.
    pub client: Client,
    /// The namespace of the Secret.
    pub namespace: String,
    /// The name of the Secret.
    pub secret: String,
    /// The names in the certificate, which the API server connects to.
    pub names: Vec<String>,
    /// The name of the `MutatingWebhookConfiguration`, or `None` if others keep its `caBundle`.
    pub configuration: Option<String>,
}

impl Keeper {
    /// Reads the certificate, or issues one if there is none that can be used.
    ///
    /// Several replicas may do this at once: the API server stores the certificate of one of them, and the others read
    /// it.
    ///
    /// If the Secret was deleted or damaged, the authority of the certificate in use stays trusted.
    pub(super) async fn certificate(
        &self,
        now: Timestamp,
        used: Option<&Certificate>,
    ) -> Result<Certificate, KeepError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut retries = 1..TRIES;
        loop {
            let read = api.get_opt(&self.secret).await;
            let present = read.map_err(|source| self.failed("read", source))?;
            let stored = present.as_ref().and_then(stored);
            if let Some(stored) = &stored
                && stored.is_current(&self.names, now)
                && is_usable(stored)
            {
                return Ok(stored.clone());
            }
            let issued = Certificate::issue(&self.names, now, stored.as_ref().or(used))?;
            match self.store(&api, present.as_ref(), &issued).await {
                Ok(()) => {
                    tracing::info!(secret = self.secret, renew.at = %issued.renew_at, "a certificate for the injection webhook was issued");
                    return Ok(issued);
                }
                // Another replica was faster.
                Err(kube::Error::Api(status)) if status.code == 409 && retries.next().is_some() => {
                }
                Err(source) => return Err(self.failed("write", source)),
            }
        }
    }

    /// Stores a certificate, if the Secret is still the one that was read.
    async fn store(
        &self,
        api: &Api<Secret>,
        present: Option<&Secret>,
        issued: &Certificate,
    ) -> kube::Result<()> {
        let mut secret = self.wanted(issued);
        match present {
            None => {
                let params = PostParams {
                    field_manager: Some(FIELD_MANAGER.to_owned()),
                    ..PostParams::default()
                };
                api.create(&params, &secret).await?;
            }
            Some(present) => {
                // The type of a Secret cannot change.
                secret.type_ = None;
                secret.metadata.resource_version = present.resource_version();
                let params = PatchParams::apply(FIELD_MANAGER);
                let patch = Patch::Merge(&secret);
                api.patch(&self.secret, &params, &patch).await?;
            }
        }
        Ok(())
    }

    fn wanted(&self, issued: &Certificate) -> Secret {
        let mut secret = Secret {
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(BTreeMap::from([
                (AUTHORITIES.to_owned(), bytes(&issued.authorities)),
                (CERTIFICATE.to_owned(), bytes(&issued.chain)),
                (KEY.to_owned(), bytes(&issued.key)),
            ])),
            ..Secret::default()
        };
        secret.metadata.name = Some(self.secret.clone());
        secret.annotations_mut().extend([
            (RENEW_AT.to_owned(), issued.renew_at.to_string()),
            (NAMES.to_owned(), issued.names.join(",")),
            (DIGEST.to_owned(), digest(&issued.chain)),
        ]);
        let manager = (label::MANAGED_BY.to_owned(), label::OPERATOR.to_owned());
        secret.labels_mut().extend([manager]);
        secret
    }

    /// Makes the API server trust the authorities of a certificate. Returns whether it did so before.
    pub(super) async fn trust(&self, certificate: &Certificate) -> Result<bool, KeepError> {
        let Some(name) = &self.configuration else {
            return Ok(true);
        };
        let failed = |what| {
            move |source| KeepError::Configuration {
                what,
                name: name.clone(),
                source,
            }
        };
        let api: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        let present = api.get(name).await.map_err(failed("read"))?;
        let patch = bundle_patch(&present, certificate.authorities.as_bytes());
        if patch.is_empty() {
            return Ok(true);
        }
        let patch: Patch<Value> = Patch::Json(
            serde_json::from_value(Value::Array(patch))
                .map_err(|error| failed("patch")(kube::Error::SerdeError(error)))?,
        );
        match api.patch(name, &PatchParams::default(), &patch).await {
            Ok(_) => {
                tracing::info!(
                    configuration = name,
                    "the API server trusts the certificate of the injection webhook now"
                );
                Ok(false)
            }
            // The configuration has changed meanwhile. The next pass reads it.
            Err(kube::Error::Api(status)) if matches!(status.code, 409 | 422) => Ok(false),
            Err(source) => Err(failed("patch")(source)),
        }
    }

    fn failed(&self, what: &'static str, source: kube::Error) -> KeepError {
        KeepError::Secret {
            what,
            name: self.secret.clone(),
            source,
        }
    }
}

/// Returns the JSON patch that sets the `caBundle` of all webhooks of a configuration, or nothing if all have it.
fn bundle_patch(present: &MutatingWebhookConfiguration, bundle: &[u8]) -> Vec<Value> {
    let webhooks = present.webhooks.iter().flatten().enumerate();
    let mut patch: Vec<_> = webhooks
        .filter(|(_, webhook)| {
            let present = webhook.client_config.ca_bundle.as_ref();
            present.is_none_or(|present| present.0 != bundle)
        })
        .map(|(index, _)| {
            let path = format!("/webhooks/{index}/clientConfig/caBundle");
            json!({ "op": "add", "path": path, "value": STANDARD.encode(bundle) })
        })
        .collect();
    if !patch.is_empty() {
        // The indexes are those of this version.
        let version = present.resource_version();
        let test = json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version });
        patch.insert(0, test);
    }
    patch
}

/// Reads a certificate that was stored here. The Secret may contain that of another issuer.
fn stored(secret: &Secret) -> Option<Certificate> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref()?.get(key)?;
        String::from_utf8(bytes.0.clone()).ok()
    };
    let annotations = secret.annotations();
    let chain = text(CERTIFICATE)?;
    if annotations.get(DIGEST)? != &digest(&chain) {
        return None;
    }
    Some(Certificate {
        authorities: text(AUTHORITIES)?,
        chain,
        key: text(KEY)?,
        names: annotations
            .get(NAMES)?
            .split(',')
            .map(str::to_owned)
            .collect(),
        renew_at: annotations.get(RENEW_AT)?.parse().ok()?,
    })
}

/// Returns whether a server can use the certificate.
fn is_usable(certificate: &Certificate) -> bool {
    let (chain, key) = (certificate.chain.as_bytes(), certificate.key.as_bytes());
    Tls::of_pem("the Secret", chain, key).is_ok()
}

fn digest(chain: &str) -> String {
    hex::encode(Sha256::digest(chain))
}

fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}

#[cfg(test)]
pub(super) mod tests;
