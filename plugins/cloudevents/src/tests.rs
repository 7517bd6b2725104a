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
            "1.0",
            "0.3",
            "base64",
            "application/json",
            "application/avro",
            "eyJyZWYiOiAidjEuMC4wIn0=",
            "{\"ref\": \"v1\", \"subject\": {\"id\": \"main\"}}",
            "dev.cdevents.branch.created.0.2.0",
            "dev.cdevents.change.merged.0.2.0",
            "dev.cdevents.artifact.published.0.2.0",
            "dev.cdevents.service.deployed.0.2.0",
            "com.example.release",
            "pkg:generic/line-7@v2%2F4",
            "dev.cdevents.*",
            "/ref",
        ],
        detect,
    );
}

#[test]
fn an_event_in_binary_mode_may_have_a_body_that_is_not_json() {
    let event = |media_type: &str| {
        SampleRequest::bytes("{")
            .with_header("ce-specversion", "1.0")
            .with_header("ce-type", "com.example.release")
            .with_header("Content-Type", media_type)
    };
    let not_json = "the data is application/avro, and not JSON";
    assert_eq!(
        detect(&event("application/json")),
        Err(Malformed("the body is not JSON".into()))
    );
    assert_eq!(
        detect(&event("application/avro")),
        Ok(Outcome::ignored(&["event com.example.release: ", not_json]))
    );
    let wanted = event("application/avro").with_setting("type", "com.example.*");
    assert_eq!(detect(&wanted), Err(Malformed(not_json.into())));
    let unwanted = event("application/json").with_setting("type", "com.example.build");
    assert_eq!(
        detect(&unwanted),
        Ok(Outcome::ignored(&["event com.example.release"]))
    );
}
