//! The messages that a server sends beside a pack.

use crate::error::plain;

/// The messages of a server. A packet may end within a message.
#[derive(Debug, Default)]
pub(super) struct Messages {
    begun: Vec<u8>,
    last: String,
}

impl Messages {
    /// The longest message in bytes. What is longer is shown in parts.
    const LONGEST: usize = 200;

    /// Shows the messages that end in this text and differ from the one before, and keeps the rest.
    pub(super) fn add(&mut self, text: &[u8], mut show: impl FnMut(&str)) {
        for &byte in text {
            let is_end = matches!(byte, b'\r' | b'\n');
            if !is_end {
                self.begun.push(byte);
            }
            if is_end || self.begun.len() == Self::LONGEST {
                let message = plain(&std::mem::take(&mut self.begun));
                if !message.is_empty() && message != self.last {
                    show(&message);
                    self.last = message;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_may_arrive_in_parts() {
        let (mut messages, mut shown) = (Messages::default(), Vec::new());
        let long = "x".repeat(300) + "\n";
        for text in [
            "Counting: 1\rCounting: 2\r\nTot",
            "al",
            " 3 (delta 0)\n",
            &long,
        ] {
            messages.add(text.as_bytes(), |text| shown.push(text.to_owned()));
        }
        let lengths: Vec<_> = shown[3..].iter().map(String::len).collect();
        assert_eq!(
            shown[..3],
            ["Counting: 1", "Counting: 2", "Total 3 (delta 0)"]
        );
        assert_eq!(lengths, [200, 100]);
    }

    #[test]
    fn a_message_that_is_repeated_is_shown_once() {
        let (mut messages, mut shown) = (Messages::default(), Vec::new());
        messages.add(b"Wait\rWait\r\nGo\nWait\n", |text| {
            shown.push(text.to_owned());
        });
        assert_eq!(shown, ["Wait", "Go", "Wait"]);
    }
}
