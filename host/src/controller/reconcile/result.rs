//! The result of a pass.

use std::time::Duration;

use crate::controller::metrics::PassResult;
use crate::controller::state::Retry;

/// The delay after a conflict with the write of another client. Usually, that write starts the next pass earlier, but a
/// change of labels starts none.
pub(super) const CONFLICT_RETRY: Duration = Duration::from_secs(1);

/// The result of a pass, and the delay until the next pass if nothing changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReconcileResult {
    pub(super) result: PassResult,
    pub(super) next: Option<Duration>,
}

impl ReconcileResult {
    /// Returns the result of a pass that is complete until something changes.
    pub(super) fn done() -> Self {
        Self {
            result: PassResult::Success,
            next: None,
        }
    }

    /// Returns the result of a pass that lacks something. Without a retry, only a change of the object can help.
    pub(super) fn retry(retry: Option<Retry>) -> Self {
        Self {
            result: PassResult::Requeue,
            next: retry.map(|retry| retry.left),
        }
    }

    /// Returns the result of a pass in which another client wrote.
    pub(super) fn conflict() -> Self {
        Self {
            result: PassResult::Requeue,
            next: Some(CONFLICT_RETRY),
        }
    }

    /// Returns the same result, with the next pass after this delay at the latest.
    pub(super) fn within(self, delay: Option<Duration>) -> Self {
        Self {
            next: [self.next, delay].into_iter().flatten().min(),
            ..self
        }
    }
}
