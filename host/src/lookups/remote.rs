//! One remote: the objects that need it, and the last answer.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash as _, Hasher};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stoker_api::detection::{GitRef, ObjectKey};
use stoker_git::{Credentials, Remote, ResolvedRef};
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::Fault;
use super::host::{Hosts, LastLookup};
use super::poll::Poll;
use super::{LookupError, Reply};

/// What a remote is recognised by, so that its credentials need not be kept: the digest of its URL and credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RemoteId([u8; 32]);

impl RemoteId {
    pub(super) fn of(remote: &Remote) -> Self {
        let mut digest = Sha256Hasher(Sha256::new());
        remote.hash(&mut digest);
        Self(digest.0.finalize().into())
    }
}

/// Passes what is hashed to SHA-256, because the 64 bits of a [`Hasher`] do not exclude collisions.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// The results of a conversation for each ref, or why there are none.
pub(super) type Results = Result<HashMap<GitRef, Result<ResolvedRef, LookupError>>, LookupError>;

/// The answer of a remote.
pub(super) struct Answer {
    pub(super) began: Instant,
    pub(super) results: Results,
}

impl Answer {
    /// Returns the reply to a question, if this answer can be used for it.
    pub(super) fn reply(&self, refs: &[GitRef], not_before: Instant) -> Option<Reply> {
        if self.began < not_before {
            return None;
        }
        let results = match &self.results {
            Ok(results) => refs
                .iter()
                .map(|git_ref| results.get(git_ref).cloned())
                .collect::<Option<_>>()?,
            Err(error) => vec![Err(error.clone()); refs.len()],
        };
        Some(Reply {
            began: self.began,
            results,
        })
    }

    /// Returns the commit of a ref, `None` if it has none.
    pub(super) fn commit(&self, git_ref: &GitRef) -> Option<&ResolvedRef> {
        self.results.as_ref().ok()?.get(git_ref)?.as_ref().ok()
    }
}

/// The need of one object.
#[derive(Default)]
pub(super) struct Interest {
    pub(super) refs: Box<[GitRef]>,
    /// The polling interval. The object is woken when one of its refs changes. `None` if it follows no ref.
    pub(super) interval: Option<Duration>,
    /// The earliest start of a lookup that the object awaits.
    pub(super) awaits: Option<Instant>,
    /// Whether somebody waits for this lookup, so that it is not part of the waits after failures of the host.
    pub(super) is_requested: bool,
    /// Whether a pass of the object waits. Then the object is not woken.
    pub(super) is_attended: bool,
    pub(super) prefetched: Option<Prefetched>,
}

impl Interest {
    /// The refs that a request will need that is being written.
    fn prefetched_refs(&self) -> &[GitRef] {
        let prefetched = self.prefetched.as_ref();
        prefetched.map_or(&[], |prefetched| &prefetched.refs)
    }
}

/// A request that is being written.
pub(super) struct Prefetched {
    /// Its ref and the value of `requested-at`, until its pass has begun.
    pub(super) request: Option<(GitRef, String)>,
    pub(super) arrived: Instant,
    /// The refs that its pass will need. Empty once they were looked up.
    pub(super) refs: Box<[GitRef]>,
}

/// The state of one remote.
pub(super) struct RemoteState {
    pub(super) host: Arc<str>,
    /// The remote itself, if it is read without credentials.
    pub(super) public: Option<Remote>,
    pub(super) interests: HashMap<ObjectKey, Interest>,
    pub(super) answer: watch::Sender<Option<Arc<Answer>>>,
    /// The number of the lookup that is under way or that waits for its turn.
    pub(super) running: Option<u64>,
    pub(super) last_lookup: LastLookup,
    /// The next poll. `None` without an answer, or if no object follows a ref.
    pub(super) poll: Option<Poll>,
    /// The object that was woken for the last poll.
    pub(super) polled: Option<ObjectKey>,
}

impl RemoteState {
    pub(super) fn new(remote: &Remote, hosts: &mut Hosts) -> Self {
        Self {
            host: hosts.join(remote),
            public: Some(remote)
                .filter(|remote| *remote.credentials() == Credentials::Anonymous)
                .cloned(),
            interests: HashMap::new(),
            answer: watch::Sender::new(None),
            running: None,
            last_lookup: LastLookup::default(),
            poll: None,
            polled: None,
        }
    }

    /// Returns whether the next poll is too late for an object with this interval.
    pub(super) fn needs_poll(&self, interval: Duration) -> bool {
        let poll = self.poll.as_ref();
        poll.is_none_or(|poll| poll.is_late_for(interval))
    }

    /// Returns the reply to a question, if the last answer can be used for it. That the host was not asked is no answer to
    /// later questions.
    pub(super) fn reply(&self, refs: &[GitRef], not_before: Instant) -> Option<Reply> {
        let answer = self.answer.borrow();
        let answer = answer.as_ref()?;
        let was_asked = !matches!(answer.results, Err(LookupError::Waiting { .. }));
        was_asked.then(|| answer.reply(refs, not_before))?
    }

    /// Returns the refs that are needed: those of the objects that follow the remote, and of those that wait.
    pub(super) fn all_refs(&self) -> Vec<GitRef> {
        let interests = self.interests.values();
        let needed = interests
            .clone()
            .filter(|interest| interest.interval.is_some() || interest.awaits.is_some());
        let prefetched = interests.flat_map(Interest::prefetched_refs);
        let mut seen = HashSet::new();
        let refs = needed.flat_map(|interest| &interest.refs).chain(prefetched);
        refs.filter(|git_ref| seen.insert(*git_ref))
            .cloned()
            .collect()
    }

    /// Returns whether an object still awaits an answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.interests
            .values()
            .any(|interest| interest.awaits.is_some() || !interest.prefetched_refs().is_empty())
    }

    /// Returns whether somebody waits for an answer, which is then not part of the waits after failures of the host.
    pub(super) fn is_requested(&self) -> bool {
        self.interests.values().any(|interest| {
            let is_awaited = interest.awaits.is_some() && interest.is_requested;
            is_awaited || !interest.prefetched_refs().is_empty()
        })
    }

    /// Returns whether the server answered last.
    pub(super) fn is_answering(&self) -> bool {
        let has_answered = |answer: &Arc<Answer>| {
            let error = answer.results.as_ref().err();
            error.is_none_or(|error| error.fault() == Fault::Repository)
        };
        self.last_lookup == LastLookup::Ended
            && self.answer.borrow().as_ref().is_some_and(has_answered)
    }

    /// Stores an answer, and returns the objects that it concerns and that have no pass that waits for it.
    pub(super) fn take(&mut self, answer: Answer) -> Vec<ObjectKey> {
        self.last_lookup = self.last_lookup.after(answer.results.as_ref().err());
        let before = self.answer.borrow().clone();
        let mut woken = Vec::new();
        for (object, interest) in &mut self.interests {
            if let Some(prefetched) = &mut interest.prefetched
                && answer.reply(&prefetched.refs, prefetched.arrived).is_some()
            {
                prefetched.refs = Box::default();
            }
            let refs = &interest.refs;
            match interest.awaits {
                Some(not_before) if answer.reply(refs, not_before).is_some() => {
                    if !interest.is_attended {
                        woken.push(object.clone());
                    }
                    interest.awaits = None;
                    interest.is_attended = false;
                }
                None if interest.interval.is_some()
                    && is_news(before.as_deref(), &answer, refs) =>
                {
                    woken.push(object.clone());
                }
                _ => {}
            }
        }
        self.answer.send_replace(Some(Arc::new(answer)));
        woken
    }
}

/// Returns whether one of the refs has another commit, has lost its commit, or has one again.
fn is_news(before: Option<&Answer>, after: &Answer, refs: &[GitRef]) -> bool {
    before.is_some_and(|before| {
        refs.iter()
            .any(|git_ref| before.commit(git_ref) != after.commit(git_ref))
    })
}
