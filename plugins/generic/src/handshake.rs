//! Messages in which a sender asks the receiver to confirm a subscription. They are ignored, and the reason contains
//! the address to open. The plugin fetches nothing, because a sender could otherwise choose an address to which Stoker
//! connects.

use stoker_plugin::{Outcome, Request, sns};

/// The headers that identify such messages.
pub(crate) const HEADERS: [&str; 2] = [sns::HEADER, EVENT_GRID];

/// Azure Event Grid, "Endpoint validation with Event Grid event schema".
const EVENT_GRID: &str = "aeg-event-type";

/// Returns the answer to such a message, or `None` for any other delivery.
pub(crate) fn answer(request: &impl Request) -> Option<Outcome> {
    if let Some(outcome) = sns::confirmation(request) {
        return Some(outcome);
    }
    match request.header(EVENT_GRID).as_deref() {
        Some("SubscriptionValidation") => Some(Outcome::ignored(&[
            "Azure Event Grid asks to validate the subscription: open ",
            &request
                .string_at("/0/data/validationUrl")
                .unwrap_or_default(),
        ])),
        Some("SubscriptionDeletion" | "Unsubscribe") => Some(Outcome::ignored(&[
            "Azure Event Grid reports the end of the subscription",
        ])),
        _ => None,
    }
}
