//! What an object remembers of the deliveries that were accepted for it. It is stored in annotations, with the same
//! write as the request.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stoker_api::detection::{Detection, GitRef};

use crate::delivery::{Fingerprint, Signed};

/// The maximum number of remembered deliveries. The oldest one is forgotten first.
const MAX_DELIVERIES: usize = 32;
/// The maximum number of plugins whose last event is remembered.
const MAX_PLUGINS: usize = 16;
/// How far the time of an event may be in the future. A later time is wrong, and would suppress all further events.
const MAX_AHEAD: Duration = Duration::from_mins(5);

/// The identity of a delivery: the first half of a SHA-256 digest, which is long enough to be unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeliveryId([u8; 16]);

impl DeliveryId {
    /// Returns the identity of a delivery, of which a detection was chosen.
    ///
    /// A signed body identifies the delivery only where it reports an event. A body that only names a ref may be sent
    /// again on purpose, to return to that ref.
    pub(super) fn of(fingerprint: &Fingerprint, detection: &Detection) -> Option<Self> {
        let reports_event = detection.event.is_some()
            || detection.occurred_at.is_some()
            || detection.delivery_id.is_some();
        let digest = match fingerprint.signed {
            Some(Signed::Id(digest)) => digest,
            Some(Signed::Body(digest)) if reports_event => digest,
            Some(Signed::Body(_)) | None => fingerprint.sent?,
        };
        digest.first_chunk().copied().map(Self)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

/// The last event that was accepted from a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastEvent {
    plugin: String,
    /// The ref of the event.
    #[serde(rename = "ref")]
    pub(super) git_ref: String,
    /// The time of the event, by the sender's clock.
    pub(super) at: Timestamp,
}

/// The accepted deliveries that an object remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// The latest one is last.
    deliveries: Vec<DeliveryId>,
    /// One for each plugin. The one that was accepted last is last.
    events: Vec<LastEvent>,
}

impl Memory {
    /// Reads the annotations. An entry that is not valid is skipped, because a person may have edited it.
    pub(super) fn read(deliveries: Option<&str>, events: Option<&str>) -> Self {
        let ids = deliveries.unwrap_or_default().rsplit(',');
        let mut deliveries: Vec<_> = ids
            .take(MAX_DELIVERIES)
            .filter_map(DeliveryId::parse)
            .collect();
        deliveries.reverse();
        let events = events.and_then(|text| serde_json::from_str::<Vec<LastEvent>>(text).ok());
        let mut events = events.unwrap_or_default();
        events.retain(|event| GitRef::parse(&event.git_ref).is_ok());
        events.drain(..events.len().saturating_sub(MAX_PLUGINS));
        Self { deliveries, events }
    }

    /// Returns the annotation of the deliveries, or `None` if there are none.
    pub(super) fn deliveries(&self) -> Option<String> {
        let mut text = String::with_capacity(self.deliveries.len() * 33);
        for DeliveryId(bytes) in &self.deliveries {
            let comma = if text.is_empty() { "" } else { "," };
            write!(text, "{comma}{}", hex::encode(bytes)).ok()?;
        }
        (!text.is_empty()).then_some(text)
    }

    /// Returns the annotation of the events, or `None` if there are none.
    pub(super) fn events(&self) -> Option<String> {
        let text = serde_json::to_string(&self.events).ok()?;
        (!self.events.is_empty()).then_some(text)
    }

    /// Removes the oldest entries beyond the bounds.
    fn shorten(&mut self) {
        let excess = self.deliveries.len().saturating_sub(MAX_DELIVERIES);
        self.deliveries.drain(..excess);
        let excess = self.events.len().saturating_sub(MAX_PLUGINS);
        self.events.drain(..excess);
    }

    /// Returns whether a delivery with this fingerprint may have been accepted. `false` is certain; otherwise, the chosen
    /// detection decides what identifies the delivery.
    pub(super) fn may_have(&self, fingerprint: &Fingerprint) -> bool {
        let signed = fingerprint.signed.map(|signed| match signed {
            Signed::Id(digest) | Signed::Body(digest) => digest,
        });
        let digests = [signed, fingerprint.sent].into_iter().flatten();
        digests
            .filter_map(|digest| digest.first_chunk().copied().map(DeliveryId))
            .any(|id| self.has(id))
    }

    /// Returns whether a delivery was accepted.
    pub(super) fn has(&self, id: DeliveryId) -> bool {
        self.deliveries.contains(&id)
    }

    /// Returns the last event of a plugin. One that is far in the future does not count.
    pub(super) fn last_event(&self, plugin: &str, now: Timestamp) -> Option<&LastEvent> {
        let mut events = self.events.iter();
        events.find(|event| event.plugin == plugin && !is_ahead(event.at, now))
    }

    /// Adds what another memory of the same object has and this one lacks, as the latest.
    pub(super) fn merge(&mut self, other: &Self) {
        for id in &other.deliveries {
            if !self.has(*id) {
                self.deliveries.push(*id);
            }
        }
        for event in &other.events {
            let is_same = |own: &LastEvent| own.plugin == event.plugin;
            if !self
                .events
                .iter()
                .any(|own| is_same(own) && own.at >= event.at)
            {
                self.events.retain(|own| !is_same(own));
                self.events.push(event.clone());
            }
        }
        self.shorten();
    }

    /// Returns the memory with one more accepted delivery.
    pub(super) fn with(
        &self,
        id: Option<DeliveryId>,
        plugin: &str,
        git_ref: &GitRef,
        occurred_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let mut memory = self.clone();
        if let Some(id) = id {
            memory.deliveries.retain(|other| *other != id);
            memory.deliveries.push(id);
        }
        let is_latest = |at: Timestamp| {
            let last = self.last_event(plugin, now);
            !is_ahead(at, now) && last.is_none_or(|last| last.at <= at)
        };
        if let Some(at) = occurred_at.filter(|at| is_latest(*at)) {
            memory.events.retain(|event| event.plugin != plugin);
            memory.events.push(LastEvent {
                plugin: plugin.to_owned(),
                git_ref: git_ref.to_string(),
                at,
            });
        }
        memory.shorten();
        memory
    }
}

fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now).unsigned_abs() > MAX_AHEAD && at > now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    fn detection(event: Option<&str>) -> Detection {
        Detection {
            git_ref: GitRef::parse("v1").unwrap(),
            commit: None,
            repositories: Vec::new(),
            event: event.map(str::to_owned),
            occurred_at: None,
            delivery_id: None,
        }
    }

    fn accepted(memory: &Memory, id: u8, plugin: &str, at: Option<&str>) -> Memory {
        let at = at.map(|text| text.parse().unwrap());
        let git_ref = GitRef::parse(&format!("v{id}")).unwrap();
        memory.with(Some(DeliveryId([id; 16])), plugin, &git_ref, at, now())
    }

    #[test]
    fn what_is_signed_identifies_a_delivery_where_it_is_unique() {
        let (signed, sent) = ([1; 32], [2; 32]);
        let (of_signed, of_sent) = (Some(DeliveryId([1; 16])), Some(DeliveryId([2; 16])));
        let cases = [
            (Some(Signed::Id(signed)), Some(sent), None, of_signed),
            (Some(Signed::Id(signed)), None, None, of_signed),
            (
                Some(Signed::Body(signed)),
                Some(sent),
                Some("push"),
                of_signed,
            ),
            (Some(Signed::Body(signed)), Some(sent), None, of_sent),
            (Some(Signed::Body(signed)), None, None, None),
            (None, Some(sent), Some("push"), of_sent),
            (None, None, Some("push"), None),
        ];
        for (signed, sent, event, expected) in cases {
            let fingerprint = Fingerprint { signed, sent };
            let id = DeliveryId::of(&fingerprint, &detection(event));
            assert_eq!(id, expected, "{fingerprint:?} {event:?}");
            let memory = Memory {
                deliveries: expected.into_iter().collect(),
                events: Vec::new(),
            };
            assert_eq!(memory.may_have(&fingerprint), expected.is_some());
            assert!(!Memory::default().may_have(&fingerprint));
        }
        let timed = Detection {
            occurred_at: Some(now()),
            ..detection(None)
        };
        let with_id = Detection {
            delivery_id: Some("7".to_owned()),
            ..detection(None)
        };
        let fingerprint = Fingerprint {
            signed: Some(Signed::Body([1; 32])),
            sent: None,
        };
        for detection in [timed, with_id] {
            assert_eq!(DeliveryId::of(&fingerprint, &detection), of_signed);
        }
    }

    #[test]
    fn the_memory_is_bounded_and_survives_its_annotations() {
        let mut memory = Memory::default();
        assert_eq!((memory.deliveries(), memory.events()), (None, None));
        for id in 0..40 {
            let plugin = format!("plugin-{id}");
            memory = accepted(&memory, id, &plugin, Some("2026-01-01T11:00:00Z"));
        }
        assert!(!memory.has(DeliveryId([7; 16])) && memory.has(DeliveryId([8; 16])));
        assert!(memory.last_event("plugin-23", now()).is_none());
        assert!(memory.last_event("plugin-24", now()).is_some());
        let (deliveries, events) = (memory.deliveries().unwrap(), memory.events().unwrap());
        assert_eq!(deliveries.len(), 32 * 32 + 31);
        assert_eq!(Memory::read(Some(&deliveries), Some(&events)), memory);
        // More than what fits, and what a person edited.
        let longer = format!("{deliveries},x,{}", "ab".repeat(16));
        let read = Memory::read(Some(&longer), Some("{"));
        assert!(read.has(DeliveryId([0xab; 16])) && read.deliveries.len() == 31);
        assert!(read.events.is_empty());
    }

    #[test]
    fn two_memories_are_merged() {
        let stored = accepted(&Memory::default(), 1, "a", Some("2026-01-01T11:00:00Z"));
        let later = accepted(&stored, 2, "a", Some("2026-01-01T11:30:00Z"));
        let merged = |one: &Memory, other: &Memory| {
            let mut merged = one.clone();
            merged.merge(other);
            merged
        };
        assert_eq!(merged(&stored, &Memory::default()), stored);
        assert_eq!(merged(&stored, &later), later);
        assert_eq!(merged(&later, &stored), later);
        let other = accepted(&stored, 3, "b", Some("2026-01-01T11:10:00Z"));
        let joined = merged(&later, &other);
        assert!([1, 2, 3].iter().all(|id| joined.has(DeliveryId([*id; 16]))));
        let last = |plugin| joined.last_event(plugin, now()).unwrap().git_ref.clone();
        assert_eq!((last("a"), last("b")), ("v2".to_owned(), "v3".to_owned()));
        let many = (10..50).fold(Memory::default(), |memory, id| {
            accepted(&memory, id, "a", None)
        });
        let joined = merged(&many, &later);
        assert!(joined.deliveries.len() == 32 && joined.has(DeliveryId([2; 16])));
    }

    #[test]
    fn the_time_of_a_plugin_does_not_go_back_and_is_not_in_the_future() {
        let last = |memory: &Memory| {
            memory
                .last_event("a", now())
                .map(|last| last.git_ref.clone())
        };
        let memory = accepted(&Memory::default(), 1, "a", Some("2026-01-01T11:00:00Z"));
        assert_eq!(last(&memory).as_deref(), Some("v1"));
        let memory = accepted(&memory, 2, "a", Some("2026-01-01T10:00:00Z"));
        let memory = accepted(&memory, 3, "b", Some("2026-01-01T11:30:00Z"));
        let memory = accepted(&memory, 4, "a", None);
        let memory = accepted(&memory, 5, "a", Some("2026-01-01T12:05:01Z"));
        assert_eq!(last(&memory).as_deref(), Some("v1"));
        let memory = accepted(&memory, 6, "a", Some("2026-01-01T12:05:00Z"));
        assert_eq!(last(&memory).as_deref(), Some("v6"));
        let spoofed = r#"[{"plugin": "a", "ref": "v1\u202e9", "at": "2026-01-01T11:00:00Z"}]"#;
        assert_eq!(last(&Memory::read(None, Some(spoofed))), None);
        let future = r#"[{"plugin": "a", "ref": "v9", "at": "2027-01-01T00:00:00Z"}]"#;
        assert_eq!(last(&Memory::read(None, Some(future))), None);
    }
}
