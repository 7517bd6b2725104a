mod fuzz;
mod schemes;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::secrets::SecretSource;

const BODY: &[u8] = br#"{"ref":"v1.0.0"}"#;

fn delivery(headers: &[(&'static str, &str)]) -> Delivery {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect();
    Delivery {
        headers,
        body: Bytes::from_static(BODY),
    }
}

fn verify(authenticator: &Authenticator, delivery: Delivery) -> Result<(), AuthError> {
    let verified = authenticator.global().verify(delivery);
    verified.map(drop).map_err(|refused| refused.error)
}

#[expect(clippy::unnecessary_wraps, reason = "as the configuration holds it")]
fn inline(secret: &str) -> Option<SecretSource> {
    Some(SecretSource::Inline(secret.to_owned()))
}

fn is_accepted(config: AuthConfig, headers: &[(&'static str, &str)]) -> bool {
    verify(&Authenticator::new(config), delivery(headers)).is_ok()
}

#[test]
fn the_signature_is_the_one_of_the_published_test_vector() {
    // GitHub documentation, "Validating webhook deliveries": the values to test an implementation with.
    let signature = sign(b"It's a Secret to Everybody", b"Hello, World!");
    assert_eq!(
        signature,
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
}

#[test]
fn a_right_signature_in_any_case_is_accepted() {
    let config = || AuthConfig {
        hmac: inline("key"),
        ..AuthConfig::default()
    };
    let signature = sign(b"key", BODY);
    assert!(is_accepted(config(), &[(SIGNATURE_HEADER, &signature)]));
    let upper = format!("sha256={}", signature[7..].to_uppercase());
    assert!(is_accepted(config(), &[(SIGNATURE_HEADER, &upper)]));
}

#[test]
fn missing_wrong_empty_and_malformed_signatures_are_refused() {
    let wrong = sign(b"other", BODY);
    let sha1 = "sha1=0123456789012345678901234567890123456789";
    for signature in [
        "",
        "sha256=",
        sha1,
        &wrong,
        &wrong[7..],
        "sha256=zz",
        &format!("{wrong}00"),
    ] {
        let config = AuthConfig {
            hmac: inline("key"),
            ..AuthConfig::default()
        };
        assert!(
            !is_accepted(config, &[(SIGNATURE_HEADER, signature)]),
            "{signature}"
        );
    }
    assert!(!is_accepted(
        AuthConfig {
            hmac: inline("key"),
            ..AuthConfig::default()
        },
        &[]
    ));
}

#[test]
fn a_token_serves_a_sender_that_cannot_sign_and_never_repairs_a_wrong_signature() {
    let config = || AuthConfig {
        hmac: inline("key"),
        bearer: inline("token"),
        ..AuthConfig::default()
    };
    assert!(is_accepted(config(), &[("authorization", "Bearer token")]));
    assert!(is_accepted(config(), &[("authorization", "bearer token")]));
    assert!(is_accepted(
        config(),
        &[(SIGNATURE_HEADER, &sign(b"key", BODY))]
    ));
    assert!(!is_accepted(config(), &[("authorization", "Bearer tokem")]));
    assert!(!is_accepted(config(), &[("authorization", "Basic token")]));
    let forged = [
        ("authorization", "Bearer token"),
        (SIGNATURE_HEADER, "sha256=00"),
    ];
    assert!(!is_accepted(config(), &forged));
}

#[test]
fn without_a_secret_every_delivery_is_accepted() {
    let authenticator = Authenticator::new(AuthConfig::default());
    assert_eq!(authenticator.state(), AuthState::Open);
    assert!(verify(&authenticator, delivery(&[])).is_ok());
}

#[test]
fn with_an_unusable_secret_every_delivery_is_refused() {
    for hmac in [
        inline(""),
        inline(" \n"),
        Some(SecretSource::File("/nonexistent/secret".into())),
    ] {
        let authenticator = Authenticator::new(AuthConfig {
            hmac,
            bearer: inline("token"),
            ..AuthConfig::default()
        });
        let refused = verify(
            &authenticator,
            delivery(&[("authorization", "Bearer token")]),
        );
        assert!(matches!(refused, Err(AuthError::Unusable(_))));
    }
}

#[tokio::test]
async fn a_secret_file_is_read_without_its_last_line_break_and_read_again_on_refresh() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "first\n").unwrap();
    let authenticator = Authenticator::new(AuthConfig {
        hmac: Some(SecretSource::File(path.clone())),
        ..AuthConfig::default()
    });
    let signed = |key: &[u8]| {
        let delivery = delivery(&[(SIGNATURE_HEADER, &sign(key, BODY))]);
        verify(&authenticator, delivery).is_ok()
    };
    assert!(signed(b"first"));

    std::fs::write(&path, "second\r\n").unwrap();
    authenticator.refresh().await;
    assert!(signed(b"second") && !signed(b"first"));

    std::fs::remove_file(&path).unwrap();
    authenticator.refresh().await;
    assert!(matches!(
        authenticator.state(),
        AuthState::Unusable(SecretError::Unreadable { .. })
    ));
}

#[test]
fn no_secret_is_ever_printed() {
    assert!(
        !format!(
            "{:?}",
            AuthConfig {
                hmac: inline("s3cret"),
                ..AuthConfig::default()
            }
        )
        .contains("s3cret")
    );
}
