//! Each scheme with right, wrong, empty and malformed proofs.

mod fingerprints;
mod forms;
mod standard_webhooks;

use super::*;

const SECRET: &str = "a-secret-of-24-characters";
const ID: &str = "msg_19";

fn now() -> Timestamp {
    Timestamp::from_second(1_614_265_330).unwrap()
}

fn authenticator(hmac: Option<&str>, bearer: Option<&str>) -> Authenticator {
    let source = |text: &str| SecretSource::Inline(text.to_owned());
    Authenticator::new(AuthConfig {
        hmac: hmac.map(source),
        bearer: bearer.map(source),
        stored: None,
    })
}

/// Verifies a delivery at `now()`.
fn check(auth: &Authenticator, headers: &[(&'static str, &str)]) -> Result<(), AuthError> {
    let delivery = delivery(headers);
    let verified = auth.global().verify_at(delivery, now());
    verified.map(drop).map_err(|refused| refused.error)
}

fn accepts(auth: &Authenticator, headers: &[(&'static str, &str)]) -> bool {
    check(auth, headers).is_ok()
}

fn why(auth: &Authenticator, headers: &[(&'static str, &str)]) -> String {
    check(auth, headers).unwrap_err().to_string()
}

fn proof(scheme: &str, secret: &str, body: &[u8]) -> Vec<(&'static str, String)> {
    let scheme = Scheme::named(scheme).unwrap();
    scheme.headers(secret, body, now(), ID)
}

fn borrow<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    let pair = |(name, value): &'a (&'static str, String)| (*name, value.as_str());
    headers.iter().map(pair).collect()
}

#[test]
fn every_scheme_accepts_the_headers_that_a_sender_makes_and_refuses_those_of_another_secret() {
    let auth = authenticator(Some(SECRET), None);
    for scheme in Scheme::all() {
        let name = scheme.name();
        assert!(
            accepts(&auth, &borrow(&proof(name, SECRET, BODY))),
            "{name}"
        );
        let wrong = proof(name, "another-secret", BODY);
        assert!(!accepts(&auth, &borrow(&wrong)), "{name}");
        let of_another_body = proof(name, SECRET, b"{}");
        let is_token = matches!(scheme.proof, scheme::Proof::Token(_));
        assert_eq!(
            accepts(&auth, &borrow(&of_another_body)),
            is_token,
            "{name}"
        );
        assert!(Scheme::all().filter(|other| other.name() == name).count() == 1);
    }
}

#[test]
fn every_scheme_refuses_an_empty_and_a_malformed_proof() {
    let auth = authenticator(Some(SECRET), None);
    for scheme in Scheme::all() {
        for value in [
            "",
            " ",
            "sha256=",
            "sha256=zz",
            "v1,",
            "v1,AAAA",
            "v1, v1,",
            "Bearer ",
            "Basic ",
            "Basic Og==",
            "Basic !",
            "Bearer",
            "00",
        ] {
            let headers = [
                (scheme.header, value),
                ("webhook-id", ID),
                ("webhook-timestamp", "1614265330"),
                ("svix-id", ID),
                ("svix-timestamp", "1614265330"),
            ];
            assert!(!accepts(&auth, &headers), "{} {value:?}", scheme.name());
        }
    }
}

#[test]
fn each_of_several_values_of_a_secret_is_accepted_by_every_scheme() {
    let text = format!("\r\n{SECRET}\r\n\n  \nthe-previous-secret\n");
    let auth = authenticator(Some(&text), None);
    for scheme in Scheme::all() {
        for secret in [SECRET, "the-previous-secret"] {
            let headers = proof(scheme.name(), secret, BODY);
            assert!(accepts(&auth, &borrow(&headers)), "{}", scheme.name());
        }
        for secret in [text.as_str(), "  ", ""] {
            let headers = proof(scheme.name(), secret, BODY);
            let is_header = |(_, value): &(_, String)| HeaderValue::from_str(value).is_ok();
            if headers.iter().all(is_header) {
                assert!(!accepts(&auth, &borrow(&headers)), "{}", scheme.name());
            }
        }
    }
}

#[test]
fn a_right_token_never_repairs_a_wrong_signature() {
    let auth = authenticator(Some(SECRET), Some("the-bearer-token"));
    let is_token = |scheme: &&Scheme| matches!(scheme.proof, scheme::Proof::Token(_));
    for token in Scheme::all().filter(is_token) {
        let token = proof(token.name(), SECRET, BODY);
        assert!(accepts(&auth, &borrow(&token)));
        for signature in Scheme::all().filter(|scheme| !is_token(scheme)) {
            let signature = proof(signature.name(), "another", BODY);
            let headers = [borrow(&token), borrow(&signature)].concat();
            assert!(!accepts(&auth, &headers), "{headers:?}");
        }
    }
}

#[test]
fn the_strongest_signature_decides_and_a_weaker_one_does_not_matter() {
    let auth = authenticator(Some(SECRET), None);
    let names = [
        "standard-webhooks",
        "svix",
        "github",
        "forgejo",
        "gitea",
        "gogs",
        "bitbucket",
    ];
    for (index, stronger) in names.iter().enumerate() {
        for weaker in &names[index + 1..] {
            for (first, second) in [(SECRET, "another"), ("another", SECRET)] {
                let stronger = proof(stronger, first, BODY);
                let weaker = proof(weaker, second, BODY);
                let headers = [borrow(&weaker), borrow(&stronger)].concat();
                assert_eq!(accepts(&auth, &headers), first == SECRET, "{headers:?}");
            }
        }
    }
}

#[test]
fn a_repeated_header_is_refused() {
    let auth = authenticator(Some(SECRET), None);
    for scheme in Scheme::all() {
        let right = proof(scheme.name(), SECRET, BODY);
        for (name, value) in &right {
            for repeated in [value.as_str(), "another"] {
                let mut headers = borrow(&right);
                headers.push((name, repeated));
                assert!(!accepts(&auth, &headers), "{name} {repeated}");
            }
        }
    }
}

#[test]
fn gitea_without_a_secret_sends_empty_signatures_and_is_authenticated_by_its_token() {
    let auth = authenticator(Some(SECRET), Some("the-bearer-token"));
    let empty = [("x-gitea-signature", ""), (SIGNATURE_HEADER, "sha256=")];
    assert!(!accepts(&auth, &empty));
    let token = ("authorization", "Bearer the-bearer-token");
    assert!(accepts(&auth, &[empty[0], empty[1], token]));
}

#[test]
fn a_signature_with_sha_1_is_no_proof() {
    let auth = authenticator(Some(SECRET), None);
    let sha1 = (
        "x-hub-signature",
        "sha1=7ba8bc4ef7ab8ea5ed2cba5e4cc9e0c1c1b0a6e9",
    );
    assert!(why(&auth, &[sha1]).contains("SHA-1 is not accepted"));
    let sha256 = sign(SECRET.as_bytes(), BODY);
    assert!(accepts(&auth, &[sha1, (SIGNATURE_HEADER, &sha256)]));
    let wrong = sign(b"another", BODY);
    assert!(!accepts(&auth, &[sha1, (SIGNATURE_HEADER, &wrong)]));
}

#[test]
fn a_bearer_token_alone_serves_tokens_and_not_signatures() {
    let auth = authenticator(None, Some(SECRET));
    for scheme in Scheme::all() {
        let headers = proof(scheme.name(), SECRET, BODY);
        let is_token = matches!(scheme.proof, scheme::Proof::Token(_));
        assert_eq!(
            accepts(&auth, &borrow(&headers)),
            is_token,
            "{}",
            scheme.name()
        );
    }
    let unchecked = sign(b"unknown", BODY);
    let token = format!("Bearer {SECRET}");
    assert!(accepts(
        &auth,
        &[(SIGNATURE_HEADER, &unchecked), ("authorization", &token)]
    ));
}

#[test]
fn the_password_of_basic_authentication_is_the_secret_with_any_user_name() {
    let auth = authenticator(None, Some("pass"));
    let basic = |pair: &str| format!("basic {}", BASE64.encode(pair));
    for (pair, is_right) in [
        ("user:pass", true),
        (":pass", true),
        ("user:pas", false),
        ("pass:", false),
        ("user:pass:pass", false),
        ("", false),
        (":", false),
    ] {
        assert_eq!(
            accepts(&auth, &[("authorization", &basic(pair))]),
            is_right,
            "{pair}"
        );
    }
    let auth = authenticator(None, Some("user:pass"));
    for (pair, is_right) in [("user:pass", true), ("other:pass", false), (":pass", false)] {
        assert_eq!(
            accepts(&auth, &[("authorization", &basic(pair))]),
            is_right,
            "{pair}"
        );
    }
}
