//! The loop of the agent: it syncs what is published, when the schedule says so, and reports the result.

mod outcome;
mod reporting;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::events::EventSender;
use crate::gateway::Availability;
use crate::health::Health;
use crate::metadata::{Metadata, Published};
use crate::metrics::Metrics;
use crate::problems::Problems;
use crate::report::{Report, SyncStatus};

pub(crate) use outcome::{Failure, OnDisk, Outcome, Step, Synced};
use reporting::{Reported, SyncEnd};
pub(crate) use schedule::Phase;
use schedule::{End, Idle, Next, Schedule};

/// How long a running sync may take after the agent was told to end. Kubernetes kills the agent 30 s after that.
const ENDING_TIME: Duration = Duration::from_secs(20);

/// The work that the loop calls.
pub(crate) trait Work {
    /// Brings what is published to the gateway. Returns `None` if something else was published before anything was
    /// changed.
    fn sync(
        &mut self,
        wanted: &Published,
        phase: Phase,
    ) -> impl Future<Output = Option<Outcome>> + Send;

    /// Returns what is on the gateway.
    fn on_disk(&self) -> OnDisk;

    /// Looks for files that others have changed since the last sync.
    fn find_drift(&mut self) -> impl Future<Output = Drift> + Send;

    /// Returns the time between two looks at the gateway.
    fn period(&self) -> Duration;
}

/// The files that others have changed since the last sync.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Drift {
    /// The paths of the files.
    pub(crate) files: Vec<String>,
    /// Whether they are to be put back.
    pub(crate) is_repaired: bool,
}

/// Who the agent is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The name of the gateway.
    pub(crate) gateway: String,
    /// The name of its profile.
    pub(crate) profile: String,
}

/// The agent of one gateway.
pub(crate) struct Agent<W> {
    pub(crate) work: W,
    pub(crate) identity: Identity,
    /// What is published.
    pub(crate) published: watch::Receiver<Option<Metadata>>,
    /// What is known about the gateway, or `None` if there is no gateway to ask.
    pub(crate) gateway: Option<watch::Receiver<Availability>>,
    /// What keeps the agent from its work, apart from failed syncs.
    pub(crate) problems: watch::Receiver<Problems>,
    pub(crate) reports: watch::Sender<Option<Report>>,
    pub(crate) events: EventSender,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Metrics,
}

impl<W: Work> Agent<W> {
    /// Runs until the shutdown, or until nothing can be published any more. A running sync is finished, within a time
    /// limit. `before` is the last report of an earlier agent of this gateway.
    pub(crate) async fn run(self, before: Report, shutdown: CancellationToken) {
        let mut schedule = Schedule::new();
        if self.gateway.is_none() {
            schedule.gateway_is_running();
        }
        let mut agent = Running {
            agent: self,
            schedule,
            before,
            problems: Problems::default(),
            has_let_start: false,
            gateway: Availability::Down,
            last_idle: None,
            last_drift: Drift::default(),
        };
        while !shutdown.is_cancelled() {
            agent.see_gateway();
            agent.see_problems();
            let published = agent.agent.published.borrow_and_update().clone();
            let next = agent.schedule.next(Instant::now(), published.as_ref());
            let goes_on = match next {
                Next::Sync(wanted) => agent.sync(wanted, &shutdown).await,
                Next::Wait(idle, until) => agent.wait(idle, until, &shutdown).await,
            };
            if !goes_on {
                break;
            }
        }
    }
}

struct Running<W> {
    agent: Agent<W>,
    schedule: Schedule,
    /// The last report, without the problems.
    before: Report,
    /// The problems that the report shows.
    problems: Problems,
    /// Whether a sync or a pause has let the gateway start.
    has_let_start: bool,
    /// What was known about the gateway at the last look.
    gateway: Availability,
    last_idle: Option<Idle>,
    last_drift: Drift,
}

impl<W: Work> Running<W> {
    /// Looks at what is known about the gateway. If it runs, it has started, so the probes must not take the pod out of
    /// service. If it begins to refuse, the files are put back that it has replaced at its first start: the API key may
    /// be in one of them.
    fn see_gateway(&mut self) {
        let Some(gateway) = &mut self.agent.gateway else {
            return;
        };
        let state = *gateway.borrow_and_update();
        let before = std::mem::replace(&mut self.gateway, state);
        match state {
            Availability::Running => {
                self.schedule.gateway_is_running();
                self.agent.health.set_ready();
            }
            Availability::Refusing if before == Availability::Down => self.schedule.repair(),
            Availability::Refusing | Availability::Down => {}
        }
    }

    /// Shows a new problem in the report, or takes one that is solved out of it.
    fn see_problems(&mut self) {
        let problems = self.agent.problems.borrow_and_update().clone();
        if problems == self.problems {
            return;
        }
        let before = std::mem::replace(&mut self.problems, problems).to_string();
        let problem = self.problems.to_string();
        if !problem.is_empty() && problem != before {
            tracing::error!(error = problem, "the agent cannot do its work");
            self.agent.events.send(reporting::problem(&problem));
        }
        let on_disk = self.agent.work.on_disk();
        self.before = Report {
            synced_commit: on_disk.commit,
            synced_ref: on_disk.git_ref,
            profile_name: self.agent.identity.profile.clone(),
            ..self.before.clone()
        }
        .finish(Timestamp::now());
        self.write();
    }

    /// Syncs. Returns whether the loop goes on.
    async fn sync(&mut self, wanted: Published, shutdown: &CancellationToken) -> bool {
        self.last_idle = None;
        let phase = self.schedule.phase();
        let started = Instant::now();
        let ended = async {
            shutdown.cancelled().await;
            tokio::time::sleep(ENDING_TIME).await;
        };
        let outcome = tokio::select! {
            biased;
            outcome = self.agent.work.sync(&wanted, phase) => outcome,
            () = ended => {
                tracing::warn!("the agent stops before the sync is complete; the next start completes it");
                return false;
            }
        };
        let Some(outcome) = outcome else {
            return true;
        };
        let now = Instant::now();
        let is_blocked = matches!(outcome, Outcome::Designers { .. });
        self.schedule
            .record(now, phase, wanted.clone(), End::of(&outcome));
        if !is_blocked {
            self.agent.metrics.designers_unblocked();
        }
        let reported = reporting::report(
            &SyncEnd {
                gateway: &self.agent.identity.gateway,
                profile: &self.agent.identity.profile,
                wanted: &wanted,
                on_disk: &self.agent.work.on_disk(),
                outcome: &outcome,
                is_unconfirmed: phase == Phase::Starting,
                has_timed_out: self.schedule.has_timed_out(now, &wanted),
                took: now - started,
                now: Timestamp::now(),
            },
            &self.before,
        );
        log(&wanted, &outcome, now - started);
        if outcome.allows_start() {
            self.let_start();
        }
        self.send(reported);
        true
    }

    /// Waits for a change. Returns whether the loop goes on.
    async fn wait(
        &mut self,
        idle: Idle,
        until: Option<Instant>,
        shutdown: &CancellationToken,
    ) -> bool {
        if self.last_idle.replace(idle) != Some(idle) {
            self.enter(idle);
        }
        let is_starting = self.schedule.phase() == Phase::Starting;
        let until = until.map(tokio::time::sleep_until);
        let until = async {
            match until {
                Some(until) => until.await,
                None => std::future::pending().await,
            }
        };
        let gateway = self.agent.gateway.as_mut();
        let problems = &mut self.agent.problems;
        let gateway_news = async {
            match gateway.filter(|_| is_starting) {
                Some(gateway) => gateway.changed().await.is_ok(),
                None => false,
            }
        };
        let period = self.agent.work.period();
        let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::select! {
            () = shutdown.cancelled() => false,
            changed = self.agent.published.changed() => changed.is_ok(),
            true = gateway_news => true,
            Ok(()) = problems.changed() => true,
            () = until => true,
            _ = ticks.tick() => {
                self.look(idle).await;
                true
            }
        }
    }

    /// Tells that there is nothing to do, once.
    fn enter(&mut self, idle: Idle) {
        if idle != Idle::Paused {
            return;
        }
        tracing::info!("the object is paused, so the gateway keeps what it has");
        if self.has_let_start {
            return;
        }
        // The gateway starts with what is there.
        self.let_start();
        let on_disk = self.agent.work.on_disk();
        let report = Report {
            sync_status: SyncStatus::Pending,
            synced_commit: on_disk.commit,
            synced_ref: on_disk.git_ref,
            profile_name: self.agent.identity.profile.clone(),
            history: self.before.history.clone(),
            ..Report::default()
        };
        self.send(Reported {
            report: report.finish(Timestamp::now()),
            event: None,
        });
    }

    fn let_start(&mut self) {
        self.has_let_start = true;
        self.agent.health.set_ready();
    }

    /// Counts a look at which there was nothing to sync, and looks for drift.
    async fn look(&mut self, idle: Idle) {
        let reason = match idle {
            Idle::Unpublished => return,
            Idle::Paused => "paused",
            Idle::Unchanged => "commit_unchanged",
            Idle::BackOff => "backoff",
            Idle::Designers => "designer_blocked",
            Idle::Unconfirmed => "unconfirmed",
        };
        self.agent.metrics.skipped(reason);
        if idle == Idle::Unchanged {
            let drift = self.agent.work.find_drift().await;
            self.report_drift(drift);
        }
    }

    /// Reports which files others have changed, once while they stay the same.
    fn report_drift(&mut self, drift: Drift) {
        if drift.is_repaired && !drift.files.is_empty() {
            self.schedule.repair();
        }
        if let Some(event) =
            reporting::drift(&self.agent.identity.gateway, &drift, &self.last_drift)
        {
            tracing::warn!(
                files = drift.files.len(),
                repaired = drift.is_repaired,
                "{}",
                event.message
            );
            self.agent.events.send(event);
        }
        self.last_drift = drift;
    }

    fn send(&mut self, reported: Reported) {
        self.before = reported.report;
        self.write();
        if let Some(event) = reported.event {
            self.agent.events.send(event);
        }
    }

    /// Writes the report, unless only its time is new: a sync that is held ends in the same way every few seconds.
    fn write(&self) {
        let report = reporting::with_problems(&self.before, &self.problems);
        self.agent.reports.send_if_modified(|sent| {
            let is_known = |sent: &Report| sent.says_the_same(&report);
            let is_new = !sent.as_ref().is_some_and(is_known);
            if is_new {
                *sent = Some(report);
            }
            is_new
        });
    }
}

/// Writes the record of a sync as one line of the log.
fn log(wanted: &Published, outcome: &Outcome, took: Duration) {
    let commit = wanted.commit.as_str();
    let git_ref = wanted.git_ref.as_str();
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Outcome::Synced(synced) => tracing::info!(
            commit,
            git_ref,
            author = synced.author,
            added = synced.files.added,
            modified = synced.files.modified,
            deleted = synced.files.deleted,
            dry_run = synced.is_dry_run,
            scan = synced.scan,
            millis,
            "synced"
        ),
        Outcome::ProfilePaused => {
            tracing::info!(
                commit,
                "the profile is paused, so the gateway keeps what it has"
            );
        }
        Outcome::Designers { open, .. } => tracing::warn!(
            commit,
            designers = reporting::designers(open),
            "designers are open, so nothing is synced"
        ),
        Outcome::Unconfirmed { message } => {
            tracing::warn!(commit, reason = message, "the sync is held");
        }
        Outcome::Failed(failure) => tracing::error!(
            commit,
            git_ref,
            error = format!("{}{}", failure.step.prefix(), failure.message),
            millis,
            "the sync failed"
        ),
    }
}

#[cfg(test)]
mod tests;
