use stoker_plugin::Outcome;
use stoker_plugin::testing::{SampleRequest, check_payloads, check_random_requests};

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
            "updated",
            "published",
            "deleted",
            "tag",
            "tags",
            "heads",
            "branch",
        ],
        detect,
    );
}

#[test]
fn what_the_headers_decide_does_not_depend_on_the_body() {
    for name in ["X-Forgejo-Event", "X-Gitea-Event", "X-Gogs-Event"] {
        let request = SampleRequest::bytes("{").with_header(name, "issues");
        assert_eq!(detect(&request), Ok(Outcome::ignored(&["event issues"])));
    }
}
