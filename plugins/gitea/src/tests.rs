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
