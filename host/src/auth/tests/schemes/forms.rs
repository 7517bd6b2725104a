//! Signatures of the JSON in a form.

use url::form_urlencoded::byte_serialize;

use super::*;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const SENDERS: [&str; 3] = ["forgejo", "gitea", "gogs"];

fn form() -> String {
    byte_serialize(BODY).collect()
}

/// Verifies a form with the signatures that senders of these schemes make of a text.
fn send(
    schemes: &[&str],
    secret: &str,
    signed: &[u8],
    body: &str,
    extra: (&'static str, &str),
) -> Option<Verified<Delivery>> {
    let made = schemes.iter().map(|name| proof(name, secret, signed));
    let made: Vec<_> = made.flatten().collect();
    let sent = Delivery {
        body: Bytes::copy_from_slice(body.as_bytes()),
        ..delivery(&[borrow(&made), vec![extra]].concat())
    };
    let auth = authenticator(Some(SECRET), None);
    auth.global().verify_at(sent, now()).ok()
}

#[test]
fn the_json_that_was_signed_takes_the_place_of_the_form() {
    let json = ("content-type", "application/json");
    let text = std::str::from_utf8(BODY).unwrap();
    for sender in SENDERS {
        let plain = send(&[sender], SECRET, BODY, text, json).unwrap();
        for schemes in [&[sender][..], &["github", sender], &[sender, "bitbucket"]] {
            for fields in [
                format!("payload={}", form()),
                format!("a=1&payload={}&b=2", form()),
            ] {
                let verified = send(schemes, SECRET, BODY, &fields, FORM).unwrap();
                assert_eq!(verified.body, BODY, "{schemes:?}");
                assert_eq!(verified.media_type().as_deref(), Some(json.1));
                assert_eq!(verified.fingerprint(), plain.fingerprint());
                assert_eq!(verified.scheme(), schemes[0]);
            }
        }
    }
}

#[test]
fn a_form_that_was_signed_as_a_whole_stays_as_it_is() {
    let form = format!("payload={}", form());
    for scheme in ["github", "forgejo", "gitea", "gogs", "bitbucket"] {
        let verified = send(&[scheme], SECRET, form.as_bytes(), &form, FORM).unwrap();
        assert_eq!(verified.body, form, "{scheme}");
    }
}

#[test]
fn a_signature_of_other_bytes_is_refused() {
    let field = format!("payload={}", form());
    for (schemes, secret, body, extra) in [
        // Other senders sign the form.
        (&["github"][..], SECRET, field.clone(), FORM),
        (&["bitbucket"], SECRET, field.clone(), FORM),
        (&["github", "bitbucket"], SECRET, field.clone(), FORM),
        (&["gitea"], "another", field.clone(), FORM),
        (&["gitea"], SECRET, format!("{field}+"), FORM),
        (&["gitea"], SECRET, format!("{field}&payload=1"), FORM),
        (&["gitea"], SECRET, format!("{field}%"), FORM),
        (&["gitea"], SECRET, format!("other={}", form()), FORM),
        (&["gitea"], SECRET, String::new(), FORM),
        (&["gitea"], SECRET, field, ("content-type", "text/plain")),
    ] {
        let verified = send(schemes, secret, BODY, &body, extra);
        assert!(verified.is_none(), "{schemes:?} {body}");
    }
}

#[test]
fn an_empty_signature_of_gitea_does_not_permit_another_one_of_the_json() {
    let made = proof("github", SECRET, BODY);
    let headers = [borrow(&made), vec![("x-gitea-signature", ""), FORM]].concat();
    let sent = Delivery {
        body: format!("payload={}", form()).into(),
        ..delivery(&headers)
    };
    let auth = authenticator(Some(SECRET), None);
    assert!(auth.global().verify_at(sent, now()).is_err());
}
