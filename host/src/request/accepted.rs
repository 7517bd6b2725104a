//! The deliveries that were accepted for an object, as far as the object remembers them. They are stored in the
//! annotations `stoker.io/accepted-*`, with the same write as the request, or by themselves for a delivery that needs no
//! request.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use stoker_api::detection::{Detection, GitRef};

use super::Announcement;
use crate::delivery::{Digest, Fingerprint, Signed};

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
    /// again on purpose, to return to that ref. Without a signature, the id that the plugin reports identifies the
    /// delivery, or else the one in the headers, which may be that of a proxy.
    pub(super) fn of(announcement: &Announcement, detection: &Detection) -> Option<Self> {
        let reports_event = detection.event.is_some()
            || detection.occurred_at.is_some()
            || detection.delivery_id.is_some();
        let Fingerprint { signed, sent } = announcement.fingerprint;
        let digest = match (signed, sent) {
            (Some(Signed::Body(digest)), _) if reports_event => digest,
            (Some(Signed::Id(digest)), _) => digest,
            (Some(Signed::Body(_)), sent) => sent?,
            (None, sent) => reported(&announcement.plugin, detection).or(sent)?,
        };
        Self::first_half(digest)
    }

    fn first_half(digest: Digest) -> Option<Self> {
        digest.first_chunk().copied().map(Self)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

/// Returns the digest of the id that a plugin reports, of its name and of the ref. None of them contains a zero byte.
fn reported(plugin: &str, detection: &Detection) -> Option<Digest> {
    let mut hash = Sha256::new();
    for part in [plugin, detection.git_ref.as_str()] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(detection.delivery_id.as_ref()?);
    Some(hash.finalize().into())
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
    /// Whether a signed body has reported an event of this plugin.
    #[serde(rename = "signed", default, skip_serializing_if = "std::ops::Not::not")]
    is_signed: bool,
}

/// The accepted deliveries that an object remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AcceptedDeliveries {
    /// The latest one is last.
    deliveries: Vec<DeliveryId>,
    /// One for each plugin. The one that was accepted last is last.
    events: Vec<LastEvent>,
}

impl AcceptedDeliveries {
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

    /// Returns whether a delivery may have been accepted. `false` is certain; otherwise, the chosen detection decides what
    /// identifies the delivery.
    pub(super) fn may_have(&self, announcement: &Announcement) -> bool {
        let fingerprint = &announcement.fingerprint;
        let id = fingerprint.sent.and_then(DeliveryId::first_half);
        self.has_signed(fingerprint)
            || id.is_some_and(|id| self.has(id))
            || !self.deliveries.is_empty()
                && fingerprint.signed.is_none()
                && announcement
                    .detections
                    .iter()
                    .any(|detection| detection.delivery_id.is_some())
    }

    /// Returns whether what was signed in a delivery was accepted before as the report of an event, whatever the plugin
    /// says about it now. The headers are not signed, so whoever repeats a delivery can choose the plugin by them, and
    /// what they add to the body.
    pub(super) fn has_signed(&self, fingerprint: &Fingerprint) -> bool {
        let digest = fingerprint.signed.map(|signed| match signed {
            Signed::Id(digest) | Signed::Body(digest) => digest,
        });
        digest
            .and_then(DeliveryId::first_half)
            .is_some_and(|id| self.has(id))
    }

    /// Returns whether a delivery was accepted.
    pub(super) fn has(&self, id: DeliveryId) -> bool {
        self.deliveries.contains(&id)
    }

    /// Returns the last event of a plugin. One that is far in the future does not count.
    fn last_event(&self, plugin: &str, now: Timestamp) -> Option<&LastEvent> {
        let mut events = self.events.iter();
        events.find(|event| event.plugin == plugin && !is_ahead(event.at, now))
    }

    /// Returns the event that the events of a delivery must not precede: the last one of its plugin. For a signed body,
    /// it is the last one of all plugins that reported events of signed bodies, because the headers, which decide the
    /// plugin, are not signed. One that is far in the future does not count. An event of another plugin does not count
    /// either if its time is in the future: it may be that of a header, and must not suppress what happens now.
    pub(super) fn last_event_for(
        &self,
        announcement: &Announcement,
        now: Timestamp,
    ) -> Option<&LastEvent> {
        let is_signed = is_body_signed(&announcement.fingerprint);
        self.events
            .iter()
            .filter(|event| {
                if *event.plugin == *announcement.plugin {
                    !is_ahead(event.at, now)
                } else {
                    is_signed && event.is_signed && event.at <= now
                }
            })
            .max_by_key(|event| event.at)
    }

    /// Returns the accepted deliveries with one more, of which a detection was chosen.
    pub(super) fn with(
        &self,
        announcement: &Announcement,
        detection: &Detection,
        now: Timestamp,
    ) -> Self {
        let mut accepted = self.clone();
        if let Some(id) = DeliveryId::of(announcement, detection) {
            accepted.deliveries.retain(|other| *other != id);
            accepted.deliveries.push(id);
        }
        let plugin = &*announcement.plugin;
        let is_latest = |at: Timestamp| {
            let last = self.last_event(plugin, now);
            !is_ahead(at, now) && last.is_none_or(|last| last.at <= at)
        };
        if let Some(at) = detection.occurred_at.filter(|at| is_latest(*at)) {
            let mut own = self.events.iter().filter(|event| event.plugin == plugin);
            let was_signed = own.any(|event| event.is_signed);
            accepted.events.retain(|event| event.plugin != plugin);
            accepted.events.push(LastEvent {
                plugin: plugin.to_owned(),
                git_ref: detection.git_ref.to_string(),
                at,
                is_signed: was_signed || is_body_signed(&announcement.fingerprint),
            });
        }
        accepted.shorten();
        accepted
    }
}

fn is_body_signed(fingerprint: &Fingerprint) -> bool {
    matches!(fingerprint.signed, Some(Signed::Body(_)))
}

fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now).unsigned_abs() > MAX_AHEAD && at > now
}

#[cfg(test)]
mod tests;
