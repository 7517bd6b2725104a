//! The capabilities that a client sends to a server of version 0 or 1 (gitprotocol-capabilities).
//!
//! This module chooses words. It reads and sends nothing.

use std::collections::BTreeSet;

use super::AGENT;
use super::advertisement::ObjectFormat;

/// The words that a client may send, in their order. Some servers refuse a word that they do not advertise.
const WORDS: [&str; 9] = [
    "multi_ack_detailed",
    "multi_ack",
    "side-band-64k",
    "side-band",
    "thin-pack",
    "ofs-delta",
    "no-progress",
    "filter",
    "agent",
];
/// Words of which a client sends the first that the server advertises. Some servers refuse clients that send none of
/// the first group, also if they have no commits.
const ALTERNATIVES: [[&str; 2]; 2] = [
    ["multi_ack_detailed", "multi_ack"],
    ["side-band-64k", "side-band"],
];

/// What a server of version 0 or 1 advertises of the words that a client may send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offer {
    words: BTreeSet<&'static str>,
    /// The object format, if the server names one.
    pub(super) object_format: Option<ObjectFormat>,
}

impl Offer {
    /// Adds a word of the server if a client may send it.
    pub(super) fn add(&mut self, word: &[u8]) {
        let known = WORDS.into_iter().find(|known| known.as_bytes() == word);
        self.words.extend(known);
    }

    /// Returns whether the server advertises a word.
    pub(super) fn has(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// Returns what a request contains: the wanted words that the server advertises, and those of every request.
    pub(super) fn features(&self, wanted: &[&str]) -> String {
        let mut words: Vec<String> = ALTERNATIVES
            .iter()
            .filter_map(|group| group.iter().find(|word| self.has(word)))
            .chain(wanted.iter().filter(|word| self.has(word)))
            .map(|&word| word.to_owned())
            .collect();
        words.extend(self.has("agent").then(|| format!("agent={AGENT}")));
        words.extend(
            self.object_format
                .map(|format| format!("object-format={}", format.name())),
        );
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(advertised: &str, wanted: &[&str]) -> String {
        let mut offer = Offer::default();
        for word in advertised.split(' ') {
            offer.add(word.as_bytes());
        }
        offer.features(wanted)
    }

    #[test]
    fn only_what_a_server_advertises_is_sent() {
        let wanted = ["ofs-delta", "thin-pack", "no-progress", "filter"];
        for (advertised, expected) in [
            ("", ""),
            (
                "multi_ack thin-pack side-band side-band-64k shallow no-progress",
                "multi_ack side-band-64k thin-pack no-progress",
            ),
            (
                "multi_ack_detailed multi_ack side-band ofs-delta allow-tip-sha1-in-want",
                "multi_ack_detailed side-band ofs-delta",
            ),
            ("shallow no-done include-tag", ""),
        ] {
            assert_eq!(features(advertised, &wanted), expected, "{advertised}");
        }
        let all = "agent multi_ack no-progress";
        assert_eq!(features(all, &[]), format!("multi_ack agent={AGENT}"));
    }
}
