//! Messages in which a sender asks the receiver to confirm a subscription. They are ignored, and the reason contains
//! the address to open. The plugin fetches nothing, because a sender could otherwise choose an address to which Stoker
//! connects.

use stoker_plugin::{Outcome, Request};

/// The headers that identify such messages.
pub(crate) const HEADERS: [&str; 2] = [SNS, EVENT_GRID];

/// Amazon SNS, "HTTP/HTTPS headers".
const SNS: &str = "x-amz-sns-message-type";
/// Azure Event Grid, "Endpoint validation with Event Grid event schema".
const EVENT_GRID: &str = "aeg-event-type";

/// Returns the answer to such a message, or `None` for any other delivery.
pub(crate) fn answer(request: &impl Request) -> Option<Outcome> {
    let text = |pointer| request.string_at(pointer).unwrap_or_default();
    match request.header(SNS).as_deref() {
        Some("SubscriptionConfirmation") => {
            return Some(Outcome::ignored(&[
                "Amazon SNS asks to confirm the subscription to ",
                &text("/TopicArn"),
                ": open ",
                &text("/SubscribeURL"),
            ]));
        }
        Some("UnsubscribeConfirmation") => {
            return Some(Outcome::ignored(&[
                "Amazon SNS reports the end of the subscription to ",
                &text("/TopicArn"),
            ]));
        }
        _ => {}
    }
    match request.header(EVENT_GRID).as_deref() {
        Some("SubscriptionValidation") => Some(Outcome::ignored(&[
            "Azure Event Grid asks to validate the subscription: open ",
            &text("/0/data/validationUrl"),
        ])),
        Some("SubscriptionDeletion" | "Unsubscribe") => Some(Outcome::ignored(&[
            "Azure Event Grid reports the end of the subscription",
        ])),
        _ => None,
    }
}
