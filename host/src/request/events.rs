//! The events about webhooks. The controller reads only the annotations.

use stoker_api::names::reason;

use super::{RequestError, Submitted, Target, Unannounced};
use crate::cluster::events::{Event, EventType, Subject};

/// The reporting component of the events, with the name that the Go operator uses.
pub const COMPONENT: &str = "webhook-receiver";

/// Returns what the events about an object are about.
pub(super) fn subject(target: &Target) -> Subject {
    Subject {
        key: target.key.clone(),
        uid: target.snapshot.uid.clone(),
    }
}

/// Returns the event about the outcome of an announcement. An outcome that is not about the object has none, and neither
/// has a ref that was requested before.
pub(super) fn submitted(plugin: &str, outcome: &Result<Submitted, RequestError>) -> Option<Event> {
    match outcome {
        Ok(Submitted::Written(git_ref)) => {
            let note = format!("Webhook from {plugin}, ref \"{git_ref}\"");
            Some(event(EventType::Normal, reason::WEBHOOK_RECEIVED, note))
        }
        Ok(Submitted::Ignored(why)) => Some(Event {
            group: Some(why.reason().code()),
            ..event(
                EventType::Normal,
                reason::WEBHOOK_IGNORED,
                format!("Webhook from {plugin} ignored: {why}"),
            )
        }),
        Err(error @ RequestError::Invalid { why, .. }) => Some(Event {
            group: Some(error.reason().code()),
            ..event(
                EventType::Warning,
                reason::WEBHOOK_REFUSED,
                format!("Webhook from {plugin} refused: {why}"),
            )
        }),
        Ok(Submitted::AlreadySet(_) | Submitted::Duplicate(_))
        | Err(
            RequestError::NotFound(_) | RequestError::Unavailable(_) | RequestError::Refused(_),
        ) => None,
    }
}

/// Returns the event about a delivery that announces nothing.
pub(super) fn unannounced(unannounced: Unannounced, why: &str) -> Event {
    let (type_, reason, end) = match unannounced {
        Unannounced::Ignored => (EventType::Normal, reason::WEBHOOK_IGNORED, "ignored"),
        Unannounced::Refused | Unannounced::WrongSource | Unannounced::Misconfigured => {
            (EventType::Warning, reason::WEBHOOK_REFUSED, "refused")
        }
    };
    let group = match unannounced {
        Unannounced::Ignored | Unannounced::Refused => Some("unannounced"),
        // Anybody can send from many addresses.
        Unannounced::WrongSource => Some("source"),
        // Senders cannot change the reason.
        Unannounced::Misconfigured => None,
    };
    Event {
        group,
        ..event(type_, reason, format!("Webhook {end}: {why}"))
    }
}

fn event(type_: EventType, reason: &str, note: String) -> Event {
    Event::new(type_, reason, "RequestRef", note)
}

#[cfg(test)]
mod tests {
    use stoker_api::detection::{GitRef, ObjectKey};

    use super::*;
    use crate::request::Ignored;

    #[test]
    fn outcomes_about_the_object_are_events() {
        let requested = Ok(Submitted::Written(GitRef::parse("v1").unwrap()));
        let event = submitted("github", &requested).unwrap();
        assert_eq!(event.note, "Webhook from github, ref \"v1\"");
        assert_eq!((event.type_, event.detail), (EventType::Normal, event.note));
        for again in [Submitted::AlreadySet, Submitted::Duplicate] {
            let again = Ok(again(GitRef::parse("v1").unwrap()));
            assert_eq!(submitted("github", &again), None, "the request is not new");
        }
        let ignored = |count| Ok(Submitted::Ignored(Ignored::NotFollowed { count }));
        let [one, other] = [1, 2].map(|count| submitted("github", &ignored(count)).unwrap());
        assert_ne!(one.detail, other.detail, "each has its text");
        assert_eq!((one.group, other.group), (Some("not-followed"), one.group));
        let invalid = Err(RequestError::Invalid {
            key: ObjectKey::new("plants", "north").unwrap(),
            why: "spec.webhook.refs: no".to_owned(),
        });
        assert_eq!(
            submitted("github", &invalid).unwrap().type_,
            EventType::Warning
        );
        assert_eq!(
            submitted("github", &Err(RequestError::Unavailable(None))),
            None
        );
        assert_eq!(
            unannounced(Unannounced::Ignored, "why").type_,
            EventType::Normal
        );
        let refused = |kind, why| unannounced(kind, why);
        assert_eq!(
            refused(Unannounced::Refused, "why").type_,
            EventType::Warning
        );
        // One address, or another body, does not hide a fault of the object.
        let source = refused(Unannounced::WrongSource, "192.0.2.1");
        let secret = refused(Unannounced::Misconfigured, "the secret is empty");
        let body = refused(Unannounced::Refused, "no JSON");
        assert_ne!(source.group, body.group);
        assert_eq!(secret.group, None);
        let other = refused(Unannounced::WrongSource, "192.0.2.2");
        assert_ne!(source.detail, other.detail, "each has its text");
        assert_eq!(source.group, other.group, "their number is bounded");
    }
}
