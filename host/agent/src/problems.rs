//! What keeps the agent from its work, apart from failed syncs.

use std::fmt::{self, Display, Formatter};

use tokio::sync::watch;

/// The present problems. A text that is empty is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Problems {
    /// Why what is published cannot be used.
    published: String,
    /// Why the gateway does not do what the agent asks for.
    gateway: String,
    /// Why the gateway has not confirmed the files for a while. It may only be slow, so this is not shown as a problem.
    pub(crate) unconfirmed: String,
}

impl Display for Problems {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.published)?;
        if !self.published.is_empty() && !self.gateway.is_empty() {
            f.write_str("; ")?;
        }
        f.write_str(&self.gateway)
    }
}

/// Tells the loop of the agent about problems.
#[derive(Debug, Clone)]
pub(crate) struct ProblemSender(watch::Sender<Problems>);

impl ProblemSender {
    /// Returns a sender, and the receiver of its problems.
    pub(crate) fn channel() -> (Self, watch::Receiver<Problems>) {
        let (sender, receiver) = watch::channel(Problems::default());
        (Self(sender), receiver)
    }

    /// Tells why what is published cannot be used. An empty text means that it can.
    pub(crate) fn set_published(&self, text: &str) {
        self.set(text, |problems| &mut problems.published);
    }

    /// Tells why the gateway does not do what the agent asks for. An empty text means that it does.
    pub(crate) fn set_gateway(&self, text: &str) {
        self.set(text, |problems| &mut problems.gateway);
    }

    /// Tells why the gateway has not confirmed the files for a while. An empty text means that it has.
    pub(crate) fn set_unconfirmed(&self, text: &str) {
        self.set(text, |problems| &mut problems.unconfirmed);
    }

    fn set(&self, text: &str, field: fn(&mut Problems) -> &mut String) {
        self.0.send_if_modified(|problems| {
            let field = field(problems);
            let is_new = *field != text;
            text.clone_into(field);
            is_new
        });
    }
}
