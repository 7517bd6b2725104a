//! What identifies a delivery.

use super::*;
use crate::auth::mac::body_mac;

fn fingerprint(scheme: &str, id: &str, extra: (&'static str, &str)) -> Fingerprint {
    fingerprint_of(BODY, now(), scheme, id, extra)
}

fn fingerprint_of(
    body: &'static [u8],
    at: Timestamp,
    scheme: &str,
    id: &str,
    extra: (&'static str, &str),
) -> Fingerprint {
    let auth = authenticator(Some(SECRET), None);
    let scheme = Scheme::named(scheme).unwrap();
    let made = scheme.headers(SECRET, body, at, id);
    let delivery = Delivery {
        body: Bytes::from_static(body),
        ..delivery(&[borrow(&made), vec![extra]].concat())
    };
    let verified = auth.global().verify_at(delivery, now());
    verified.unwrap().fingerprint()
}

#[test]
fn what_was_signed_identifies_a_delivery() {
    let none = ("x-other", "");
    let signed = |scheme, id| fingerprint(scheme, id, none).signed;
    let mac = digest(&[&body_mac(SECRET.as_bytes(), BODY)]);
    assert_eq!(signed("github", "1"), Some(Signed::Body(mac)));
    assert_eq!(signed("gitea", "2"), signed("github", "1"));
    let message = digest(&[b"1", &[0], BODY]);
    assert_eq!(signed("svix", "1"), Some(Signed::Id(message)));
    assert_ne!(signed("svix", "1"), signed("svix", "2"));
    assert_eq!(signed("gitlab", "1"), None);
}

#[test]
fn a_retry_of_a_message_has_another_time_and_not_another_body() {
    let earlier = now() - jiff::SignedDuration::from_mins(2);
    for scheme in ["standard-webhooks", "svix"] {
        let signed = |body, at| fingerprint_of(body, at, scheme, "1", ("x-other", "")).signed;
        assert_eq!(signed(BODY, earlier), signed(BODY, now()));
        assert_ne!(signed(b"{}", now()), signed(BODY, now()));
    }
}

#[test]
fn what_was_sent_is_known_only_with_an_id() {
    let sent = |extra| fingerprint("github", "1", extra).sent;
    assert_eq!(sent(("x-other", "1")), None);
    let first = sent(("x-github-delivery", "1"));
    assert!(first.is_some());
    assert_eq!(first, sent(("x-github-delivery", "1")));
    assert_ne!(first, sent(("x-github-delivery", "2")));
    let bearer = |id| fingerprint("bearer", "1", ("x-github-delivery", id)).sent;
    assert_eq!(bearer("1"), bearer("1"));
    assert_ne!(bearer("1"), bearer("2"));
}
