//! The loop with a fake of what it lets others do, in paused time.

mod pauses;
mod problems;

use std::collections::VecDeque;
use std::sync::Mutex;

use prometheus_client::registry::Registry;
use stoker_api::DesignerSessionPolicy;
use stoker_api::detection::{CommitId, GitRef, RepoUrl};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::events::Event;
use crate::gateway::Designer;
use crate::metrics::Files;
use crate::problems::ProblemSender;

fn published(digit: char) -> Metadata {
    Metadata::Published(Published {
        commit: CommitId::parse(&digit.to_string().repeat(40)).unwrap(),
        git_ref: GitRef::parse("main").unwrap(),
        repo: RepoUrl::parse("https://git.example/o/r.git").unwrap(),
        ca_bundle: None,
        profiles: "{}".to_owned(),
    })
}

/// What the fake does at each sync. Without an entry, it succeeds.
#[derive(Default)]
struct Script {
    outcomes: VecDeque<Outcome>,
    takes: Duration,
    /// The first digit of each synced commit, the phase, and the second since the start.
    syncs: Vec<(String, Phase, u64)>,
    on_disk: OnDisk,
    drift: Drift,
}

#[derive(Clone)]
struct FakeWork {
    script: Arc<Mutex<Script>>,
    started: Instant,
}

impl Work for FakeWork {
    async fn sync(&mut self, wanted: &Published, phase: Phase) -> Option<Outcome> {
        let (outcome, takes) = {
            let mut script = self.script.lock().unwrap();
            let commit = wanted.commit.as_str()[..1].to_owned();
            let at = self.started.elapsed().as_secs();
            script.syncs.push((commit, phase, at));
            let outcome = script.outcomes.pop_front();
            (
                outcome.unwrap_or(Outcome::Synced(Synced::default())),
                script.takes,
            )
        };
        tokio::time::sleep(takes).await;
        if matches!(outcome, Outcome::Synced(_)) {
            self.script.lock().unwrap().on_disk = OnDisk {
                commit: wanted.commit.to_string(),
                git_ref: "main".to_owned(),
            };
        }
        Some(outcome)
    }

    fn on_disk(&self) -> OnDisk {
        self.script.lock().unwrap().on_disk.clone()
    }

    async fn find_drift(&mut self) -> Drift {
        std::mem::take(&mut self.script.lock().unwrap().drift)
    }

    fn period(&self) -> Duration {
        Duration::from_secs(30)
    }
}

struct Fixture {
    work: FakeWork,
    publish: watch::Sender<Option<Metadata>>,
    gateway: watch::Sender<Availability>,
    problems: ProblemSender,
    reports: watch::Receiver<Option<Report>>,
    events: mpsc::Receiver<Event>,
    health: Arc<Health>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Fixture {
    fn start(first: Option<Metadata>, outcomes: Vec<Outcome>) -> Self {
        let script = Script {
            outcomes: outcomes.into(),
            ..Script::default()
        };
        let work = FakeWork {
            script: Arc::new(Mutex::new(script)),
            started: Instant::now(),
        };
        let (publish, published) = watch::channel(first);
        let (gateway, state) = watch::channel(Availability::Down);
        let (problem_sender, problems) = ProblemSender::channel();
        let (reports, read_reports) = watch::channel(None);
        let (sender, events) = EventSender::channel();
        let health = Arc::new(Health::default());
        let agent = Agent {
            work: work.clone(),
            identity: Identity {
                gateway: "blue".to_owned(),
                profile: "edge".to_owned(),
            },
            published,
            gateway: Some(state),
            problems,
            reports,
            events: sender,
            health: Arc::clone(&health),
            metrics: Metrics::register(&mut Registry::default()),
        };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(agent.run(Report::default(), shutdown.clone()));
        Self {
            work,
            publish,
            gateway,
            problems: problem_sender,
            reports: read_reports,
            events,
            health,
            shutdown,
            task,
        }
    }

    /// Lets the time pass.
    async fn after(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    fn syncs(&self) -> Vec<(String, Phase, u64)> {
        self.work.script.lock().unwrap().syncs.clone()
    }

    fn times(&self) -> Vec<u64> {
        self.syncs().into_iter().map(|(.., at)| at).collect()
    }

    fn report(&self) -> Report {
        self.reports.borrow().clone().unwrap_or_default()
    }

    /// Returns the number of reports in the next seconds, and waits for them.
    async fn count_reports(&mut self, seconds: u64) -> usize {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut count = 0;
        while tokio::time::timeout_at(end, self.reports.changed())
            .await
            .is_ok()
        {
            count += 1;
        }
        count
    }

    fn reasons(&mut self) -> Vec<&'static str> {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .map(|event| event.reason)
            .collect()
    }
}

fn failed(step: Step) -> Outcome {
    Outcome::Failed(Failure {
        step,
        message: "gone".to_owned(),
        files: Files::default(),
        allows_start: false,
    })
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_synced_before_the_gateway_starts_and_confirmed_afterwards() {
    let it = Fixture::start(None, Vec::new());
    it.after(100).await;
    assert!(!it.health.is_ready());
    it.publish.send_replace(Some(published('a')));
    it.after(1).await;
    assert!(it.health.is_ready());
    assert_eq!(it.report().sync_status, SyncStatus::Pending);
    it.gateway.send_replace(Availability::Running);
    it.after(1).await;
    assert_eq!(it.report().sync_status, SyncStatus::Synced);
    let (a, starting, running) = ("a".to_owned(), Phase::Starting, Phase::Running);
    assert_eq!(it.syncs(), [(a.clone(), starting, 100), (a, running, 101)]);
    it.after(600).await;
    assert_eq!(it.syncs().len(), 2, "nothing changed");
}

#[tokio::test(start_paused = true)]
async fn after_the_start_of_the_gateway_what_is_published_then_is_synced() {
    let it = Fixture::start(Some(published('a')), Vec::new());
    it.after(20).await;
    it.publish.send_replace(Some(published('b')));
    it.after(1).await;
    it.gateway.send_replace(Availability::Running);
    it.after(1).await;
    let commits: Vec<_> = it.syncs().into_iter().map(|(commit, ..)| commit).collect();
    assert_eq!(commits, ["a", "b", "b"]);
    assert_eq!(it.report().synced_commit, "b".repeat(40));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_begins_to_refuse_gets_its_files_again_and_is_confirmed_when_it_runs() {
    let it = Fixture::start(Some(published('a')), Vec::new());
    it.after(10).await;
    it.gateway.send_replace(Availability::Refusing);
    it.problems.set_gateway("refused");
    it.after(100).await;
    let (starting, running) = (Phase::Starting, Phase::Running);
    let sync = |commit: &str, phase, at| (commit.to_owned(), phase, at);
    let mut expected = vec![sync("a", starting, 0), sync("a", starting, 10)];
    assert_eq!(it.syncs(), expected, "once");
    assert_eq!(it.report().sync_status, SyncStatus::Error);
    assert_eq!(it.report().error_message, "refused");
    it.publish.send_replace(Some(published('b')));
    it.after(10).await;
    it.problems.set_gateway("");
    it.after(1).await;
    assert_eq!(it.report().sync_status, SyncStatus::Pending);
    it.gateway.send_replace(Availability::Running);
    it.after(600).await;
    expected.extend([sync("b", starting, 110), sync("b", running, 121)]);
    assert_eq!(it.syncs(), expected);
    assert_eq!(it.report().sync_status, SyncStatus::Synced);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_down_and_refuses_again_gets_its_files_again() {
    let it = Fixture::start(Some(published('a')), Vec::new());
    for state in [
        Availability::Refusing,
        Availability::Down,
        Availability::Refusing,
    ] {
        it.after(10).await;
        it.gateway.send_replace(state);
    }
    it.after(10).await;
    assert_eq!(it.times(), [0, 10, 30]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_first_fetch_is_reported_and_tried_again_and_keeps_the_gateway_from_starting() {
    let outcomes = vec![
        failed(Step::Clone),
        failed(Step::Clone),
        failed(Step::Clone),
    ];
    let mut it = Fixture::start(Some(published('a')), outcomes);
    it.after(29).await;
    assert!(!it.health.is_ready());
    assert_eq!(it.report().sync_status, SyncStatus::Error);
    assert_eq!(it.report().error_message, "git fetch: gone");
    it.after(200).await;
    assert_eq!(it.times(), [0, 30, 90, 210]);
    assert!(it.health.is_ready());
    assert_eq!(
        it.reasons(),
        ["CloneFailed", "CloneFailed", "CloneFailed", "SyncCompleted"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_scan_after_the_start_of_the_gateway_is_an_error_and_the_next_sync_is_with_what_is_published_then()
 {
    let outcomes = vec![Outcome::Synced(Synced::default()), failed(Step::Scan)];
    let it = Fixture::start(Some(published('a')), outcomes);
    it.after(1).await;
    it.gateway.send_replace(Availability::Running);
    it.after(1).await;
    assert_eq!(it.report().sync_status, SyncStatus::Error);
    it.publish.send_replace(Some(published('b')));
    it.after(1).await;
    assert_eq!(it.report().sync_status, SyncStatus::Synced);
    assert_eq!(it.report().synced_commit, "b".repeat(40));
    assert_eq!(it.times(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_new_commit_ends_a_back_off() {
    let outcomes = vec![
        failed(Step::Fetch),
        failed(Step::Fetch),
        failed(Step::Fetch),
    ];
    let it = Fixture::start(Some(published('a')), outcomes);
    it.after(100).await;
    it.publish.send_replace(Some(published('b')));
    it.after(1).await;
    assert_eq!(it.times(), [0, 30, 90, 100]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_designers_sees_new_commits_and_the_end() {
    let waits = || Outcome::Designers {
        policy: DesignerSessionPolicy::Wait,
        open: vec![Designer::default()],
        period: Duration::from_secs(30),
    };
    let it = Fixture::start(Some(published('a')), vec![waits(), waits(), waits()]);
    it.gateway.send_replace(Availability::Running);
    it.after(15).await;
    assert!(it.report().designer_sessions_blocked);
    it.publish.send_replace(Some(published('b')));
    it.after(1).await;
    assert_eq!(it.times(), [0, 10, 15]);
    it.shutdown.cancel();
    it.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn drift_is_told_and_starts_a_sync_if_it_is_to_be_repaired() {
    for (is_repaired, syncs) in [(true, 1), (false, 0)] {
        let mut it = Fixture::start(Some(published('a')), Vec::new());
        it.gateway.send_replace(Availability::Running);
        it.after(10).await;
        let before = it.syncs().len();
        it.reasons();
        it.work.script.lock().unwrap().drift = Drift {
            files: vec!["config/a.json".to_owned()],
            is_repaired,
        };
        it.after(31).await;
        assert_eq!(it.syncs().len(), before + syncs);
        assert_eq!(it.reasons(), ["FilesDrifted"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_a_running_sync_and_not_for_ever() {
    for (takes, is_finished) in [(15, true), (60, false)] {
        let it = Fixture::start(None, Vec::new());
        it.work.script.lock().unwrap().takes = Duration::from_secs(takes);
        it.publish.send_replace(Some(published('a')));
        it.after(1).await;
        it.shutdown.cancel();
        let started = Instant::now();
        it.task.await.unwrap();
        assert!(started.elapsed() <= Duration::from_secs(20));
        assert_eq!(it.reports.borrow().is_some(), is_finished);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_runs_is_not_taken_out_of_service_by_a_failed_sync() {
    let it = Fixture::start(Some(published('a')), vec![failed(Step::Clone)]);
    it.after(1).await;
    assert!(!it.health.is_ready());
    it.gateway.send_replace(Availability::Running);
    it.after(1).await;
    assert!(it.health.is_ready());
    assert_eq!(it.report().sync_status, SyncStatus::Error);
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_is_held_is_reported_once() {
    let unconfirmed = || Outcome::Unconfirmed {
        message: "it deletes 90 of 100 files".to_owned(),
    };
    let waits = || Outcome::Designers {
        policy: DesignerSessionPolicy::Wait,
        open: vec![Designer::default()],
        period: Duration::from_secs(30),
    };
    for outcome in [unconfirmed(), waits()] {
        let outcomes = vec![outcome; 10];
        let mut it = Fixture::start(Some(published('a')), outcomes);
        assert_eq!(it.count_reports(65).await, 1);
        assert_eq!(it.syncs().len(), 7);
        assert_eq!(it.report().history, []);
    }
}
