//! What the signed deliveries of an object announced that were answered last, so that a repetition of one is recognised
//! before its body is parsed and a plugin is called.
//!
//! An entry decides nothing: whether a delivery repeats another is decided by the accepted deliveries of the object, as
//! for every other delivery.

use std::collections::VecDeque;

use crate::delivery::Fingerprint;
use crate::request::Announcement;

/// The maximum number of announcements. Senders repeat what they sent last.
const CAPACITY: usize = 8;
/// The maximum number of refs in such an announcement. Longer ones take memory, and are rare.
const MAX_DETECTIONS: usize = 4;

/// The maximum number of repositories in such an announcement.
const MAX_REPOSITORIES: usize = 128;

/// The announcements that were answered last. The latest one is last.
#[derive(Debug, Default)]
pub(super) struct Answered(VecDeque<Announcement>);

impl Answered {
    /// Adds an announcement, unless nothing in it was signed.
    pub(super) fn add(&mut self, announcement: Announcement) {
        let detections = &announcement.detections;
        let repositories = detections.iter().map(|one| one.repositories.len());
        let is_signed = announcement.fingerprint.signed.is_some();
        let is_small =
            detections.len() <= MAX_DETECTIONS && repositories.sum::<usize>() <= MAX_REPOSITORIES;
        if !is_signed || !is_small {
            return;
        }
        self.0
            .retain(|other| other.fingerprint.signed != announcement.fingerprint.signed);
        while self.0.len() >= CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(announcement);
    }

    /// Returns the announcement of which the same was signed.
    pub(super) fn find(&self, fingerprint: &Fingerprint) -> Option<&Announcement> {
        let signed = fingerprint.signed?;
        let is_same = |other: &&Announcement| other.fingerprint.signed == Some(signed);
        self.0.iter().find(is_same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Signed;
    use crate::request::detection;

    fn announcement(signed: Option<u8>, refs: usize) -> Announcement {
        Announcement {
            plugin: "github".into(),
            plugin_number: 0,
            detections: vec![detection("v1"); refs],
            fingerprint: Fingerprint {
                signed: signed.map(|byte| Signed::Body([byte; 32])),
                sent: None,
            },
        }
    }

    #[test]
    fn the_last_signed_announcements_are_found() {
        let mut answered = Answered::default();
        for byte in (0..10).chain([3]) {
            answered.add(announcement(Some(byte), 1));
        }
        let found = |byte: u8| answered.find(&announcement(Some(byte), 1).fingerprint);
        let known: Vec<_> = (0..12).filter(|byte| found(*byte).is_some()).collect();
        assert_eq!(known, [2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(answered.0.len(), CAPACITY);
    }

    #[test]
    fn what_is_not_signed_or_large_is_not_kept() {
        let mut answered = Answered::default();
        answered.add(announcement(None, 1));
        answered.add(announcement(Some(1), 5));
        let mut many = announcement(Some(1), 4);
        many.detections[3].repositories = vec![String::new(); 129];
        answered.add(many);
        assert!(answered.0.is_empty());
        assert!(answered.find(&Fingerprint::default()).is_none());
    }
}
