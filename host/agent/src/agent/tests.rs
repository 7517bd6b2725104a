//! The loop with a fake of what it lets others do, in paused time.

use std::collections::VecDeque;
use std::sync::Mutex;

use prometheus_client::registry::Registry;
use stoker_api::detection::{CommitId, GitRef, RepoUrl};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;
use crate::gateway::Designer;
use crate::metrics::Files;
use crate::notice::Notice;

fn published(digit: char) -> Published {
    Published {
        commit: CommitId::parse(&digit.to_string().repeat(40)).unwrap(),
        git_ref: GitRef::parse("main").unwrap(),
        repo: RepoUrl::parse("https://git.example/o/r.git").unwrap(),
        profiles: "{}".to_owned(),
        is_paused: false,
    }
}

/// What the fake does at each sync. Without an entry, it succeeds.
#[derive(Default)]
struct Script {
    outcomes: VecDeque<Outcome>,
    takes: Duration,
    /// The first digit of each synced commit, the phase, and the second since the start.
    syncs: Vec<(String, Phase, u64)>,
    on_disk: OnDisk,
    has_drift: bool,
}

#[derive(Clone)]
struct FakeWork {
    script: Arc<Mutex<Script>>,
    started: Instant,
}

impl Work for FakeWork {
    async fn sync(&mut self, wanted: &Published, phase: Phase) -> Outcome {
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
        outcome
    }

    fn on_disk(&self) -> OnDisk {
        self.script.lock().unwrap().on_disk.clone()
    }

    async fn find_drift(&mut self) -> bool {
        std::mem::take(&mut self.script.lock().unwrap().has_drift)
    }

    fn period(&self) -> Duration {
        Duration::from_secs(30)
    }
}

struct Fixture {
    work: FakeWork,
    publish: watch::Sender<Option<Published>>,
    gateway: watch::Sender<bool>,
    reports: watch::Receiver<Option<Report>>,
    notices: mpsc::Receiver<Notice>,
    health: Arc<Health>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Fixture {
    fn start(first: Option<Published>, outcomes: Vec<Outcome>) -> Self {
        let script = Script {
            outcomes: outcomes.into(),
            ..Script::default()
        };
        let work = FakeWork {
            script: Arc::new(Mutex::new(script)),
            started: Instant::now(),
        };
        let (publish, published) = watch::channel(first);
        let (gateway, running) = watch::channel(false);
        let (reports, read_reports) = watch::channel(None);
        let (sender, notices) = NoticeSender::channel();
        let health = Arc::new(Health::default());
        let agent = Agent {
            work: work.clone(),
            identity: Identity {
                gateway: "blue".to_owned(),
                profile: "edge".to_owned(),
            },
            published,
            running: Some(running),
            reports,
            notices: sender,
            health: Arc::clone(&health),
            metrics: Metrics::register(&mut Registry::default()),
        };
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(agent.run(Report::default(), shutdown.clone()));
        Self {
            work,
            publish,
            gateway,
            reports: read_reports,
            notices,
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

    fn reasons(&mut self) -> Vec<&'static str> {
        std::iter::from_fn(|| self.notices.try_recv().ok())
            .map(|notice| notice.reason)
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
    it.gateway.send_replace(true);
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
    it.gateway.send_replace(true);
    it.after(1).await;
    let commits: Vec<_> = it.syncs().into_iter().map(|(commit, ..)| commit).collect();
    assert_eq!(commits, ["a", "b", "b"]);
    assert_eq!(it.report().synced_commit, "b".repeat(40));
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
    it.gateway.send_replace(true);
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
async fn a_paused_object_lets_the_gateway_start_with_what_is_there() {
    let mut paused = published('a');
    paused.is_paused = true;
    let it = Fixture::start(Some(paused), Vec::new());
    it.work.script.lock().unwrap().on_disk.commit = "c".repeat(40);
    it.after(1).await;
    assert!(it.health.is_ready());
    assert_eq!(it.report().sync_status, SyncStatus::Pending);
    assert_eq!(it.report().synced_commit, "c".repeat(40));
    it.gateway.send_replace(true);
    it.after(600).await;
    assert_eq!(it.syncs(), []);
    it.publish.send_replace(Some(published('b')));
    it.after(1).await;
    assert_eq!(it.report().sync_status, SyncStatus::Synced);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_designers_sees_new_commits_and_the_end() {
    let waits = || Outcome::Designers {
        policy: DesignerSessionPolicy::Wait,
        open: vec![Designer::default()],
        period: Duration::from_secs(30),
    };
    let it = Fixture::start(Some(published('a')), vec![waits(), waits(), waits()]);
    it.gateway.send_replace(true);
    it.after(15).await;
    assert!(it.report().designer_sessions_blocked);
    it.publish.send_replace(Some(published('b')));
    it.after(1).await;
    assert_eq!(it.times(), [0, 10, 15]);
    it.shutdown.cancel();
    it.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn drift_that_is_to_be_repaired_starts_a_sync() {
    let it = Fixture::start(Some(published('a')), Vec::new());
    it.gateway.send_replace(true);
    it.after(10).await;
    it.work.script.lock().unwrap().has_drift = true;
    let before = it.syncs().len();
    it.after(31).await;
    assert_eq!(it.syncs().len(), before + 1);
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
