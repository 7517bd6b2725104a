use stoker_plugin::testing::{check_payloads, check_random_requests};

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
            "aws.codecommit",
            "referenceCreated",
            "referenceDeleted",
            "ReferenceChanges",
            "TriggerEventTest",
            "arn:aws:codecommit:eu-west-1:111122223333:line-7",
            "SubscriptionConfirmation",
        ],
        detect,
    );
}
