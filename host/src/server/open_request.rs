//! What the server knows of a request until its answer is sent.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::connections::OpenConnection;

/// A request whose answer is not sent. Dropping it ends the request.
#[derive(Debug)]
pub(super) struct OpenRequest(Arc<Open>);

/// The body of an open request, until it has arrived. Dropping it means that nothing more is expected.
#[derive(Debug)]
pub(super) struct Arriving(Arc<Open>);

#[derive(Debug)]
struct Open {
    connection: Arc<OpenConnection>,
    stage: Mutex<Stage>,
}

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The body has not arrived.
    Receiving,
    /// The answer is not ready.
    Handling,
    /// The answer is ready since then, and the client has not taken it.
    Sending(Instant),
}

impl OpenRequest {
    /// Notes that the headers of a request have arrived.
    pub(super) fn begin(connection: &Arc<OpenConnection>) -> Self {
        connection.update(|entry| {
            entry.open += 1;
            entry.incomplete += 1;
            entry.is_used = true;
        });
        Self(Arc::new(Open {
            connection: Arc::clone(connection),
            stage: Mutex::new(Stage::Receiving),
        }))
    }

    pub(super) fn body(&self) -> Arriving {
        Arriving(Arc::clone(&self.0))
    }

    /// Notes that the answer is ready. From now on, the server waits for the client, also if the body has not arrived.
    pub(super) fn answered(&self) {
        let now = Instant::now();
        let before = self.0.enter(Stage::Sending(now));
        self.0.connection.update(|entry| {
            entry.incomplete -= usize::from(before == Stage::Receiving);
            entry.unsent.push(now);
        });
    }
}

impl Open {
    /// Changes the stage, and returns the one before. A request does not go back.
    fn enter(&self, next: Stage) -> Stage {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *stage;
        if before == Stage::Receiving || next != Stage::Handling {
            *stage = next;
        }
        before
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if self.0.enter(Stage::Handling) == Stage::Receiving {
            self.0.connection.update(|entry| entry.incomplete -= 1);
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        // The body can outlive the request.
        let before = self.0.enter(Stage::Handling);
        self.0.connection.update(|entry| {
            entry.open -= 1;
            match before {
                Stage::Receiving => entry.incomplete -= 1,
                Stage::Handling => {}
                Stage::Sending(since) => {
                    if let Some(index) = entry.unsent.iter().position(|other| *other == since) {
                        entry.unsent.swap_remove(index);
                    }
                }
            }
        });
    }
}
