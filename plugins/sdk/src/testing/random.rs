use std::cell::Cell;

use super::assert_sound;
use crate::{Kind, Malformed, Outcome, Request, Settings};

/// The length of the longest array or object.
const MAX_LEN: u32 = 5;
/// The number of deliveries.
const REQUESTS: u64 = 20_000;
/// The environment variable with the number of the first delivery, for other deliveries than those of a usual run.
const FIRST: &str = "STOKER_FIRST_RANDOM_REQUEST";

/// Texts that any plugin may read.
const TEXTS: [&str; 12] = [
    "",
    "v1.0.0",
    "refs/heads/main",
    "refs/tags/v1.0.0",
    "refs/",
    "../../etc",
    "\u{0}\n\u{1b}[31m",
    "é😀\u{202e}",
    "2026-01-02T03:04:05Z",
    "2026-13-02",
    "0000000000000000000000000000000000000000",
    "6c1f0a3f0e3b9d57c8f2a4e1d0b6c7a8f9e0d1c2",
];

/// Asks a plugin about deliveries with random values, in more combinations than a JSON body allows. `words` are the
/// texts that the plugin distinguishes, such as the names of events. Each run asks about the same deliveries, unless the
/// environment variable `STOKER_FIRST_RANDOM_REQUEST` is the number of another first one.
///
/// # Panics
///
/// Panics if the plugin panics, if a host would refuse its answer, or if it does not stop reading.
pub fn check_random_requests(
    words: &'static [&'static str],
    detect: impl Fn(&RandomRequest) -> Result<Outcome, Malformed>,
) {
    let first = std::env::var(FIRST).ok().and_then(|text| text.parse().ok());
    let first: u64 = first.unwrap_or_default();
    for seed in first..first.saturating_add(REQUESTS) {
        let request = RandomRequest {
            words,
            seed,
            asked: Cell::new(0),
        };
        assert_sound(&detect(&request), &seed);
        assert!(
            request.asked.get() < 1000,
            "{} questions about delivery {seed}",
            request.asked.get()
        );
    }
}

/// A delivery with random values and settings. The same question always has the same answer.
#[derive(Debug)]
pub struct RandomRequest {
    words: &'static [&'static str],
    seed: u64,
    asked: Cell<u32>,
}

impl RandomRequest {
    /// Returns a number less than `below` that depends on the question.
    fn dice(&self, about: &str, salt: u64, below: usize) -> usize {
        self.asked.set(self.asked.get() + 1);
        let mut hash = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt;
        for byte in about.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            hash ^= hash >> 29;
        }
        let below = u64::try_from(below).unwrap_or(1);
        usize::try_from(hash % below).unwrap_or_default()
    }

    fn text(&self, about: &str) -> String {
        // Half of the texts are words of the plugin, so that it reads more than one value.
        let texts = if self.words.is_empty() || self.dice(about, 2, 2) == 0 {
            &TEXTS
        } else {
            self.words
        };
        texts[self.dice(about, 3, texts.len())].to_owned()
    }
}

impl Settings for RandomRequest {
    fn setting(&self, key: &str) -> Option<String> {
        (self.dice(key, 9, 3) == 0).then(|| self.text(key))
    }
}

impl Request for RandomRequest {
    fn header(&self, name: &str) -> Option<String> {
        (self.dice(name, 1, 4) > 0).then(|| self.text(name))
    }

    fn string_at(&self, pointer: &str) -> Option<String> {
        (self.kind_at(pointer) == Some(Kind::Text)).then(|| self.text(pointer))
    }

    fn kind_at(&self, pointer: &str) -> Option<Kind> {
        // Text is twice as likely as any other kind.
        let kinds = [
            Kind::Null,
            Kind::Boolean,
            Kind::Number,
            Kind::Text,
            Kind::Text,
            Kind::Array,
            Kind::Object,
        ];
        kinds.get(self.dice(pointer, 4, kinds.len() + 1)).copied()
    }

    fn len_at(&self, pointer: &str) -> Option<u32> {
        let len = || u32::try_from(self.dice(pointer, 5, 100)).unwrap_or_default() % (MAX_LEN + 1);
        matches!(self.kind_at(pointer), Some(Kind::Array | Kind::Object)).then(len)
    }

    fn json_at(&self, pointer: &str) -> Option<String> {
        let kind = self.kind_at(pointer)?;
        Some(match kind {
            Kind::Null => "null".to_owned(),
            Kind::Boolean => ["true", "false"][self.dice(pointer, 6, 2)].to_owned(),
            Kind::Number => ["0", "-1", "1557933657", "1e400", "18446744073709551616"]
                [self.dice(pointer, 7, 5)]
            .to_owned(),
            Kind::Text => format!("{:?}", self.text(pointer)),
            Kind::Array => "[]".to_owned(),
            Kind::Object => "{}".to_owned(),
        })
    }

    fn body(&self) -> Vec<u8> {
        vec![0xff; self.dice("", 8, 64)]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::Detection;

    #[test]
    fn deliveries_lead_to_every_outcome() {
        let seen = std::cell::RefCell::new(HashSet::new());
        check_random_requests(&["push"], |request| {
            if request.header("x-event").as_deref() != Some("push") {
                return Ok(Outcome::NotMine);
            }
            let git_ref = request.required("/ref");
            seen.borrow_mut().insert(git_ref.clone().ok());
            Ok(Detection::new(git_ref?).into())
        });
        assert!(seen.borrow().len() > TEXTS.len(), "{seen:?}");
    }

    #[test]
    #[should_panic(expected = "ignored without a reason")]
    fn an_answer_that_a_host_would_refuse_is_noticed() {
        check_random_requests(&[], |_| Ok(Outcome::ignored(&[])));
    }
}
