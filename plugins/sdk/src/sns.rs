//! Messages in which Amazon SNS asks to confirm a subscription. A host unwraps the notifications, so a plugin sees only
//! what was published.

use crate::{Kind, Outcome, Request};

/// The header with the type of a message (Amazon SNS, "HTTP/HTTPS headers").
pub const HEADER: &str = "x-amz-sns-message-type";
/// The pointer to the address that confirms a subscription. Only the messages that [`confirmation`] answers have it.
pub const SUBSCRIBE_URL: &str = "/SubscribeURL";

/// Returns the answer to a message about a subscription, or `None` for any other delivery.
///
/// The message is ignored, and the reason contains the address to open. Nothing fetches the address, because a sender
/// could otherwise choose an address to which Stoker connects.
pub fn confirmation(request: &impl Request) -> Option<Outcome> {
    let text = |pointer| request.string_at(pointer).unwrap_or_default();
    // The body decides, because a proxy may remove the header.
    let is_about_subscription = request.kind_at(SUBSCRIBE_URL) == Some(Kind::Text);
    let kind = request.string_at("/Type").filter(|_| is_about_subscription);
    let kind = kind.or_else(|| request.header(HEADER))?;
    match kind.as_str() {
        "SubscriptionConfirmation" => Some(Outcome::ignored(&[
            "Amazon SNS asks to confirm the subscription to ",
            &text("/TopicArn"),
            ": open ",
            &text(SUBSCRIBE_URL),
        ])),
        "UnsubscribeConfirmation" => Some(Outcome::ignored(&[
            "Amazon SNS reports the end of the subscription to ",
            &text("/TopicArn"),
        ])),
        _ => None,
    }
}
