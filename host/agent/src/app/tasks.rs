//! The tasks beside the loop of the agent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::agent::{Agent, Work};
use crate::gateway::{Availability, GatewayClient, GatewayError};
use crate::health::{self, Health, Site};
use crate::metrics::Metrics;
use crate::problems::ProblemSender;
use crate::report::Report;

/// The time between two looks at a gateway that does not answer yet.
const LOOK_PERIOD: Duration = Duration::from_secs(5);
/// The time after which the report says why the gateway has not confirmed the files.
const SLOW_START: Duration = Duration::from_mins(1);
/// The time limit of the look at the start. A gateway that is not started refuses the connection at once.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// The time limit to write the last report and events.
const WRITE_TIME: Duration = Duration::from_secs(5);

/// Tasks that end when the value is dropped.
#[derive(Default)]
pub(super) struct Tasks(JoinSet<()>);

impl Tasks {
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    /// Waits until all tasks have ended by themselves.
    pub(super) async fn finish(mut self) {
        while self.0.join_next().await.is_some() {}
    }

    /// Serves probes or metrics.
    pub(super) fn serve(&mut self, listener: TcpListener, site: Site) {
        self.spawn(health::serve(listener, site));
    }

    /// Asks the gateway until it runs. An API key that cannot be used is a problem.
    pub(super) async fn look_for(
        &mut self,
        gateway: GatewayClient,
        health: Arc<Health>,
        metrics: Metrics,
        problems: ProblemSender,
    ) -> watch::Receiver<Availability> {
        let first = tokio::time::timeout(FIRST_LOOK, gateway.check()).await;
        let state = match &first {
            Ok(Ok(())) => Availability::Running,
            Ok(Err(error)) => {
                report_refusal(error, &health, &problems);
                error.availability()
            }
            Err(_) => Availability::Down,
        };
        let (sender, receiver) = watch::channel(state);
        if state != Availability::Running {
            self.spawn(async move {
                let ready = until_running(&gateway, &health, &problems, &sender).await;
                if let Some(ready) = ready {
                    metrics.gateway_started(ready.elapsed());
                }
                tracing::info!("the gateway answers");
                sender.send_replace(Availability::Running);
                // The receiver must not be told that the sender is gone.
                sender.closed().await;
            });
        }
        receiver
    }
}

/// Runs the loop of an agent until `ended` completes. Then it finishes the running sync, and waits a limited time until
/// the tasks that report have written everything.
pub(super) async fn run_until<W: Work>(
    agent: Agent<W>,
    before: Report,
    reporting: Tasks,
    shutdown: CancellationToken,
    ended: impl Future<Output = ()> + Send,
) {
    let health = Arc::clone(&agent.health);
    let agent = agent.run(before, shutdown.clone());
    let mut agent = std::pin::pin!(agent);
    tokio::select! {
        () = &mut agent => {}
        () = ended => {
            health.set_ending();
            shutdown.cancel();
            agent.await;
        }
    }
    // The loop has dropped the senders, so the tasks end when they have written everything.
    let written = tokio::time::timeout(WRITE_TIME, reporting.finish()).await;
    if written.is_err() {
        tracing::warn!("the last report is not written in time");
    }
}

/// Asks the gateway until it runs. Reports what is wrong with the API key, and when the gateway begins to refuse.
/// Returns the time from which on it could start.
async fn until_running(
    gateway: &GatewayClient,
    health: &Health,
    problems: &ProblemSender,
    state: &watch::Sender<Availability>,
) -> Option<Instant> {
    let mut ready = None;
    let mut last_error = String::new();
    loop {
        tokio::time::sleep(LOOK_PERIOD).await;
        if ready.is_none() && health.is_ready() {
            ready = Some(Instant::now());
        }
        match gateway.check().await {
            Ok(()) => {
                problems.set_gateway("");
                problems.set_unconfirmed("");
                return ready;
            }
            Err(error) => {
                report_refusal(&error, health, problems);
                state.send_if_modified(|state| {
                    std::mem::replace(state, error.availability()) != *state
                });
                let error = stoker_report::chain(&error).to_string();
                if ready.is_some() && error != last_error {
                    tracing::info!(error, "the gateway is not ready");
                    last_error.clone_from(&error);
                }
                if ready.is_some_and(|ready: Instant| ready.elapsed() >= SLOW_START) {
                    problems.set_unconfirmed(&error);
                }
            }
        }
    }
}

/// Reports what is wrong with the API key. A gateway that refuses it has started.
fn report_refusal(error: &GatewayError, health: &Health, problems: &ProblemSender) {
    let Some(refused) = error.refused_key() else {
        return;
    };
    problems.set_gateway(&refused);
    if matches!(error, GatewayError::Status(_)) {
        health.set_ready();
    }
}

/// Listens on an address.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}"))
}

/// Registers the metrics.
pub(super) fn metrics() -> (Metrics, Arc<Registry>) {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    (metrics, Arc::new(registry))
}

#[cfg(test)]
mod tests {
    use stoker_local_cluster::FakeGateway;

    use super::*;
    use crate::gateway::GatewayAddress;

    #[tokio::test]
    async fn a_refused_api_key_is_a_problem_until_it_is_accepted() {
        let gateway = FakeGateway::start().await.unwrap();
        gateway.require_key("agent:right");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "agent:wrong").unwrap();
        let address = GatewayAddress {
            port: gateway.port(),
            tls: false,
            key_file: Some(file.path().to_owned()),
        };
        let client = GatewayClient::new(address).unwrap();
        let health = Arc::new(Health::default());
        let (sender, mut problems) = ProblemSender::channel();
        let mut tasks = Tasks::default();
        let looks = tasks.look_for(client, Arc::clone(&health), metrics().0, sender);
        let mut availability = looks.await;
        let mut shows = async |expected: &str| {
            let found = problems.wait_for(|problems| problems.to_string() == expected);
            let found = tokio::time::timeout(Duration::from_secs(20), found).await;
            assert!(found.is_ok(), "{expected}");
        };
        shows("the gateway refuses the API key (HTTP 401)").await;
        assert!(health.is_ready(), "the gateway has started");
        assert_eq!(*availability.borrow(), Availability::Refusing);
        std::fs::write(file.path(), "agent:ri\nght").unwrap();
        shows("the API key contains a character that is not allowed in a header").await;
        assert_eq!(
            gateway.calls().len(),
            1,
            "the calls are not repeated at once"
        );
        std::fs::write(file.path(), "agent:right").unwrap();
        shows("").await;
        let runs = availability.wait_for(|state| *state == Availability::Running);
        runs.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_does_not_answer_for_a_while_is_reported() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = GatewayAddress {
            port: closed.local_addr().unwrap().port(),
            tls: false,
            key_file: None,
        };
        drop(closed);
        let client = GatewayClient::new(address).unwrap();
        let health = Arc::new(Health::default());
        let (sender, mut problems) = ProblemSender::channel();
        let mut tasks = Tasks::default();
        let looks = tasks.look_for(client, Arc::clone(&health), metrics().0, sender);
        let _availability = looks.await;
        let started = Instant::now();
        health.set_ready();
        let shown = problems.wait_for(|problems| !problems.unconfirmed.is_empty());
        let shown = shown.await.unwrap().clone();
        assert!(started.elapsed() >= SLOW_START);
        assert!(
            shown.unconfirmed.starts_with("the gateway does not answer"),
            "{shown:?}"
        );
        // It may only be slow.
        assert_eq!(shown.to_string(), "");
    }
}
