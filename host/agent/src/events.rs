//! The events of the agent. They go to the object in a cluster, and only to the log elsewhere.

use tokio::sync::mpsc;

/// The number of events that wait to be written. More are dropped.
const WAITING: usize = 32;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Whether it is a warning.
    pub(crate) is_warning: bool,
    /// The reason, one word for programs.
    pub(crate) reason: &'static str,
    /// The text for people.
    pub(crate) message: String,
}

/// Sends events to the task that writes them.
#[derive(Debug, Clone)]
pub(crate) struct EventSender(Option<mpsc::Sender<Event>>);

impl EventSender {
    /// Returns a sender whose events are not written.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Returns a sender, and the receiver of its events.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(Some(sender)), receiver)
    }

    /// Sends an event. It is dropped if too many wait.
    pub(crate) fn send(&self, event: Event) {
        if let Some(sender) = &self.0
            && sender.try_send(event).is_err()
        {
            tracing::debug!("an event is dropped, because too many wait");
        }
    }
}
