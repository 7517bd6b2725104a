//! Everything that runs against one API server: receiver, controller, and the tasks behind them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::auth::{AuthConfig, Authenticator, DoorState};
use crate::git::GitClient;
use crate::metrics::Metrics;
use crate::plugin::{self, Catalog, Detector, Limits, PluginStatus, Sandbox};
use crate::request::{self, ObjectCache, Requester};
use crate::webhook::{self, Bounds, Readiness, Receiver};
use crate::{controller, report};

/// How often secret files are read again. kubelet needs a minute to bring a changed Secret.
const SECRET_PERIOD: Duration = Duration::from_secs(10);

/// What a host works with.
pub struct HostSettings {
    /// The API server.
    pub client: Client,
    /// Where webhooks come in; none where the receiver is off.
    pub receiver: Option<TcpListener>,
    /// Where the platform asks.
    pub probes: Option<TcpListener>,
    /// Where metrics are read.
    pub metrics: Option<TcpListener>,
    /// The directories of drop-in plugins.
    pub plugin_directories: Vec<PathBuf>,
    /// The secrets of the senders.
    pub auth: AuthConfig,
    /// How much of a delivery is taken.
    pub bounds: Bounds,
}

/// A running host.
pub struct Host {
    /// Who says what a delivery announces.
    pub detector: Arc<Detector>,
    /// How every plugin stood at the start.
    pub plugins: Vec<PluginStatus>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    cache: Arc<ObjectCache>,
    /// Ends what takes requests, which then drains.
    front: CancellationToken,
    /// Ends the rest, once nothing comes in any more.
    back: CancellationToken,
    servers: JoinSet<()>,
    tasks: JoinSet<Result<()>>,
}

impl Host {
    /// Starts everything.
    pub async fn start(settings: HostSettings) -> Result<Self> {
        let HostSettings {
            client,
            receiver,
            probes,
            metrics: metrics_listener,
            plugin_directories,
            auth,
            bounds,
        } = settings;
        let metrics = Arc::new(Metrics::new());
        let sandbox = Arc::new(Sandbox::new(Limits::default())?);
        let detector = Arc::new(Detector::new(sandbox));
        let catalog = Catalog::open(
            Arc::clone(&detector),
            metrics.plugin.clone(),
            plugin_directories,
        )
        .await?;
        let plugins = catalog.status();
        let (cache, follow, due) = request::follow(&client);
        let (events, publish) = request::publish(client.clone());
        let cache = Arc::new(cache);
        let requester = Arc::new(Requester::new(client.clone(), Arc::clone(&cache), events));
        let auth = Arc::new(Authenticator::new(auth));
        let front = CancellationToken::new();
        let back = CancellationToken::new();

        let mut tasks = JoinSet::new();
        let repeat = Arc::clone(&requester);
        tasks.spawn(until(
            &back,
            async move { repeat.repeat_deferred(due).await },
        ));
        tasks.spawn(until(&back, follow));
        tasks.spawn(until(&back, publish));
        tasks.spawn(until(&back, plugin::watch(catalog)));
        tasks.spawn(until(
            &back,
            keep_secrets(Arc::clone(&auth), Arc::clone(&metrics)),
        ));
        let git = Arc::new(GitClient::new()?);
        let control = controller::run(client, git, metrics.controller.clone(), back.clone());
        tasks.spawn(async move { control.await.context("the controller ended") });

        let mut servers = JoinSet::new();
        if let Some(listener) = receiver {
            let receiver = Receiver {
                auth: Arc::clone(&auth),
                detector: Arc::clone(&detector),
                requests: requester,
                metrics: metrics.receiver.clone(),
                bounds,
            };
            servers.spawn(webhook::serve(
                listener,
                webhook::router(Arc::new(receiver)),
                front.clone(),
            ));
        }
        if let Some(listener) = probes {
            let readiness = Readiness {
                objects_known: objects_known(&mut tasks, &cache, &back),
                auth,
            };
            servers.spawn(webhook::serve(
                listener,
                webhook::probe_router(readiness),
                front.clone(),
            ));
        }
        if let Some(listener) = metrics_listener {
            let router = webhook::metrics_router(Arc::clone(&metrics));
            servers.spawn(webhook::serve(listener, router, front.clone()));
        }
        Ok(Self {
            detector,
            plugins,
            metrics,
            cache,
            front,
            back,
            servers,
            tasks,
        })
    }

    /// Waits until the objects are known, so that a repeated request is recognised as one.
    pub async fn wait_until_ready(&self) {
        self.cache.wait_until_ready().await;
    }

    /// Runs until `ended` is, or until something that must not end does; then drains and ends.
    pub async fn run_until(mut self, ended: impl Future<Output = ()>) -> Result<()> {
        let result = tokio::select! {
            () = ended => Ok(()),
            Some(task) = self.tasks.join_next() => task.map_err(anyhow::Error::from).and_then(|result| result),
        };
        self.front.cancel();
        while let Some(server) = self.servers.join_next().await {
            server.context("a server ended early")?;
        }
        self.back.cancel();
        while let Some(task) = self.tasks.join_next().await {
            task??;
        }
        result
    }
}

/// A task that has no end of its own.
fn until(
    ended: &CancellationToken,
    task: impl Future<Output = ()> + Send + 'static,
) -> impl Future<Output = Result<()>> + Send + 'static {
    let ended = ended.clone();
    async move {
        ended.run_until_cancelled_owned(task).await;
        Ok(())
    }
}

fn objects_known(
    tasks: &mut JoinSet<Result<()>>,
    cache: &Arc<ObjectCache>,
    ended: &CancellationToken,
) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    let cache = Arc::clone(cache);
    tasks.spawn(until(ended, async move {
        cache.wait_until_ready().await;
        sender.send_replace(true);
        // Whoever asks for readiness keeps asking.
        std::future::pending::<()>().await;
    }));
    receiver
}

/// Says how the door stands, at the start and whenever that changes.
async fn keep_secrets(auth: Arc<Authenticator>, metrics: Arc<Metrics>) {
    let mut told = None;
    loop {
        let state = auth.state();
        metrics
            .receiver
            .set_unauthenticated(state == DoorState::Open);
        if told.as_ref() != Some(&state) {
            tell(&state);
            told = Some(state);
        }
        if !auth.reads_files() {
            return std::future::pending().await;
        }
        tokio::time::sleep(SECRET_PERIOD).await;
        auth.refresh();
    }
}

fn tell(state: &DoorState) {
    match state {
        DoorState::Open => tracing::warn!(
            "NO WEBHOOK SECRET IS CONFIGURED: whoever reaches the receiver decides which ref a gateway runs; set WEBHOOK_HMAC_SECRET or --webhook-hmac-secret-file"
        ),
        DoorState::Closed(why) => {
            tracing::error!(error = %report::chain(why), "the webhook secret cannot be used, so every webhook is refused");
        }
        DoorState::Locked => tracing::info!("webhooks must be signed"),
    }
}

/// Listens on an address, where there is one.
pub(super) async fn listen(address: Option<SocketAddr>) -> Result<Option<TcpListener>> {
    match address {
        Some(address) => Ok(Some(webhook::listen(address).await?)),
        None => Ok(None),
    }
}
