//! Deliveries that announce several refs, and the limits of one answer.

use alloc::vec::Vec;

use crate::{Detection, Kind, Malformed, Outcome, Request};

/// The maximum number of refs in one answer. It equals the default limit of a host.
///
/// The largest known pushes, which mirror whole repositories, have some thousands of refs.
pub const MAX_REFS: u32 = 4096;

/// The number of refs above which an answer is long. Each ref of a long answer has one short name of the repository, so
/// that thousands of refs stay within the byte limit of a host.
const MANY_REFS: usize = 256;
/// The maximum length of a short name of a repository, in bytes.
const SHORT_NAME: usize = 256;

/// Returns the indices of the list elements that are read. These are all elements or, if the list exceeds the limit of
/// an answer, its first and its last half.
///
/// git sends the refs of a push in the order of their names. So branches are first and the newest versions are last.
/// The omitted refs are the older tags.
pub fn read(len: u32) -> impl Iterator<Item = u32> {
    let half = MAX_REFS / 2;
    let (first, last) = if len <= MAX_REFS {
        (len, len)
    } else {
        (half, len - half)
    };
    (0..first).chain(last..len)
}

/// The refs that the parts of one delivery announce together. A part that cannot be used does not affect the others.
#[derive(Debug, Default)]
pub struct Parts {
    found: Vec<Detection>,
    /// The result of the first part that announces nothing.
    reason: Option<Result<Outcome, Malformed>>,
}

impl Parts {
    /// Adds the result of one part. A part that is not of the plugin's format is ignored.
    pub fn add(&mut self, part: Result<Outcome, Malformed>) {
        match part {
            Ok(Outcome::Found(found)) => self.found.extend(found),
            Ok(Outcome::NotMine) => {}
            nothing => {
                self.reason.get_or_insert(nothing);
            }
        }
    }

    /// Returns all refs that were found. If there are none, the result is that of the first part that announces
    /// nothing, or `None` if there was no such part.
    #[must_use]
    pub fn outcome(mut self) -> Option<Result<Outcome, Malformed>> {
        if self.found.is_empty() {
            return self.reason;
        }
        if self.found.len() > MANY_REFS {
            for one in &mut self.found {
                one.repositories.retain(|name| name.len() <= SHORT_NAME);
                one.repositories.truncate(1);
            }
        }
        Some(Ok(Outcome::Found(self.found)))
    }
}

/// Returns the length of the array at a pointer, or an error if there is no array.
pub fn len(request: &impl Request, list: &str) -> Result<u32, Malformed> {
    match request.kind_at(list) {
        Some(Kind::Array) => Ok(request.len_at(list).unwrap_or_default()),
        Some(_) => Err(Malformed::at(list, "is not an array")),
        None => Err(Malformed::at(list, "is missing")),
    }
}

/// Returns the refs that a push with a list of changes announces. `change` returns the result for the change at an
/// index of the array `list`.
pub fn changes<R: Request>(
    request: &R,
    list: &str,
    change: impl Fn(&R, u32) -> Result<Outcome, Malformed>,
) -> Result<Outcome, Malformed> {
    let mut parts = Parts::default();
    for index in read(len(request, list)?) {
        parts.add(change(request, index));
    }
    parts
        .outcome()
        .unwrap_or_else(|| Ok(Outcome::ignored(&["the push has no changes"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_list_both_ends_are_read() {
        let all = |len| read(len).collect::<Vec<_>>();
        assert!(all(0).is_empty());
        assert_eq!(all(3), [0, 1, 2]);
        assert_eq!(all(MAX_REFS).len(), 4096);
        let ends = all(MAX_REFS + 100);
        assert_eq!(ends.len(), 4096);
        assert_eq!(ends[2047..2049], [2047, 2148]);
        assert_eq!(ends.last(), Some(&(MAX_REFS + 99)));
        assert_eq!(read(u32::MAX).count(), 4096);
    }

    #[test]
    fn a_long_answer_has_one_short_name_of_the_repository() {
        let names = [
            "x".repeat(300),
            "plant/line-7".into(),
            "https://h/plant/line-7".into(),
        ];
        for (count, expected) in [(256, 3), (257, 1)] {
            let mut parts = Parts::default();
            for _ in 0..count {
                parts.add(Ok(Detection::new("v1").repositories(names.clone()).into()));
            }
            let Some(Ok(Outcome::Found(found))) = parts.outcome() else {
                panic!("nothing was found")
            };
            assert_eq!(found.len(), count);
            assert!(found.iter().all(|one| one.repositories.len() == expected));
            assert!(found.iter().all(|one| one.repositories.contains(&names[1])));
        }
    }

    #[test]
    fn a_part_that_cannot_be_used_does_not_affect_the_others() {
        let found = || Ok(Detection::new("v1").into());
        let ignored = || Ok(Outcome::ignored(&["v0 was deleted"]));
        let malformed = || Err(Malformed("/ref is missing".into()));
        let outcome = |parts: Vec<Result<Outcome, Malformed>>| {
            let mut all = Parts::default();
            for part in parts {
                all.add(part);
            }
            all.outcome()
        };
        for parts in [
            Vec::from([malformed(), found()]),
            Vec::from([found(), malformed()]),
            Vec::from([ignored(), found(), Ok(Outcome::NotMine)]),
        ] {
            assert_eq!(outcome(parts), Some(found()));
        }
        assert_eq!(
            outcome(Vec::from([ignored(), malformed()])),
            Some(ignored())
        );
        assert_eq!(
            outcome(Vec::from([malformed(), ignored()])),
            Some(malformed())
        );
        assert_eq!(outcome(Vec::from([Ok(Outcome::NotMine)])), None);
    }
}
