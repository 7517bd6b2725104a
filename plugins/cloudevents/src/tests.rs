use stoker_plugin::testing::{check_payloads, survives_anything};

use crate::{DESCRIPTOR, detect};

const PAYLOADS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/payloads");

#[test]
fn says_of_each_payload_what_its_file_expects() {
    check_payloads(PAYLOADS, &DESCRIPTOR, detect);
}

#[test]
fn no_delivery_makes_it_panic_or_say_what_a_host_would_refuse() {
    survives_anything(
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
