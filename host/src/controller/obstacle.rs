//! What keeps a pass from going through although the ref may be resolved. Pure.

use super::Done;
use super::duration;
use super::error::ControllerError;
use super::memory::Retry;
use crate::report;

/// An obstacle, as the status tells it, and how the pass ends for it.
#[derive(Debug)]
pub(super) struct Obstacle {
    pub(super) message: String,
    pub(super) end: Result<Done, ControllerError>,
}

impl Obstacle {
    /// A missing Secret is waited for; any other error is told, then handled as one. A conflict is not worth telling:
    /// it is gone with the next pass.
    pub(super) fn new(
        error: ControllerError,
        fail: impl FnOnce() -> Retry,
    ) -> Result<Self, ControllerError> {
        if error.is_conflict() {
            return Err(error);
        }
        if matches!(error, ControllerError::SecretMissing { .. }) {
            let retry = fail();
            let delay = duration::from_seconds(retry.delay.as_secs());
            let message = format!("{} (retry in {delay})", report::chain(&error));
            return Ok(Self {
                message,
                end: Ok(Done::failed(Some(retry))),
            });
        }
        Ok(Self {
            message: format!("Metadata not published: {}", report::chain(&error)),
            end: Err(error),
        })
    }
}
