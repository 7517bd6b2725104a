//! The private key of an app, and the token that it signs.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

use super::GitHubAppError;

/// How far the clock of this machine may be ahead of GitHub's.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// How long a signed token is valid. GitHub accepts at most ten minutes.
const VALIDITY: SignedDuration = SignedDuration::from_mins(9);

/// Returns the JSON Web Token (RFC 7519) with which an app identifies itself, signed with RS256 (RFC 7518).
pub(super) fn signed_token(
    pem: &str,
    app_id: i64,
    now: Timestamp,
) -> Result<String, GitHubAppError> {
    let key = parse(pem).map_err(|why| GitHubAppError::Key { why })?;
    let seconds = |offset: SignedDuration| now.saturating_add(offset).unwrap_or(now).as_second();
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    let claims = json!({
        "iat": seconds(-CLOCK_SKEW),
        "exp": seconds(VALIDITY),
        "iss": app_id.to_string(),
    });
    let part = |value: serde_json::Value| BASE64.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .map_err(|_| GitHubAppError::Key {
        why: "it cannot sign".to_owned(),
    })?;
    Ok(format!("{message}.{}", BASE64.encode(signature)))
}

fn parse(pem: &str) -> Result<KeyPair, String> {
    if pem.contains("ENCRYPTED") {
        return Err("it is encrypted; store it without a passphrase".to_owned());
    }
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(key) => key,
        Err(_) if pem.contains("PUBLIC KEY") || pem.contains("CERTIFICATE") => {
            return Err(
                "it is not a private key; generate one in the settings of the GitHub App"
                    .to_owned(),
            );
        }
        Err(_) => {
            return Err(
                "it is not in PEM format; store the file that GitHub offers for download, with its first and last line"
                    .to_owned(),
            );
        }
    };
    let pair = match &key {
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err("it is not an RSA key".to_owned()),
    };
    pair.map_err(|rejected| format!("it is not an RSA key of 2048 to 4096 bits ({rejected})"))
}
