//! The announcements that one turn of an object's task answers.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::pauses::{MARGIN, SHORTEST_TRY, try_until};
use super::plan::repeats;
use crate::request::writer::Stamp;
use crate::request::{Announcement, RequestError, Snapshot, Submitted, Target};

/// The outcome of an announcement, or why there is none.
type Outcome = Result<Submitted, RequestError>;

/// An announcement that waits for its answer.
pub(super) struct Submission {
    pub(super) target: Target,
    pub(super) announcement: Announcement,
    deadline: Instant,
    /// The writes that were tried, each with the outcome if it is stored. An API server may store a write without
    /// answering.
    tries: Vec<(Stamp, Outcome)>,
    answer: oneshot::Sender<Outcome>,
}

impl Submission {
    /// Returns a submission, and where its answer arrives.
    pub(super) fn new(
        target: Target,
        announcement: Announcement,
        deadline: Instant,
    ) -> (Self, oneshot::Receiver<Outcome>) {
        let (answer, answered) = oneshot::channel();
        let submission = Self {
            target,
            announcement,
            deadline,
            tries: Vec::new(),
            answer,
        };
        (submission, answered)
    }

    /// Returns whether the sender still waits.
    pub(super) fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    fn answer(self, outcome: Outcome) {
        // The receiving end is gone where the deadline has passed.
        self.answer.send(outcome).ok();
    }
}

/// The announcements that are decided together, and the present state of their object.
pub(super) struct Turn {
    pub(super) batch: Vec<Submission>,
    /// The object by a read that began after all announcements of the batch arrived.
    pub(super) present: Option<Snapshot>,
    /// Whether the API server did not answer a try in time.
    pub(super) had_no_answer: bool,
}

impl Turn {
    pub(super) fn new(batch: Vec<Submission>) -> Self {
        Self {
            batch,
            present: None,
            had_no_answer: false,
        }
    }

    /// Adds announcements that have arrived since.
    pub(super) fn join(&mut self, arrived: Vec<Submission>) {
        if !arrived.is_empty() {
            self.present = None;
            self.batch.extend(arrived);
        }
    }

    /// Drops the announcements whose senders no longer wait. Returns whether any remains.
    pub(super) fn is_awaited(&mut self) -> bool {
        self.batch.retain(Submission::is_awaited);
        !self.batch.is_empty()
    }

    /// Returns the object as it was when the latest announcement arrived.
    pub(super) fn latest(&self) -> &Snapshot {
        // A turn without announcements has ended.
        &self.batch[self.batch.len() - 1].target.snapshot
    }

    /// Returns when a try ends that begins now: before the next sender gives up, so that what is answered with an
    /// error is not written later. A try that would be too short for an answer lasts longer.
    pub(super) fn limit(&self) -> Instant {
        let now = Instant::now();
        let deadlines = self.batch.iter().map(|submission| submission.deadline);
        let end = |deadline: Instant| deadline.checked_sub(MARGIN);
        let earliest = deadlines.filter_map(end).min().unwrap_or(now);
        try_until(earliest, self.had_no_answer).max(now + SHORTEST_TRY)
    }

    /// Notes the outcomes that apply if a write is stored whose answer does not arrive.
    pub(super) fn note_try(&mut self, stamp: Stamp, outcomes: &[Outcome]) {
        for (submission, outcome) in self.batch.iter_mut().zip(outcomes) {
            submission.tries.push((stamp, outcome.clone()));
        }
    }

    /// Answers the announcements of a try that the object has.
    pub(super) fn answer_stored(&mut self, known: &Snapshot) {
        self.answer_where(|submission| {
            let mut tries = submission.tries.iter();
            let stored = tries.find(|(stamp, _)| stamp.is_in(&known.state))?;
            Some(stored.1.clone())
        });
    }

    /// Answers the announcements that repeat a delivery which the object remembers.
    pub(super) fn answer_repeated(&mut self, known: &Snapshot, now: Stamp) {
        let announcements = self.batch.iter().map(|submission| &submission.announcement);
        let mut repeats = repeats(known, announcements, now).into_iter();
        self.answer_where(|_| repeats.next().flatten().map(Ok));
    }

    /// Answers the announcements whose deadline is too close for the next try.
    pub(super) fn answer_due(&mut self, again_at: Instant, error: Option<&Arc<kube::Error>>) {
        self.answer_where(|submission| {
            let is_due = submission.deadline <= again_at + SHORTEST_TRY + MARGIN;
            is_due.then(|| Err(RequestError::Unavailable(error.cloned())))
        });
    }

    /// Answers each announcement with its outcome.
    pub(super) fn answer_each(&mut self, outcomes: Vec<Outcome>) {
        for (submission, outcome) in self.batch.drain(..).zip(outcomes) {
            submission.answer(outcome);
        }
    }

    /// Answers all announcements with an error.
    pub(super) fn answer_all(&mut self, error: &RequestError) {
        for submission in self.batch.drain(..) {
            submission.answer(Err(error.clone()));
        }
    }

    /// Answers the announcements for which there is an outcome.
    fn answer_where(&mut self, mut outcome: impl FnMut(&Submission) -> Option<Outcome>) {
        for submission in std::mem::take(&mut self.batch) {
            match outcome(&submission) {
                Some(outcome) => submission.answer(outcome),
                None => self.batch.push(submission),
            }
        }
    }
}
