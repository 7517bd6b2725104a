//! The answers of a plugin, in types that are the same with a host and without one.

use alloc::string::String;
use alloc::vec::Vec;

use crate::text;

/// The description of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// The name: 1 to 63 lower-case letters, digits and hyphens. A drop-in plugin replaces the built-in plugin of the
    /// same name.
    pub name: &'static str,
    /// The version of the plugin, for people.
    pub version: &'static str,
    /// The purpose of the plugin, in one line for people.
    pub summary: &'static str,
    /// The header names of the pre-filter. The plugin is asked if one of these headers is present, or if there is a
    /// value at one of the `pointers`.
    pub headers: &'static [&'static str],
    /// The JSON pointers of the pre-filter. A plugin without headers and pointers is asked about every delivery.
    pub pointers: &'static [&'static str],
}

/// The pre-filter of a plugin, if it depends on the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PreFilter {
    /// See [`Descriptor::headers`].
    pub headers: Vec<String>,
    /// See [`Descriptor::pointers`].
    pub pointers: Vec<String>,
}

impl From<&Descriptor> for PreFilter {
    fn from(descriptor: &Descriptor) -> Self {
        let list = |texts: &[&str]| {
            let mut list = Vec::with_capacity(texts.len());
            for &text in texts {
                list.push(String::from(text));
            }
            list
        };
        Self {
            headers: list(descriptor.headers),
            pointers: list(descriptor.pointers),
        }
    }
}

/// One ref that a delivery announces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detection {
    /// The ref as the sender writes it.
    pub git_ref: String,
    /// The commit that the ref points to, as the sender reports it.
    pub commit: Option<String>,
    /// Names or URLs of the repository.
    pub repositories: Vec<String>,
    /// The time of the event.
    pub occurred_at: Option<String>,
    /// The sender's id of this delivery.
    pub delivery_id: Option<String>,
    /// Names and values. A host ignores unknown names. [`Detection::event`] and [`Detection::tag`] add the names that are
    /// defined.
    pub attributes: Vec<(String, String)>,
}

/// The name of the attribute with the event.
const EVENT: &str = "event";
/// The name of the attribute with the kind of a bare ref.
const REF_KIND: &str = "ref-kind";

impl Detection {
    /// Returns a ref without further properties.
    pub fn new(git_ref: impl Into<String>) -> Self {
        Self {
            git_ref: git_ref.into(),
            ..Self::default()
        }
    }

    /// Sets the commit if the text is a full id. A host leaves out any other text.
    #[must_use]
    pub fn commit(mut self, id: Option<String>) -> Self {
        self.commit = id.filter(|id| text::is_commit_id(id));
        self
    }

    /// Adds names of the repository. Empty ones and duplicates are left out.
    #[must_use]
    pub fn repositories(mut self, names: impl IntoIterator<Item = String>) -> Self {
        for name in names {
            if !name.is_empty() && !self.repositories.contains(&name) {
                self.repositories.push(name);
            }
        }
        self
    }

    /// Sets the time if the text is RFC 3339. A host leaves out any other text.
    #[must_use]
    pub fn occurred_at(mut self, time: Option<String>) -> Self {
        self.occurred_at = time.filter(|time| text::is_timestamp(time));
        self
    }

    /// Sets the sender's id of the delivery, unless it is empty.
    #[must_use]
    pub fn delivery_id(mut self, id: Option<String>) -> Self {
        self.delivery_id = id.filter(|id| !id.is_empty());
        self
    }

    /// Sets what happened, in the sender's words, with the action after a dot: `push`, `release.published`. An empty
    /// text is left out. A host cuts it after 255 bytes.
    ///
    /// A detection without an event does not report that something happened, but states which ref should run. Such a
    /// delivery may be repeated on purpose.
    #[must_use]
    pub fn event(mut self, event: impl Into<String>) -> Self {
        let event = event.into();
        self.attributes.retain(|(name, _)| name != EVENT);
        if !event.is_empty() {
            self.attributes.insert(0, (EVENT.into(), event));
        }
        self
    }

    /// Sets that a ref without the `refs/` prefix is the name of a tag, as that of a release. Otherwise it may be a branch
    /// too.
    #[must_use]
    pub fn tag(mut self) -> Self {
        self.attributes.retain(|(name, _)| name != REF_KIND);
        self.attributes.push((REF_KIND.into(), "tag".into()));
        self
    }
}

/// The answer of a plugin about a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The delivery is of another format. The host asks the next plugin.
    NotMine,
    /// The delivery is of this plugin's format and needs no action, for this reason. The host asks no other plugin.
    Ignored(String),
    /// The refs that the delivery announces. There is at least one.
    Found(Vec<Detection>),
}

impl Outcome {
    /// Returns `Ignored`. The reason is the concatenation of the parts, because formatting would double the size of a
    /// small plugin.
    #[must_use]
    pub fn ignored(reason: &[&str]) -> Self {
        Self::Ignored(text::concat(reason))
    }

    /// Returns `Ignored`, because the ref of this name was deleted.
    #[must_use]
    pub fn deleted(git_ref: &str) -> Self {
        Self::ignored(&[git_ref, " was deleted"])
    }
}

impl From<Detection> for Outcome {
    fn from(only: Detection) -> Self {
        Self::Found(Vec::from([only]))
    }
}

/// An error about a malformed delivery of the plugin's format, with a text for the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub String);

impl Malformed {
    /// Returns an error at a place in the body: `Malformed::at("/ref", "is empty")`.
    #[must_use]
    pub fn at(pointer: &str, what: &str) -> Self {
        Self(text::concat(&[pointer, " ", what]))
    }

    /// Returns an error about an invalid setting, which prevents an answer to any delivery: `Malformed::setting("ref",
    /// "is not a pointer")`.
    #[must_use]
    pub fn setting(key: &str, what: &str) -> Self {
        Self(text::concat(&["the setting ", key, " ", what]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detection_keeps_only_what_the_host_accepts() {
        let none = Detection::new("v1")
            .commit(Some("abc1234".into()))
            .repositories([String::new()])
            .occurred_at(Some("yesterday".into()))
            .delivery_id(Some(String::new()));
        assert_eq!(none, Detection::new("v1"));
        let names = ["o/r", "", "https://h/o/r", "o/r"].map(String::from);
        let all = Detection::new("v1")
            .commit(Some("ab".repeat(20)))
            .repositories(names)
            .occurred_at(Some("2026-01-02T03:04:05Z".into()))
            .delivery_id(Some("7".into()));
        assert_eq!(all.commit, Some("ab".repeat(20)));
        assert_eq!(all.repositories, ["o/r", "https://h/o/r"]);
        assert!(all.occurred_at.is_some() && all.delivery_id.is_some());
    }

    #[test]
    fn an_event_is_an_attribute_that_occurs_once() {
        let event = Detection::new("v1").event("create").event("push");
        assert_eq!(event.attributes, [("event".into(), "push".into())]);
        assert_eq!(event.event(""), Detection::new("v1"));
    }

    #[test]
    fn a_tag_is_an_attribute_after_the_event() {
        let tag = Detection::new("v1").tag().event("release").tag();
        let attributes = [("event", "release"), ("ref-kind", "tag")];
        assert_eq!(
            tag.attributes,
            attributes.map(|(name, value)| (name.into(), value.into()))
        );
    }

    #[test]
    fn texts_are_concatenated_from_parts() {
        assert_eq!(
            Outcome::ignored(&["event ", "ping"]),
            Outcome::Ignored("event ping".into())
        );
        assert_eq!(Malformed::at("/ref", "is empty").0, "/ref is empty");
        assert_eq!(
            Malformed::setting("ref", "is empty").0,
            "the setting ref is empty"
        );
    }
}
