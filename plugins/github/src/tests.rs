use stoker_plugin::testing::{SampleRequest, check_payloads, check_random_requests};
use stoker_plugin::{Malformed, Outcome};

use crate::{DESCRIPTOR, detect};

const PAYLOADS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/payloads");

#[test]
fn each_payload_file_is_answered_as_expected() {
    check_payloads(PAYLOADS, &DESCRIPTOR, detect);
}

#[test]
fn no_delivery_causes_a_panic_or_an_invalid_answer() {
    check_random_requests(
        &[
            "release",
            "push",
            "create",
            "delete",
            "ping",
            "published",
            "released",
            "edited",
            "tag",
            "branch",
        ],
        detect,
    );
}

#[test]
fn what_the_headers_decide_does_not_depend_on_the_body() {
    let answer = |event: &str, body: &str| {
        detect(&SampleRequest::bytes(body).with_header("X-GitHub-Event", event))
    };
    for body in ["", "{", "<push/>", "[]"] {
        assert_eq!(answer("ping", body), Ok(Outcome::ignored(&["ping"])));
        assert_eq!(answer("star", body), Ok(Outcome::ignored(&["event star"])));
        let missing = Malformed::at("/ref", "is missing");
        assert_eq!(answer("push", body), Err(missing));
    }
}
