//! The messages of conditions and reports in which a program looks for something: how they are written, and how they are
//! read. A user reads them too, so their texts stay as they are.

/// Returns the message about a Secret that does not exist. `label` is its purpose.
#[must_use]
pub fn missing_secret(label: &str, name: &str, why: &str) -> String {
    format!("{label} secret {name:?} not found: {why}")
}

/// What follows the name of a Secret that may not be read.
const UNREADABLE: &str = " may not be read: ";

/// Returns the message about a Secret that Stoker may not read. `label` is its purpose.
#[must_use]
pub fn unreadable_secret(label: &str, name: &str, why: &str) -> String {
    format!("{label} secret {name:?}{UNREADABLE}{why}")
}

/// Returns whether a message is about a Secret that Stoker may not read. It is about a Secret of the object, too.
#[must_use]
pub fn is_about_unreadable_secret(message: &str) -> bool {
    is_about_secret(message) && message.contains(&format!("\"{UNREADABLE}"))
}

/// Returns whether a message is about a Secret of the object.
#[must_use]
pub fn is_about_secret(message: &str) -> bool {
    message.contains("secret \"")
}

/// The beginning of the messages about a commit that could not be published.
const NOT_PUBLISHED: &str = "Metadata not published";

/// Returns the message about a commit that could not be published.
#[must_use]
pub fn not_published(why: &str) -> String {
    format!("{NOT_PUBLISHED}: {why}")
}

/// Returns whether a message is about a commit that could not be published.
#[must_use]
pub fn is_not_published(message: &str) -> bool {
    message.starts_with(NOT_PUBLISHED)
}

/// The end of the messages about an object that has the name of one of Stoker's.
const NAME_TAKEN: &str = "; delete it, or create the GatewaySync under another name";

/// Returns why an object is not written: one that is not Stoker's has its name. `whose` is its owner, as the end of a
/// sentence.
#[must_use]
pub fn name_taken(kind: &str, name: &str, whose: &str) -> String {
    format!("the {kind} {name} exists, and it {whose}{NAME_TAKEN}")
}

/// Returns the kind of the object that has the name of one of Stoker's, if a message of [`not_published`] is about one.
#[must_use]
pub fn taken_kind(message: &str) -> Option<&str> {
    let why = message.strip_prefix(NOT_PUBLISHED)?;
    let kind = why
        .strip_suffix(NAME_TAKEN)?
        .strip_prefix(": the ")?
        .split(' ')
        .next();
    kind.filter(|kind| !kind.is_empty())
}

/// Returns the message about how many of the gateways are synced. `missing` have no agent.
#[must_use]
pub fn gateways_synced(synced: usize, count: usize, missing: usize) -> String {
    let note = match missing {
        0 => String::new(),
        missing => format!(" ({missing} missing sidecar)"),
    };
    format!("{synced}/{count} synced{note}")
}

/// Returns how many gateways are synced, and how many there are, by a message of [`gateways_synced`].
#[must_use]
pub fn gateway_counts(message: &str) -> Option<(usize, usize)> {
    let (synced, rest) = message.split_once('/')?;
    let count = rest.split(' ').next()?;
    Some((synced.parse().ok()?, count.parse().ok()?))
}

/// Returns a gateway as a message lists it: with the reason why it is listed.
#[must_use]
pub fn gateway_and_why(name: &str, why: &str) -> String {
    format!("{name} ({why})")
}

/// Returns whether a message lists a gateway, as [`gateway_and_why`] returns it, after its first word.
#[must_use]
pub fn names_gateway(message: &str, name: &str) -> bool {
    message.contains(&format!(" {name} ("))
}

/// The beginning of the message about a report that cannot be read.
const UNREADABLE_REPORT: &str = "the report is unreadable: ";

/// Returns the message about a gateway whose report cannot be read.
#[must_use]
pub fn unreadable_report(why: &str) -> String {
    format!("{UNREADABLE_REPORT}{why}")
}

/// Returns whether a message is one of [`unreadable_report`].
#[must_use]
pub fn is_unreadable_report(message: &str) -> bool {
    message.starts_with(UNREADABLE_REPORT)
}

/// The beginning of the message about a profile that does not exist.
const NO_PROFILE: &str = "there is no profile ";

/// Returns the message about a profile that does not exist. An agent reports it, after what it is about.
#[must_use]
pub fn missing_profile(name: &str) -> String {
    format!("{NO_PROFILE}{name:?}")
}

/// Returns whether a message is about a profile that does not exist.
#[must_use]
pub fn is_about_missing_profile(message: &str) -> bool {
    message.contains(NO_PROFILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_recognised() {
        assert!(is_about_secret(&missing_secret("token", "t", "gone")));
        let unreadable = unreadable_secret("token", "t", "forbidden");
        assert_eq!(unreadable, "token secret \"t\" may not be read: forbidden");
        assert!(is_about_secret(&unreadable) && is_about_unreadable_secret(&unreadable));
        let missing = missing_secret("token", "t", "gone");
        assert!(!is_about_unreadable_secret(&missing));
        assert!(is_not_published(&not_published("not now")));
        assert!(!is_about_secret(&not_published("not now")));
        assert!(!is_not_published(&missing_secret("token", "t", "gone")));
        for other in ["All gateways synced", "Ref not resolved"] {
            assert!(!is_about_secret(other) && !is_not_published(other));
        }
    }

    #[test]
    fn a_listed_gateway_is_found_by_its_whole_name() {
        let listed = [("north", "gone"), ("plant-1", "it waits (7 times)")];
        let listed = listed.map(|(name, why)| gateway_and_why(name, why));
        let message = format!("2 agent(s) are not ready: {}", listed.join(", "));
        for (name, expected) in [
            ("north", true),
            ("plant-1", true),
            ("plant", false),
            ("1", false),
        ] {
            assert_eq!(names_gateway(&message, name), expected, "{name}");
        }
    }

    #[test]
    fn a_missing_profile_is_recognised_in_a_longer_message() {
        let message = format!("gateway north: profile: {}", missing_profile("blue"));
        assert!(
            message.ends_with("there is no profile \"blue\""),
            "{message}"
        );
        assert!(is_about_missing_profile(&message));
        assert!(!is_about_missing_profile("gateway north: it is gone"));
    }

    #[test]
    fn only_a_taken_name_has_a_kind() {
        for kind in ["ConfigMap", "Secret"] {
            let taken = not_published(&name_taken(kind, "m", "was not created by Stoker"));
            assert_eq!(taken_kind(&taken), Some(kind), "{taken}");
        }
        for other in [
            "failed to patch the ConfigMap",
            "the ConfigMap m is immutable",
        ] {
            assert_eq!(taken_kind(&not_published(other)), None, "{other}");
        }
    }

    #[test]
    fn the_numbers_of_gateways_are_read_from_their_message() {
        for (synced, count, missing) in [(0, 0, 0), (2, 3, 0), (1, 300, 12)] {
            let message = gateways_synced(synced, count, missing);
            assert_eq!(gateway_counts(&message), Some((synced, count)), "{message}");
        }
        for other in ["All gateways synced", "1/", "/2 synced", "a/b"] {
            assert_eq!(gateway_counts(other), None, "{other}");
        }
        assert_eq!(gateways_synced(2, 3, 1), "2/3 synced (1 missing sidecar)");
    }
}
