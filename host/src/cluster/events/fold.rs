//! Which events are new, and how often the others happened.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Kind;

/// How long after its first occurrence an event counts further ones. The next one is then a new event.
const WINDOW: Duration = Duration::from_mins(5);
/// The maximum number of events that count further occurrences. Beyond it, the oldest one is forgotten.
const MAX_EVENTS: usize = 1024;
/// The maximum number of different events of one group about one object, before the others are counted as one.
const MAX_OF_GROUP: usize = 5;

/// The events that were written lately.
#[derive(Default)]
pub(super) struct Fold(HashMap<Kind, Written>);

struct Written {
    name: String,
    since: Instant,
    count: i32,
    /// Whether the count has changed since it was written.
    is_changed: bool,
}

/// An event that happened more than once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated {
    pub(super) namespace: String,
    pub(super) name: String,
    /// How often it happened.
    pub(super) count: i32,
}

impl Fold {
    /// Returns the kind as which an event is counted: its own, or that of all further events of its group.
    pub(super) fn within_group(&self, kind: Kind) -> Kind {
        if kind.group.is_none() || self.0.contains_key(&kind) {
            return kind;
        }
        let is_of_group = |one: &&Kind| {
            (one.group, &one.reason, &one.subject) == (kind.group, &kind.reason, &kind.subject)
        };
        if self.0.keys().filter(is_of_group).count() < MAX_OF_GROUP {
            return kind;
        }
        Kind {
            detail: String::new(),
            ..kind
        }
    }

    /// Counts an occurrence. Returns the name of the event if it is a new one.
    pub(super) fn add(
        &mut self,
        kind: &Kind,
        name: impl FnOnce() -> String,
        now: Instant,
    ) -> Option<String> {
        if let Some(written) = self.0.get_mut(kind)
            && now < written.since + WINDOW
        {
            written.count = written.count.saturating_add(1);
            written.is_changed = true;
            return None;
        }
        if self.0.len() >= MAX_EVENTS {
            self.forget_oldest();
        }
        let name = name();
        let written = Written {
            name: name.clone(),
            since: now,
            count: 1,
            is_changed: false,
        };
        self.0.insert(kind.clone(), written);
        Some(name)
    }

    /// Forgets an event that is not written.
    pub(super) fn forget(&mut self, kind: &Kind) {
        self.0.remove(kind);
    }

    /// Returns the events whose counts have changed since the last call, and forgets those that are old.
    pub(super) fn repeated(&mut self, now: Instant) -> Vec<Repeated> {
        let mut repeated = Vec::new();
        self.0.retain(|kind, written| {
            if std::mem::take(&mut written.is_changed) {
                repeated.push(Repeated {
                    namespace: kind.subject.key.namespace().to_owned(),
                    name: written.name.clone(),
                    count: written.count,
                });
            }
            now < written.since + WINDOW
        });
        repeated
    }

    fn forget_oldest(&mut self) {
        let oldest = self.0.iter().min_by_key(|(_, written)| written.since);
        if let Some(kind) = oldest.map(|(kind, _)| kind.clone()) {
            self.0.remove(&kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use stoker_api::detection::ObjectKey;

    use super::super::Subject;
    use super::*;

    fn is_new(fold: &mut Fold, detail: &str, name: &str, now: Instant) -> bool {
        fold.add(&kind(detail), || name.to_owned(), now).is_some()
    }

    fn kind(detail: &str) -> Kind {
        Kind {
            subject: Subject {
                key: ObjectKey::new("plants", "north").unwrap(),
                uid: None,
            },
            reason: "WebhookIgnored".to_owned(),
            detail: detail.to_owned(),
            group: None,
        }
    }

    #[test]
    fn beyond_some_different_events_of_a_group_the_others_are_one() {
        let (mut fold, start) = (Fold::default(), Instant::now());
        let mut add = |detail: &str, group| {
            let kind = fold.within_group(Kind {
                group: Some(group),
                ..kind(detail)
            });
            fold.add(&kind, || detail.to_owned(), start)
        };
        let new: Vec<_> = (0..100)
            .filter_map(|number| add(&number.to_string(), "a"))
            .collect();
        assert_eq!(new, ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(
            add("6", "b").as_deref(),
            Some("6"),
            "another group has room"
        );
        let mut counts: Vec<_> = fold
            .repeated(start)
            .into_iter()
            .map(|one| (one.name, one.count))
            .collect();
        counts.sort();
        assert_eq!(counts, [("5".to_owned(), 95)]);
    }

    #[test]
    fn occurrences_within_the_window_are_one_event() {
        let (mut fold, start) = (Fold::default(), Instant::now());
        assert!(is_new(&mut fold, "a", "first", start));
        assert!(fold.repeated(start).is_empty());
        for _ in 0..1000 {
            assert!(!is_new(&mut fold, "a", "other", start + WINDOW / 2));
        }
        assert!(is_new(&mut fold, "b", "second", start));
        let expected = Repeated {
            namespace: "plants".to_owned(),
            name: "first".to_owned(),
            count: 1001,
        };
        assert_eq!(fold.repeated(start + WINDOW / 2), [expected]);
        assert!(fold.repeated(start + WINDOW / 2).is_empty());
        assert!(is_new(&mut fold, "a", "third", start + WINDOW));
    }

    #[test]
    fn the_number_of_events_is_bounded_and_old_ones_are_forgotten() {
        let (mut fold, start) = (Fold::default(), Instant::now());
        for number in 0..=MAX_EVENTS {
            let at = start + Duration::from_millis(u64::try_from(number).unwrap());
            assert!(is_new(&mut fold, &number.to_string(), "x", at));
        }
        assert_eq!(fold.0.len(), MAX_EVENTS);
        assert!(!fold.0.contains_key(&kind("0")));
        assert!(fold.repeated(start + 2 * WINDOW).is_empty());
        assert!(fold.0.is_empty());
    }
}
