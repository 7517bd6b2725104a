//! Searches for headers that break the authentication.

use proptest::prelude::*;

use super::*;

fn authenticator() -> Authenticator {
    Authenticator::new(AuthConfig {
        hmac: inline(SECRET),
        bearer: inline("a token of some length"),
        ..AuthConfig::default()
    })
}

const SECRET: &str = "a secret of some length";

/// Bytes that look like proofs, and others. The parts are common to all proofs, or the given one.
fn value(part: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let parts = [
        "sha256=", "sha1=", "v1,", "v1a,", "Bearer ", "Basic ", "whsec_", " ", ",", "=", "Og==",
        "0", "aa", "17", part,
    ];
    let parts = prop::collection::vec(prop::sample::select(parts.to_vec()), 0..8);
    prop_oneof![
        parts.prop_map(|parts| parts.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..100),
    ]
}

fn header(part: &'static str) -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let schemes =
        Scheme::all().flat_map(|scheme| scheme.headers("x", b"", jiff::Timestamp::now(), "1"));
    let names: Vec<_> = schemes.map(|(name, _)| name).collect();
    (prop::sample::select(names), value(part))
}

proptest! {
    #[test]
    fn invented_proofs_are_refused(
        // A token is valid if it is sent whole, so the secret is not among the parts.
        headers in prop::collection::vec(header("a secret"), 0..6),
        body in prop::collection::vec(any::<u8>(), 0..32),
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.append(name, value);
            }
        }
        let delivery = Delivery { headers: map, body: body.into() };
        prop_assert!(verify(&authenticator(), delivery).is_err());
    }

    #[test]
    fn headers_with_parts_of_the_secret_cause_no_panic(headers in prop::collection::vec(header(SECRET), 0..6)) {
        let headers: HeaderMap = headers
            .into_iter()
            .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?)))
            .collect();
        verify(&authenticator(), Delivery { headers, body: Bytes::new() }).ok();
    }

    #[test]
    fn the_proof_of_a_sender_is_accepted_for_its_body_alone(
        secret in "[!-~]{1,80}",
        body in prop::collection::vec(any::<u8>(), 0..64),
        id in "[!-~]{1,40}",
        other in any::<u8>(),
    ) {
        let authenticator = Authenticator::new(AuthConfig { hmac: inline(&secret), ..AuthConfig::default() });
        for scheme in Scheme::all() {
            let proof = scheme.headers(&secret, &body, jiff::Timestamp::now(), &id);
            let headers: HeaderMap = proof
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
                .collect();
            let send = |body: Vec<u8>| verify(&authenticator, Delivery { headers: headers.clone(), body: body.into() });
            let is_signature = scheme.name() != "gitlab" && !["bearer", "basic", "authorization"].contains(&scheme.name());
            let is_key = !secret.starts_with("whsec_") || !proof.iter().any(|(name, _)| name.ends_with("-timestamp"));
            if is_key {
                prop_assert_eq!(send(body.clone()), Ok(()), "{}", scheme.name());
            }
            if is_signature {
                let changed = [body.as_slice(), &[other]].concat();
                prop_assert!(send(changed).is_err(), "{}", scheme.name());
            }
        }
    }
}
