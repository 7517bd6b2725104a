//! Lookups of refs that objects share.
//!
//! The objects on one remote share one conversation with its server, for the refs of all of them, and each answer is
//! used for all objects that asked before its lookup began. The server of each remote is asked in a bounded number of
//! conversations at once, so that a server that does not answer delays only its own objects. An object that cannot wait
//! for an answer is woken when the answer has arrived, and also when an answer to another object changes what it knows.
//! One object of each remote is woken for each poll.
//!
//! No credentials are kept after a lookup: a remote is recognised by its digest.

mod conversation;
mod error;
mod host;
mod metrics;
mod permit;
mod poll;
mod prefetch;
mod remote;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stoker_api::detection::{GitRef, ObjectKey};
use stoker_git::{HostKey, RefSource, Remote, ResolvedRef};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};

pub use error::{HostWait, LookupError};
pub use metrics::LookupMetrics;

use host::Hosts;
use remote::{Answer, Interest, RemoteId, RemoteState};

/// How long a pass waits for an answer. Most servers answer earlier; then one pass is sufficient.
const PATIENCE: Duration = Duration::from_secs(1);
/// The maximum number of conversations at once that have just begun, with all servers.
const CONVERSATIONS: usize = 64;
/// The maximum number of conversations at once with servers that did not answer last, however long these take. A server
/// that answers needs no such permit.
const UNANSWERED: usize = 512;
/// How long a conversation counts as one that has just begun. Most end earlier. The others wait for their server, and need
/// no permit that another server could use: many servers that do not answer would have all permits.
const BEGINNING: Duration = Duration::from_millis(250);
/// The longest lookup. The git client has shorter limits of its own. This limit holds even if they fail.
const LONGEST: Duration = Duration::from_secs(90);

/// What an object needs to know of a remote.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The object.
    pub object: &'a ObjectKey,
    /// The remote.
    pub remote: &'a Remote,
    /// The refs.
    pub refs: &'a [GitRef],
    /// The earliest start of a lookup whose answer can be used.
    pub not_before: Instant,
    /// Whether a person or a webhook requested the lookup, or an annotation was changed. Then the waits after failures of
    /// the host do not apply, but only the time for which the host asked.
    pub is_requested: bool,
    /// The polling interval. The object is woken when one of its refs has changed. `None` if it follows no ref.
    pub interval: Option<Duration>,
}

/// The reply to a question.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The start of the lookup.
    pub began: Instant,
    /// The commits of the refs, or why a ref has none, in the order of the question.
    pub results: Vec<Result<ResolvedRef, LookupError>>,
}

/// The lookups of all objects. Clones share them.
pub struct Lookups<G>(Arc<Shared<G>>);

impl<G> Clone for Lookups<G> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<G> {
    source: Arc<G>,
    metrics: LookupMetrics,
    beginnings: Semaphore,
    unanswered: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    remotes: HashMap<RemoteId, RemoteState>,
    /// The remote of each object.
    objects: HashMap<ObjectKey, RemoteId>,
    hosts: Hosts,
    woken: Option<mpsc::UnboundedSender<ObjectKey>>,
    /// The number of lookups that were started.
    started: u64,
}

/// The answers of a remote, to wait for the one to a question.
type Pending = watch::Receiver<Option<Arc<Answer>>>;

impl<G: RefSource> Lookups<G> {
    /// Returns lookups in a source. None is started.
    #[must_use]
    pub fn new(source: Arc<G>, metrics: LookupMetrics) -> Self {
        Self(Arc::new(Shared {
            source,
            metrics,
            beginnings: Semaphore::new(CONVERSATIONS),
            unanswered: Semaphore::new(UNANSWERED),
            state: Mutex::default(),
        }))
    }

    /// Returns the objects that have a new answer, from now on. An earlier receiver gets no further objects.
    #[must_use]
    pub fn woken(&self) -> mpsc::UnboundedReceiver<ObjectKey> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.lock().woken = Some(sender);
        receiver
    }

    /// Returns the host key that the ssh server of a remote showed last.
    #[must_use]
    pub fn host_key(&self, remote: &Remote) -> Option<HostKey> {
        self.0.source.host_key(remote)
    }

    /// Answers a question. Waits for a lookup for at most a second; afterwards returns `None`, and the object is woken
    /// when there is an answer.
    pub async fn look_up(&self, question: Question<'_>) -> Option<Reply> {
        let mut pending = match self.ask(question) {
            Ok(reply) => return Some(reply),
            Err(pending) => pending,
        };
        let answered = |answer: &Option<Arc<Answer>>| {
            let answer = answer.as_ref();
            answer.and_then(|answer| answer.reply(question.refs, question.not_before))
        };
        let waiting = pending.wait_for(|answer| answered(answer).is_some());
        // An error means that the lookups were dropped.
        if let Ok(Ok(answer)) = timeout(PATIENCE, waiting).await {
            return answered(&answer);
        }
        let mut state = self.0.lock();
        if let Some(interest) = state.interest(question.object) {
            interest.is_attended = false;
        }
        // The answer may have arrived between the two statements.
        answered(&pending.borrow())
    }

    /// Answers a question if an answer is known. Otherwise, starts a lookup unless one is under way.
    fn ask(&self, question: Question<'_>) -> Result<Reply, Pending> {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let id = RemoteId::of(question.remote);
        if state.objects.get(question.object) != Some(&id) {
            state.remove(question.object);
            state.objects.insert(question.object.clone(), id);
        }
        let remote = state
            .remotes
            .entry(id)
            .or_insert_with(|| RemoteState::new(question.remote, &mut state.hosts));
        let interest = remote.interests.entry(question.object.clone()).or_default();
        if *interest.refs != *question.refs {
            interest.refs = question.refs.into();
        }
        interest.interval = question.interval;
        // Set again below, if the answer is not there yet.
        interest.awaits = None;
        if let Some(interval) = question.interval
            && remote.needs_poll(interval)
        {
            self.0.schedule_poll(id, remote);
        }
        if let Some(reply) = remote.reply(question.refs, question.not_before) {
            return Ok(reply);
        }
        if remote.running.is_none()
            && let Some(error) = state.hosts.refusal(&remote.host, question.is_requested)
        {
            return Ok(Reply {
                began: Instant::now(),
                results: vec![Err(error); question.refs.len()],
            });
        }
        if let Some(interest) = remote.interests.get_mut(question.object) {
            interest.awaits = Some(question.not_before);
            interest.is_requested = question.is_requested;
            interest.is_attended = true;
        }
        let answers = remote.answer.subscribe();
        if remote.running.is_none() {
            self.start(state, id, question.remote.clone());
        }
        Err(answers)
    }

    /// Starts a lookup of all refs of a remote.
    fn start(&self, state: &mut State, id: RemoteId, remote: Remote) {
        state.started += 1;
        let number = state.started;
        if let Some(entry) = state.remotes.get_mut(&id) {
            entry.running = Some(number);
            let shared = Arc::clone(&self.0);
            let permits = state.hosts.permits(&entry.host);
            tokio::spawn(async move { shared.run(id, number, &remote, &permits).await });
        }
    }
}

impl<G> Lookups<G> {
    /// Returns for how long the host of an object's remote is not asked, unless somebody requests a lookup.
    #[must_use]
    pub fn host_wait(&self, object: &ObjectKey) -> Option<HostWait> {
        let state = self.0.lock();
        let remote = state.remotes.get(state.objects.get(object)?)?;
        let refusal = state.hosts.refusal(&remote.host, false)?;
        refusal.refused_for()
    }

    /// Removes an object that does not exist any more, or that needs no lookups.
    pub fn forget(&self, object: &ObjectKey) {
        self.0.lock().remove(object);
    }

    /// Removes all objects and answers. Lookups that are under way have no effect.
    pub fn clear(&self) {
        let mut state = self.0.lock();
        // A later lookup must not have the number of one that is under way.
        let started = state.started;
        *state = State {
            started,
            ..State::default()
        };
    }
}

impl State {
    fn interest(&mut self, object: &ObjectKey) -> Option<&mut Interest> {
        let id = self.objects.get(object)?;
        self.remotes.get_mut(id)?.interests.get_mut(object)
    }

    fn remove(&mut self, object: &ObjectKey) {
        let Some(id) = self.objects.remove(object) else {
            return;
        };
        if let Some(remote) = self.remotes.get_mut(&id) {
            remote.interests.remove(object);
            let next = remote.next_instead_of(object);
            self.wake(next);
            self.drop_unused(id);
        }
    }

    fn wake(&self, objects: impl IntoIterator<Item = ObjectKey>) {
        if let Some(sender) = &self.woken {
            for object in objects {
                // Without a receiver, no controller is running.
                sender.send(object).ok();
            }
        }
    }

    /// Returns whether a host answers for one of its remotes.
    fn is_answering(&self, host: &Arc<str>) -> bool {
        let mut remotes = self.remotes.values();
        remotes.any(|remote| remote.host == *host && remote.is_answering())
    }

    /// Removes a remote that no object has any more.
    fn drop_unused(&mut self, id: RemoteId) {
        let is_used =
            |remote: &RemoteState| !remote.interests.is_empty() || remote.running.is_some();
        if self.remotes.get(&id).is_some_and(|remote| !is_used(remote))
            && let Some(remote) = self.remotes.remove(&id)
        {
            self.hosts.leave(&remote.host);
        }
    }

    /// Returns the remote of a lookup, unless the lookup has no effect any more.
    fn running(&mut self, id: RemoteId, number: u64) -> Option<&mut RemoteState> {
        let remote = self.remotes.get_mut(&id)?;
        (remote.running == Some(number)).then_some(remote)
    }
}

impl<G> Shared<G> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
