use stoker_plugin::testing::{SampleRequest, check_payloads_with, check_random_requests};

use crate::{detect, pre_filter};

const PAYLOADS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/payloads");

#[test]
fn each_payload_file_is_answered_as_expected() {
    check_payloads_with(PAYLOADS, pre_filter, detect);
}

#[test]
fn no_delivery_causes_a_panic_or_an_invalid_answer() {
    check_random_requests(
        &[
            "push",
            "tag_push",
            "build",
            "/ref",
            "/status = push",
            "X-Event: push",
            "SubscriptionConfirmation",
            "SubscriptionValidation",
        ],
        detect,
    );
}

#[test]
fn the_pre_filter_is_the_narrowest_that_the_settings_allow() {
    let filter = |settings: &[(&str, &str)]| {
        let bare = SampleRequest::default();
        let request = settings.iter().fold(bare, |request, (key, value)| {
            request.with_setting(*key, *value)
        });
        let filter = pre_filter(&request);
        (filter.headers.join(" "), filter.pointers.join(" "))
    };
    let handshakes = |before: &str| format!("{before}x-amz-sns-message-type aeg-event-type");
    let expected = |headers: &str, pointers: &str| (headers.to_owned(), pointers.to_owned());
    assert_eq!(filter(&[]), expected(&handshakes(""), "/ref /SubscribeURL"));
    assert_eq!(
        filter(&[("ref", "/build/tag")]),
        expected(&handshakes(""), "/build/tag /SubscribeURL")
    );
    let values = ("when", "/build/status = success\n\n/final\nno pointer = x");
    assert_eq!(
        filter(&[values, ("ref", "/build/tag")]),
        expected(
            &handshakes(""),
            "/build/tag /build/status /final /SubscribeURL"
        )
    );
    let (many, long) = ("/a\n".repeat(40), format!("/{}", "a".repeat(256)));
    let (_, pointers) = filter(&[("when", &many)]);
    assert_eq!(pointers.split(' ').count(), 32);
    assert_eq!(filter(&[("when", &long)]), filter(&[]));
    assert_eq!(filter(&[("ref", "build"), values]), expected("", ""));
    let headers = ("when-header", "X-Build-Event: finished\n\nX-Site\nno name");
    assert_eq!(
        filter(&[headers, values, ("ref", "/build/tag")]),
        expected(&handshakes("X-Build-Event X-Site "), "/SubscribeURL")
    );
}
