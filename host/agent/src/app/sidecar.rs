//! The agent beside a gateway in a pod.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use stoker_git::ObjectStore;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::tasks::{self, Tasks};
use super::{git_client, open_store};
use crate::agent::{Agent, Identity};
use crate::cluster::{self, Cluster, Events, Reports};
use crate::config::SidecarConfig;
use crate::environment::Environment;
use crate::events::EventSender;
use crate::gateway::GatewayClient;
use crate::health::{self, Health, Site};
use crate::lock::DirectoryLock;
use crate::metrics::Metrics;
use crate::problems::ProblemSender;
use crate::report::{Report, VERSION};
use crate::worker::{Progress, State, Subject, Worker};

/// The ports of the agent. Port 0 chooses a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The port of the probes.
    pub health: u16,
    /// The port of the metrics.
    pub metrics: u16,
}

impl Default for Ports {
    /// The ports that the injection expects.
    fn default() -> Self {
        Self {
            health: 8082,
            metrics: 8083,
        }
    }
}

/// Runs the agent with the settings of the environment, until the process is told to end.
pub(super) async fn run() -> Result<ExitCode> {
    let config = SidecarConfig::from_env(|name| std::env::var(name).ok())?;
    let ended = stoker_process::termination()?;
    let kubernetes = if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        Config::incluster().context("cannot use the service account of the pod")?
    } else {
        stoker_kubeconfig::default_or_pod()
            .await
            .context("found no Kubernetes cluster")?
    };
    let client =
        Client::try_from(kubernetes).context("cannot create a client of the Kubernetes API")?;
    let sidecar = Sidecar::start(client, config, Ports::default()).await?;
    Box::pin(sidecar.run_until(ended)).await?;
    Ok(ExitCode::SUCCESS)
}

/// A running agent.
pub struct Sidecar {
    agent: Agent<Worker>,
    before: Report,
    tasks: Tasks,
    reporting: Tasks,
    ports: Ports,
    /// Keeps other agents from the directory of this one.
    lock: DirectoryLock,
}

impl Sidecar {
    /// Opens the object store, and starts the servers and the tasks. Nothing is synced yet.
    pub async fn start(client: Client, config: SidecarConfig, ports: Ports) -> Result<Self> {
        let cluster = cluster(client, &config);
        let (metrics, registry) = tasks::metrics();
        let health = Arc::new(Health::default());
        let mut tasks = Tasks::default();
        let ports = serve(&mut tasks, ports, &health, registry).await?;

        let (store, lock) = open_store(&config.state)?;
        let gateway = GatewayClient::new(config.gateway.clone())?;
        let (problem_sender, problems) = ProblemSender::channel();
        let looks = tasks.look_for(
            gateway.clone(),
            Arc::clone(&health),
            metrics.clone(),
            problem_sender.clone(),
        );
        let availability = looks.await;

        let name = cluster::entry_name(&config.gateway_name, &config.pod_name);
        let before = last_report(&cluster, name).await;
        let (publish, published) = watch::channel(None);
        tasks.spawn(cluster::follow(cluster.clone(), publish, problem_sender));
        let (reports, events, reporting) = reporting(&cluster, name);
        let agent = Agent {
            identity: Identity {
                gateway: config.gateway_name.clone(),
                profile: config.profile.clone(),
            },
            published: published.clone(),
            gateway: Some(availability),
            problems,
            reports,
            events,
            health,
            metrics: metrics.clone(),
            work: Worker {
                gateway: Some(gateway),
                published: Some(published),
                ..worker(config, cluster, store, metrics)?
            },
        };
        tracing::info!(
            version = VERSION,
            object = agent.work.subject.object,
            "stoker-agent started"
        );
        Ok(Self {
            agent,
            before,
            tasks,
            reporting,
            ports,
            lock,
        })
    }

    /// Returns the ports that were chosen.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Syncs until `ended` completes. Then it finishes the running sync, reports its end, and stops.
    pub async fn run_until(self, ended: impl Future<Output = ()> + Send) -> Result<()> {
        let shutdown = CancellationToken::new();
        tasks::run_until(self.agent, self.before, self.reporting, shutdown, ended).await;
        drop(self.tasks);
        drop(self.lock);
        tracing::info!("stoker-agent stopped");
        Ok(())
    }
}

fn cluster(client: Client, config: &SidecarConfig) -> Cluster {
    Cluster {
        client,
        namespace: config.namespace.clone(),
        object: config.object.clone(),
        pod_namespace: config.pod_namespace.clone(),
        pod_name: config.pod_name.clone(),
    }
}

/// Returns what syncs the files, without a gateway.
fn worker(
    config: SidecarConfig,
    cluster: Cluster,
    store: Arc<ObjectStore>,
    metrics: Metrics,
) -> Result<Worker> {
    Ok(Worker {
        git: git_client(config.max_file_mib)?,
        store,
        gateway: None,
        environment: Environment::Cluster(cluster),
        subject: Subject {
            gateway: config.gateway_name,
            pod: config.pod_name,
            namespace: config.namespace,
            object: config.object,
        },
        profile: config.profile,
        state: State::open(&config.state, &config.data),
        data: config.data,
        credentials: config.credentials,
        metrics,
        default_period: config.sync_period,
        progress: Progress::default(),
        published: None,
        show: |_| (),
    })
}

/// Starts the tasks that write the reports and the events. They end when the senders are dropped.
fn reporting(cluster: &Cluster, name: &str) -> (watch::Sender<Option<Report>>, EventSender, Tasks) {
    let mut tasks = Tasks::default();
    let (reports, written) = watch::channel(None);
    tasks.spawn(Reports::new(cluster.clone(), name.to_owned()).run(written));
    let (events, sent) = EventSender::channel();
    tasks.spawn(Events::new(cluster.clone(), sent).run());
    (reports, events, tasks)
}

/// Starts the servers of the probes and of the metrics.
async fn serve(
    tasks: &mut Tasks,
    ports: Ports,
    health: &Arc<Health>,
    registry: Arc<Registry>,
) -> Result<Ports> {
    let probes = health::listen(ports.health).await;
    let probes =
        probes.with_context(|| format!("cannot listen on port {} for probes", ports.health))?;
    let metrics = health::listen(ports.metrics).await;
    let metrics =
        metrics.with_context(|| format!("cannot listen on port {} for metrics", ports.metrics))?;
    let chosen = Ports {
        health: probes.local_addr()?.port(),
        metrics: metrics.local_addr()?.port(),
    };
    tasks.serve(probes, Site::Probes(Arc::clone(health)));
    tasks.serve(metrics, Site::Metrics(registry));
    Ok(chosen)
}

/// Reads the report of an earlier agent of this gateway, whose history goes on. Without it, the history is empty.
async fn last_report(cluster: &Cluster, name: &str) -> Report {
    cluster::last_report(cluster, name).await.unwrap_or_else(|error| {
        tracing::warn!(error = %stoker_report::chain(&error), "the last report of this gateway cannot be read");
        Report::default()
    })
}
