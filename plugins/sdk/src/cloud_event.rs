//! The identity of a CloudEvent.

use alloc::string::String;

use crate::text;

/// Returns what identifies an event. Its id is unique among the events of its source only (CloudEvents 1.0, "id"). The
/// source is a URI reference, which has no space.
#[must_use]
pub fn id(source: Option<String>, id: Option<String>) -> Option<String> {
    let id = id.filter(|id| !id.is_empty())?;
    Some(match source.filter(|source| !source.is_empty()) {
        Some(source) => text::concat(&[&source, " ", &id]),
        None => id,
    })
}

#[cfg(test)]
mod tests {
    use super::id;

    #[test]
    fn events_of_two_sources_differ() {
        for (source, number, expected) in [
            (Some("/a"), Some("1"), Some("/a 1")),
            (Some("/b"), Some("1"), Some("/b 1")),
            (Some(""), Some("1"), Some("1")),
            (None, Some("1"), Some("1")),
            (Some("/a"), Some(""), None),
            (Some("/a"), None, None),
        ] {
            let found = id(source.map(Into::into), number.map(Into::into));
            assert_eq!(found.as_deref(), expected);
        }
    }
}
