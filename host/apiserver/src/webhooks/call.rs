//! Calls a webhook over HTTPS, and applies its patch.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

/// The maximum size of an answer in bytes.
const ANSWER_BYTES: usize = 3 * 1024 * 1024;

/// Sends a question to a webhook, and returns its answer.
pub(super) async fn ask(webhook: &Value, question: &Value) -> Result<Value, String> {
    let config = &webhook["clientConfig"];
    let url = config["url"]
        .as_str()
        .ok_or("its configuration has no url")?;
    let seconds = webhook["timeoutSeconds"].as_u64().unwrap_or(10);
    let client = client(config["caBundle"].as_str(), Duration::from_secs(seconds))?;
    let sent = client
        .post(url)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(question.to_string())
        .send()
        .await;
    let response = sent.map_err(|error| chain(&error))?;
    if !response.status().is_success() {
        return Err(format!("it answered with {}", response.status()));
    }
    let body = read(response).await?;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES {
            return Err("its answer is too large".to_owned());
        }
    }
    Ok(body)
}

/// Returns a client that trusts the certificates of a bundle.
fn client(bundle: Option<&str>, time: Duration) -> Result<Client, String> {
    let pem = STANDARD
        .decode(bundle.unwrap_or_default())
        .map_err(|error| format!("caBundle: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("caBundle: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("caBundle: {error}"))?;
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(time)
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|error| chain(&error))
}

/// Applies the patch of a response.
pub(super) fn apply(response: &Value, object: &mut Value) -> Result<(), String> {
    let Some(patch) = response["patch"].as_str() else {
        return Ok(());
    };
    if response["patchType"] != "JSONPatch" {
        return Err("its patch is not a JSONPatch".to_owned());
    }
    let text = STANDARD.decode(patch).map_err(|error| error.to_string())?;
    let patch: json_patch::Patch =
        serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    json_patch::patch(object, &patch).map_err(|error| error.to_string())
}

/// Returns an error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
