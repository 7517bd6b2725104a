use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::fake_client::{client, status};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/stoker-system/leases";

/// An API server with at most one lease. It refuses writes of other versions than the last.
#[derive(Clone, Default)]
struct Leases(Arc<Mutex<Option<Value>>>);

impl Leases {
    fn client(&self, line: Arc<Line>) -> Client {
        let leases = self.clone();
        client(move |request| {
            let leases = leases.clone();
            let line = Arc::clone(&line);
            async move {
                let is_write = request.method() != Method::GET;
                let answer = if line.is_cut_off.load(Ordering::Relaxed) {
                    // A delay, so that steps do not happen exactly at the deadline.
                    sleep(Duration::from_millis(100)).await;
                    refusal(503, "ServiceUnavailable")
                } else {
                    leases.answer(request).await
                };
                if is_write && line.loses_answers.load(Ordering::Relaxed) {
                    pending::<()>().await;
                }
                answer
            }
        })
    }

    async fn answer(&self, request: Request<Body>) -> (u16, Value) {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let sent: Value = serde_json::from_slice(&body).unwrap_or_default();
        let path = head.uri.path();
        let mut lease = self.0.lock().unwrap();
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        match (head.method, &mut *lease) {
            (Method::GET, Some(lease)) => (200, lease.clone()),
            (Method::GET | Method::PUT, None) => refusal(404, "NotFound"),
            (Method::POST, None) => {
                assert_eq!(path, LEASES);
                (201, stored(&mut lease, sent))
            }
            (Method::POST, Some(_)) => refusal(409, "AlreadyExists"),
            (Method::PUT, Some(known)) if version(known) != version(&sent) => {
                refusal(409, "Conflict")
            }
            (Method::PUT, Some(_)) => {
                assert_eq!(path, format!("{LEASES}/{LEASE}"));
                (200, stored(&mut lease, sent))
            }
            (method, _) => panic!("{method} {path}"),
        }
    }

    fn spec(&self) -> Value {
        self.0.lock().unwrap().as_ref().unwrap()["spec"].clone()
    }
}

fn stored(lease: &mut Option<Value>, mut sent: Value) -> Value {
    let version = sent["metadata"]["resourceVersion"]
        .as_str()
        .map_or(0, |text| text.parse::<u64>().unwrap());
    sent["metadata"]["resourceVersion"] = json!((version + 1).to_string());
    lease.insert(sent).clone()
}

fn refusal(code: u16, reason: &str) -> (u16, Value) {
    status(code, reason, reason)
}

/// The faults of the connection between a replica and the API server.
#[derive(Default)]
struct Line {
    is_cut_off: AtomicBool,
    /// Writes succeed, but their answers are lost.
    loses_answers: AtomicBool,
}

struct Replica {
    leadership: Leadership,
    shutdown: CancellationToken,
    line: Arc<Line>,
    task: JoinHandle<()>,
}

impl Replica {
    fn start(leases: &Leases, identity: &str) -> Self {
        Self::start_over(Line::default(), leases, identity)
    }

    fn start_over(line: Line, leases: &Leases, identity: &str) -> Self {
        let line = Arc::new(line);
        let shutdown = CancellationToken::new();
        let candidate = Candidate {
            namespace: "stoker-system".to_owned(),
            identity: identity.to_owned(),
        };
        let client = leases.client(Arc::clone(&line));
        let (leadership, election) = elect(client, candidate, shutdown.clone());
        let task = tokio::spawn(election);
        Self {
            leadership,
            shutdown,
            line,
            task,
        }
    }

    /// Waits until this replica leads, and returns how long that took.
    async fn leads_after(&mut self) -> Duration {
        let begun = Instant::now();
        timeout(Duration::from_mins(5), self.leadership.gained())
            .await
            .unwrap();
        begun.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn one_replica_leads_and_another_within_two_seconds_of_its_end() {
    let leases = Leases::default();
    let mut first = Replica::start(&leases, "first");
    assert!(first.leads_after().await < Duration::from_secs(1));
    let mut second = Replica::start(&leases, "second");
    sleep(Duration::from_mins(10)).await;
    assert!(first.leadership.is_held() && !second.leadership.is_held());
    assert_eq!(leases.spec()["holderIdentity"], "first");
    assert_eq!(leases.spec()["leaseTransitions"], 0);

    first.shutdown.cancel();
    first.task.await.unwrap();
    assert!(!first.leadership.is_held());
    assert!(second.leads_after().await < Duration::from_secs(2));
    assert_eq!(leases.spec()["holderIdentity"], "second");
    assert_eq!(leases.spec()["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_released_expires() {
    let leases = Leases::default();
    let mut first = Replica::start(&leases, "first");
    first.leads_after().await;
    let mut second = Replica::start(&leases, "second");
    sleep(Duration::from_secs(30)).await;
    first.task.abort();
    let taken = second.leads_after().await;
    assert!(taken + RENEW_PERIOD >= LEASE_TIME, "{taken:?}");
    assert!(taken <= LEASE_TIME + 2 * RETRY_PERIOD, "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_renew_stops_leading_before_another_leads() {
    let leases = Leases::default();
    let mut first = Replica::start(&leases, "first");
    first.leads_after().await;
    let mut second = Replica::start(&leases, "second");
    sleep(Duration::from_secs(30)).await;
    first.line.is_cut_off.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    let lost = async {
        first.leadership.lost().await;
        begun.elapsed()
    };
    let (lost, gained) = tokio::join!(lost, second.leads_after());
    assert!(lost <= RENEW_DEADLINE, "{lost:?}");
    assert!(
        gained > lost + Duration::from_secs(1),
        "{lost:?} {gained:?}"
    );
    // Connected again, it waits like any other replica.
    first.line.is_cut_off.store(false, Ordering::Relaxed);
    sleep(Duration::from_mins(1)).await;
    assert!(!first.leadership.is_held() && second.leadership.is_held());
}

#[tokio::test(start_paused = true)]
async fn only_one_of_several_replicas_acquires_a_free_lease() {
    let leases = Leases::default();
    let names = ["a", "b", "c", "d"];
    for _ in 0..2 {
        let replicas = names.map(|name| Replica::start(&leases, name));
        sleep(LEASE_TIME + 2 * RETRY_PERIOD).await;
        let leading = replicas
            .iter()
            .filter(|replica| replica.leadership.is_held());
        assert_eq!(leading.count(), 1);
        for replica in &replicas {
            replica.task.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_stops_leading_if_the_lease_is_changed_by_hand() {
    let leases = Leases::default();
    let mut first = Replica::start(&leases, "first");
    first.leads_after().await;
    let mut taken = leases.0.lock().unwrap().clone().unwrap();
    taken["spec"]["holderIdentity"] = json!("by hand");
    stored(&mut leases.0.lock().unwrap(), taken);
    let begun = Instant::now();
    first.leadership.lost().await;
    assert!(begun.elapsed() <= RENEW_PERIOD);
    assert_eq!(leases.spec()["holderIdentity"], "by hand");
    // A replica that ends does not release the lease of another.
    first.shutdown.cancel();
    first.task.await.unwrap();
    assert_eq!(leases.spec()["holderIdentity"], "by hand");
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_acquisition_was_not_confirmed_is_released() {
    let leases = Leases::default();
    let line = Line {
        loses_answers: true.into(),
        ..Line::default()
    };
    let first = Replica::start_over(line, &leases, "first");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(leases.spec()["holderIdentity"], "first");
    assert!(!first.leadership.is_held());
    first.line.loses_answers.store(false, Ordering::Relaxed);
    first.shutdown.cancel();
    first.task.await.unwrap();
    assert_eq!(leases.spec()["holderIdentity"], "");
}

#[tokio::test]
async fn a_process_without_other_replicas_leads() {
    let mut leadership = Leadership::undisputed();
    leadership.gained().await;
    assert!(leadership.is_held());
}
