//! The hosts of the remotes: how many conversations each has at once, and how long it is not asked after errors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use stoker_git::Remote;
use stoker_process::retry_delay;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::error::{Fault, LookupError};

/// The maximum number of conversations with one host at once, apart from those with silent remotes.
const CONVERSATIONS: usize = 4;
/// The maximum number of them with remotes that were not looked up before. One that hangs has its permit for long, so that
/// a permit is left for the remotes that answer.
const UNKNOWN: usize = 3;
/// The maximum number of conversations with remotes on one host that were silent last. They use no other permits.
const SILENT: usize = 2;
/// The number of lookups in a row without an answer after which a host is not asked for some time. A single one may be
/// due to its repository.
const SILENT_LOOKUPS: u32 = 3;
/// The first wait after errors. It doubles from error to error.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait that the host did not ask for.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The hosts of all remotes, by host and port.
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

/// The permits for conversations with a host.
pub(super) struct Permits {
    all: Semaphore,
    unknown: Semaphore,
    silent: Semaphore,
}

impl Default for Permits {
    fn default() -> Self {
        Self {
            all: Semaphore::new(CONVERSATIONS),
            unknown: Semaphore::new(UNKNOWN),
            silent: Semaphore::new(SILENT),
        }
    }
}

impl Permits {
    /// Waits for a permit for a conversation with a remote.
    pub(super) async fn take(&self, last: LastLookup) -> impl Sized {
        // No semaphore is ever closed.
        let first = match last {
            LastLookup::Unknown => self.unknown.acquire().await.ok(),
            LastLookup::Ended => None,
            LastLookup::Silent => return (self.silent.acquire().await.ok(), None),
        };
        (first, self.all.acquire().await.ok())
    }
}

struct Wait {
    until: Instant,
    error: LookupError,
    /// Whether the host asked for it.
    is_asked_for: bool,
}

impl Hosts {
    /// Adds a remote, and returns its host.
    pub(super) fn join(&mut self, remote: &Remote) -> Arc<str> {
        let url = remote.url().url();
        let name = url.host_str().unwrap_or_default();
        let name = match url.port_or_known_default() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
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
        let now = Instant::now();
        let is_waited_for = |host: &Host| host.wait.as_ref().is_some_and(|wait| now < wait.until);
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
        let until = self.0.get(name)?.wait.as_ref()?.until;
        (until > Instant::now()).then_some(until)
    }

    /// Returns whether the last conversation with a host had an answer.
    pub(super) fn is_answering(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|host| host.is_answering)
    }

    /// Returns why a host is not asked now, or `None` if it is.
    pub(super) fn refusal(&self, name: &Arc<str>, is_requested: bool) -> Option<LookupError> {
        let wait = self.0.get(name)?.wait.as_ref()?;
        let left = wait.until.checked_duration_since(Instant::now())?;
        if left.is_zero() || (is_requested && !wait.is_asked_for) {
            return None;
        }
        Some(LookupError::Waiting {
            host: Arc::clone(name),
            seconds: left.as_secs().max(1),
            source: Box::new(wait.error.clone()),
        })
    }

    /// Records the end of a lookup at a host, and the error if it failed.
    pub(super) fn record(&mut self, name: &str, error: Option<&LookupError>) {
        let Some(host) = self.0.get_mut(name) else {
            return;
        };
        if let Some(LookupError::Waiting { .. } | LookupError::Aborted) = error {
            // The host was not asked.
            return;
        }
        let fault = error.map_or(Fault::Repository, LookupError::fault);
        host.is_answering = fault == Fault::Repository;
        let Some(error) = error.filter(|_| fault != Fault::Repository) else {
            // The host works.
            (host.errors, host.wait) = (0, None);
            return;
        };
        host.errors = host.errors.saturating_add(1);
        let tolerated = match fault {
            Fault::Unreachable => 0,
            Fault::Silent | Fault::Repository => SILENT_LOOKUPS - 1,
        };
        let asked_for = error.retry_after();
        let counted = host.errors.saturating_sub(tolerated);
        let own = (counted > 0).then(|| retry_delay(FIRST_WAIT, LONGEST_WAIT, counted));
        if let Some(wait) = asked_for.max(own) {
            host.wait = Some(Wait {
                until: Instant::now() + wait,
                error: error.clone(),
                is_asked_for: asked_for.is_some(),
            });
        }
    }
}
