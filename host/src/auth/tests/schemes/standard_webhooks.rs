//! The signatures of Standard Webhooks.

use super::*;

/// The values of the example in the specification of Standard Webhooks.
const EXAMPLE: [(&str, &str); 3] = [
    ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
    ("webhook-timestamp", "1614265330"),
    (
        "webhook-signature",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
];
const EXAMPLE_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const EXAMPLE_BODY: &[u8] = br#"{"test": 2432232314}"#;

fn verify(secret: &str, headers: &[(&'static str, &str)], seconds: i64) -> bool {
    let auth = authenticator(Some(secret), None);
    let delivery = Delivery {
        body: Bytes::from_static(EXAMPLE_BODY),
        ..delivery(headers)
    };
    let now = Timestamp::from_second(seconds).unwrap();
    auth.global().verify_at(delivery, now).is_ok()
}

fn with_signature(signature: &str) -> [(&'static str, &str); 3] {
    [EXAMPLE[0], EXAMPLE[1], ("webhook-signature", signature)]
}

#[test]
fn the_published_example_is_accepted() {
    assert!(verify(EXAMPLE_SECRET, &EXAMPLE, 1_614_265_330));
    let scheme = Scheme::named("standard-webhooks").unwrap();
    let made = scheme.headers(EXAMPLE_SECRET, EXAMPLE_BODY, now(), EXAMPLE[0].1);
    assert_eq!(borrow(&made), EXAMPLE);
    // Without the prefix, the text may be the base64 of the key, with or without padding, or the key itself.
    assert!(verify(&EXAMPLE_SECRET[6..], &EXAMPLE, 1_614_265_330));
    let raw = scheme.headers(&EXAMPLE_SECRET[6..], EXAMPLE_BODY, now(), "id");
    assert!(verify(&EXAMPLE_SECRET[6..], &borrow(&raw), 1_614_265_330));
    assert!(!verify(EXAMPLE_SECRET, &borrow(&raw), 1_614_265_330));
}

#[test]
fn the_time_differs_by_at_most_five_minutes_in_both_directions() {
    for (difference, is_accepted) in [(300, true), (-300, true), (301, false), (-301, false)] {
        let now = 1_614_265_330 + difference;
        assert_eq!(
            verify(EXAMPLE_SECRET, &EXAMPLE, now),
            is_accepted,
            "{difference}"
        );
    }
    for timestamp in [
        "",
        "+1614265330",
        "1614265330.0",
        "x",
        "99999999999999999999",
    ] {
        let headers = [EXAMPLE[0], ("webhook-timestamp", timestamp), EXAMPLE[2]];
        assert!(
            !verify(EXAMPLE_SECRET, &headers, 1_614_265_330),
            "{timestamp}"
        );
    }
}

#[test]
fn one_of_several_signatures_is_sufficient_and_other_versions_are_skipped() {
    let (right, wrong) = (EXAMPLE[2].1, format!("v1,{}", BASE64.encode([7; 32])));
    for signature in [
        format!("{wrong} {right}"),
        format!("v1a,AAAA {right} v1,!"),
        format!("{right} {wrong}"),
    ] {
        let headers = with_signature(&signature);
        assert!(
            verify(EXAMPLE_SECRET, &headers, 1_614_265_330),
            "{signature}"
        );
    }
    let other_version = right.replace("v1,", "v2,");
    let many = format!("{}{right}", format!("{wrong} ").repeat(16));
    for signature in [wrong.as_str(), &right[3..], &other_version, &many] {
        let headers = with_signature(signature);
        assert!(
            !verify(EXAMPLE_SECRET, &headers, 1_614_265_330),
            "{signature}"
        );
    }
}

#[test]
fn the_id_and_the_time_are_signed_and_required() {
    for missing in [0, 1] {
        let mut headers = EXAMPLE.to_vec();
        headers.remove(missing);
        assert!(!verify(EXAMPLE_SECRET, &headers, 1_614_265_330));
        let mut headers = EXAMPLE;
        headers[missing].1 = ["msg_2", "1614265331"][missing];
        assert!(!verify(EXAMPLE_SECRET, &headers, 1_614_265_330));
    }
}

#[test]
fn an_empty_or_malformed_key_signs_nothing() {
    for secret in ["whsec_", "whsec_!", "whsec_===="] {
        let auth = authenticator(Some(secret), None);
        for key in ["", "whsec_", secret] {
            let mac = mac::message_mac(key.as_bytes(), b"id", b"1614265330", BODY);
            let signature = format!("v1,{}", BASE64.encode(mac));
            let headers = [
                ("webhook-id", "id"),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", signature.as_str()),
            ];
            assert!(!accepts(&auth, &headers), "{secret} {key}");
        }
    }
}

#[test]
fn gitlab_sends_the_id_and_the_time_without_a_signature_too() {
    let auth = authenticator(Some(SECRET), None);
    let headers = [
        EXAMPLE[0],
        ("webhook-timestamp", "1"),
        ("x-gitlab-token", SECRET),
    ];
    assert!(accepts(&auth, &headers));
}
