//! The hosts of the remotes: how each answers, and how long it is not asked after errors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use stoker_git::Remote;
use stoker_process::retry_delay;
use tokio::time::Instant;

use super::error::{Fault, HostWait, LookupError};
use super::permit::Permits;

/// The number of lookups in a row without an answer after which a host is not asked for some time. A single one may be
/// due to its repository.
const SILENT_LOOKUPS: u32 = 3;
/// The first wait after errors. It doubles from error to error.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// What is between the scheme and the host.
const SCHEME_END: &str = "://";
/// The longest wait that the host did not ask for.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The hosts of all remotes, by scheme, host and port: a port at which one scheme fails may work with another.
#[derive(Default)]
pub(super) struct Hosts(HashMap<Arc<str>, Host>);

struct Host {
    permits: Arc<Permits>,
    /// The number of remotes on the host.
    remotes: usize,
    /// The number of errors in a row.
    errors: u32,
    /// Whether the last conversation had an answer.
    is_answering: bool,
    wait: Option<Wait>,
}

/// How the last lookup of a remote ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum LastLookup {
    /// There was none.
    #[default]
    Unknown,
    /// The server answered, or the host could not be reached, which does not concern the remote alone.
    Ended,
    /// The server did not answer, or with an error of its own.
    Silent,
}

impl LastLookup {
    /// Returns the last lookup after one with this error. A lookup that did not take place changes nothing.
    pub(super) fn after(self, error: Option<&LookupError>) -> Self {
        match error {
            Some(LookupError::Waiting { .. } | LookupError::Aborted) => self,
            Some(error) if error.fault() == Fault::Silent => Self::Silent,
            _ => Self::Ended,
        }
    }
}

struct Wait {
    /// The longer one of the host's own wait and the one that it asks for.
    all: Span,
    /// The wait that the host asks for.
    asked_for: Option<Span>,
    error: LookupError,
}

#[derive(Clone, Copy)]
struct Span {
    until: Instant,
    /// The time from its beginning.
    whole: Duration,
}

impl Span {
    fn of(whole: Duration) -> Self {
        Self {
            until: Instant::now() + whole,
            whole,
        }
    }

    /// Returns what is left of it, if anything is.
    fn left(self) -> Option<HostWait> {
        let left = self.until.saturating_duration_since(Instant::now());
        let whole = self.whole;
        (!left.is_zero()).then_some(HostWait { whole, left })
    }
}

/// Returns the span that ends later.
fn later(one: Option<Span>, other: Option<Span>) -> Option<Span> {
    one.into_iter().chain(other).max_by_key(|span| span.until)
}

impl Hosts {
    /// Adds a remote, and returns its host.
    pub(super) fn join(&mut self, remote: &Remote) -> Arc<str> {
        let url = remote.url().url();
        let name = format!(
            "{}{SCHEME_END}{}",
            url.scheme(),
            url.host_str().unwrap_or_default()
        );
        let name = match url.port_or_known_default() {
            Some(port) => format!("{name}:{port}"),
            None => name,
        };
        let name = match self.0.get_key_value(&*name) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(name),
        };
        let host = self.0.entry(Arc::clone(&name)).or_insert_with(|| Host {
            permits: Arc::default(),
            remotes: 0,
            errors: 0,
            is_answering: false,
            wait: None,
        });
        host.remotes += 1;
        name
    }

    /// Removes a remote. A host without remotes is forgotten, except while it is not to be asked.
    pub(super) fn leave(&mut self, name: &str) {
        if let Some(host) = self.0.get_mut(name) {
            host.remotes = host.remotes.saturating_sub(1);
        }
        let is_waited_for = |host: &Host| {
            let wait = host.wait.as_ref();
            wait.is_some_and(|wait| wait.all.left().is_some())
        };
        self.0
            .retain(|_, host| host.remotes > 0 || is_waited_for(host));
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the permits for conversations with a host.
    pub(super) fn permits(&self, name: &str) -> Arc<Permits> {
        let host = self.0.get(name).map(|host| Arc::clone(&host.permits));
        host.unwrap_or_default()
    }

    /// Returns until when a host is not asked, or `None` if it is.
    pub(super) fn waits_until(&self, name: &str) -> Option<Instant> {
        let all = self.0.get(name)?.wait.as_ref()?.all;
        all.left().map(|_| all.until)
    }

    /// Returns whether the last conversation with a host had an answer.
    pub(super) fn is_answering(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|host| host.is_answering)
    }

    /// Returns why a host is not asked now, or `None` if it is.
    pub(super) fn refusal(&self, name: &str, is_requested: bool) -> Option<LookupError> {
        let wait = self.0.get(name)?.wait.as_ref()?;
        // A lookup that somebody requested waits only as long as the host asks.
        let span = if is_requested {
            wait.asked_for?
        } else {
            wait.all
        };
        Some(LookupError::Waiting {
            host: name
                .split_once(SCHEME_END)
                .map_or(name, |(_, host)| host)
                .into(),
            wait: span.left()?,
            source: Box::new(wait.error.clone()),
        })
    }

    /// Records the end of a lookup at a host, and the error if it failed. `is_of_remote` is whether the silence of the
    /// server says nothing about the host, because it answers for other remotes.
    pub(super) fn record(&mut self, name: &str, error: Option<&LookupError>, is_of_remote: bool) {
        let Some(host) = self.0.get_mut(name) else {
            return;
        };
        if let Some(LookupError::Waiting { .. } | LookupError::Aborted) = error {
            // The host was not asked.
            return;
        }
        let fault = error.map_or(Fault::Repository, LookupError::fault);
        let Some(error) = error.filter(|_| fault != Fault::Repository) else {
            // The host works.
            (host.is_answering, host.errors, host.wait) = (true, 0, None);
            return;
        };
        let is_counted = fault == Fault::Unreachable || !is_of_remote;
        if is_counted {
            host.is_answering = false;
            host.errors = host.errors.saturating_add(1);
        }
        let tolerated = match fault {
            Fault::Unreachable => 0,
            Fault::Silent | Fault::Repository => SILENT_LOOKUPS - 1,
        };
        let counted = host.errors.saturating_sub(tolerated);
        let own =
            (is_counted && counted > 0).then(|| retry_delay(FIRST_WAIT, LONGEST_WAIT, counted));
        host.wait_for(own, error);
    }
}

impl Host {
    /// Begins a wait after an error: the host's own, or the one that it asks for, whichever is longer. A wait that has
    /// begun does not become shorter.
    fn wait_for(&mut self, own: Option<Duration>, error: &LookupError) {
        let asked_for = error.retry_after();
        let Some(whole) = asked_for.max(own) else {
            return;
        };
        let all = Span::of(whole);
        let before = self.wait.take();
        let asked_before = before.as_ref().and_then(|wait| wait.asked_for);
        let asked_for = later(asked_before, asked_for.map(Span::of));
        let longer = before.filter(|wait| all.until < wait.all.until);
        let error = error.clone();
        self.wait = Some(Wait {
            asked_for,
            ..longer.unwrap_or(Wait {
                all,
                asked_for,
                error,
            })
        });
    }
}
