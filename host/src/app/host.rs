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

use super::lead::Reconciler;
use crate::auth::{AuthConfig, Authenticator, DoorState};
use crate::git::GitClient;
use crate::leader::Candidate;
use crate::metrics::Metrics;
use crate::plugin::{self, Capacity, Catalog, Detector, Sandbox, SettingsSource, Supply};
use crate::plugin_maps;
use crate::report;
use crate::request::{self, ObjectCache, Requester};
use crate::webhook::{self, Bounds, Readiness, Receiver};

/// How often secret files are read again. kubelet needs a minute to bring a changed Secret.
const SECRET_PERIOD: Duration = Duration::from_secs(10);

/// How long what works in the background may take to end, once nothing comes in any more.
const LONGEST_END: Duration = Duration::from_secs(5);

/// What a host works with.
pub struct HostSettings {
    /// The API server.
    pub client: Client,
    /// The namespace whose objects are followed; none for all.
    pub namespace: Option<String>,
    /// Where webhooks come in; none where the receiver is off.
    pub receiver: Option<TcpListener>,
    /// Where the platform asks.
    pub probes: Option<TcpListener>,
    /// Where metrics are read.
    pub metrics: Option<TcpListener>,
    /// The directories of drop-in plugins.
    pub plugin_directories: Vec<PathBuf>,
    /// The namespace whose ConfigMaps are followed for plugins; none where they are not.
    pub plugin_maps: Option<String>,
    /// What operators say of the plugins.
    pub plugin_settings: SettingsSource,
    /// The secrets of the senders.
    pub auth: AuthConfig,
    /// How much of a delivery is taken.
    pub bounds: Bounds,
    /// What this replica is in the election of one that reconciles; none where it is alone.
    pub candidate: Option<Candidate>,
}

/// A running host.
pub struct Host {
    /// Who says what a delivery announces.
    pub detector: Arc<Detector>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    cache: Arc<ObjectCache>,
    servers: Servers,
    /// Ends the tasks, once nothing comes in any more.
    back: CancellationToken,
    tasks: Tasks,
}

impl Host {
    /// Starts everything.
    pub async fn start(settings: HostSettings) -> Result<Self> {
        let HostSettings {
            client,
            namespace,
            receiver,
            probes,
            metrics: metrics_listener,
            plugin_directories,
            plugin_maps,
            plugin_settings,
            auth,
            bounds,
            candidate,
        } = settings;
        let metrics = Arc::new(Metrics::new());
        let back = CancellationToken::new();
        let mut tasks = Tasks::new(&back);
        let directories = plugin_directories.into_iter().map(Supply::Directory);
        let mut supplies: Vec<_> = directories.collect();
        if let Some(namespace) = plugin_maps {
            let (supply, follow) = plugin_maps::follow(client.clone(), &namespace);
            tasks.spawn(follow);
            supplies.push(supply);
        }
        let catalog = plugins(&metrics, supplies, plugin_settings).await?;
        let detector = Arc::clone(catalog.detector());
        let (cache, follow, due) = request::follow(&client, namespace.as_deref());
        let (events, publish) = request::publish(client.clone());
        let cache = Arc::new(cache);
        let requester = Requester::new(
            client.clone(),
            Arc::clone(&cache),
            events,
            namespace.clone(),
        );
        let requester = Arc::new(requester);
        // Where nothing is received, no secret is needed, and none keeps the rest from being ready.
        let auth = receiver.as_ref().map_or_else(AuthConfig::default, |_| auth);
        let auth = Arc::new(Authenticator::new(auth));
        let git = Arc::new(GitClient::new()?);

        let repeat = Arc::clone(&requester);
        tasks.spawn(async move { repeat.repeat_deferred(due).await });
        tasks.spawn(follow);
        tasks.spawn(publish);
        tasks.spawn(plugin::watch(catalog));
        if receiver.is_some() {
            tasks.spawn(keep_secrets(Arc::clone(&auth), Arc::clone(&metrics)));
        }
        let reconciler = Reconciler {
            client,
            namespace,
            git,
            metrics: metrics.controller.clone(),
        };
        tasks.spawn_essential(reconciler.run(candidate, back.clone()));

        let readiness = Readiness {
            objects_known: objects_known(&mut tasks, &cache),
            auth: Arc::clone(&auth),
            detector: Arc::clone(&detector),
        };
        let receiver_state = Receiver {
            auth,
            detector: Arc::clone(&detector),
            requests: requester,
            metrics: metrics.receiver.clone(),
            bounds,
        };
        let mut servers = Servers::default();
        servers.spawn(receiver, webhook::router(Arc::new(receiver_state)));
        servers.spawn(probes, webhook::probe_router(readiness));
        let routes = webhook::metrics_router(Arc::clone(&metrics));
        servers.spawn(metrics_listener, routes);
        Ok(Self {
            detector,
            metrics,
            cache,
            servers,
            back,
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
            Some(result) = self.tasks.join_next() => result,
        };
        let drained = self.servers.drain().await;
        self.back.cancel();
        // What is requested is stored, and what is not handled yet is handled after the next start: nothing is lost by
        // not waiting for somebody who waits for an API server that is gone.
        let ended = tokio::time::timeout(LONGEST_END, self.tasks.join())
            .await
            .unwrap_or_else(|_| {
                tracing::warn!("a task in the background did not end in time");
                Ok(())
            });
        result.and(drained).and(ended)
    }
}

async fn plugins(
    metrics: &Metrics,
    supplies: Vec<Supply>,
    settings: SettingsSource,
) -> Result<Catalog> {
    let sandbox = Arc::new(Sandbox::new(Capacity::default())?);
    let detector = Arc::new(Detector::new(sandbox));
    Ok(Catalog::open(detector, metrics.plugin.clone(), supplies, settings).await?)
}

/// What takes requests.
#[derive(Default)]
struct Servers {
    running: JoinSet<()>,
    ended: CancellationToken,
}

impl Servers {
    /// Serves, where there is somebody to listen.
    fn spawn(&mut self, listener: Option<TcpListener>, router: webhook::Router) {
        if let Some(listener) = listener {
            let serving = webhook::serve(listener, router, self.ended.clone());
            self.running.spawn(serving);
        }
    }

    /// Takes no more, and answers what is under way.
    async fn drain(&mut self) -> Result<()> {
        self.ended.cancel();
        let mut result = Ok(());
        while let Some(server) = self.running.join_next().await {
            result = result.and(server.context("a server ended early"));
        }
        result
    }
}

/// What works in the background.
struct Tasks {
    running: JoinSet<Result<()>>,
    ended: CancellationToken,
}

impl Tasks {
    fn new(ended: &CancellationToken) -> Self {
        Self {
            running: JoinSet::new(),
            ended: ended.clone(),
        }
    }

    /// A task that has no end of its own.
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        self.running.spawn(async move {
            ended.run_until_cancelled_owned(task).await;
            Ok(())
        });
    }

    /// A task that ends by itself when it is told to. Without it there is no host.
    fn spawn_essential(&mut self, task: impl Future<Output = Result<()>> + Send + 'static) {
        self.running.spawn(task);
    }

    async fn join_next(&mut self) -> Option<Result<()>> {
        let joined = self.running.join_next().await?;
        Some(
            joined
                .map_err(anyhow::Error::from)
                .and_then(|result| result),
        )
    }

    /// Waits for all, and gives the first error: what one of them met keeps no other from coming to its end.
    async fn join(&mut self) -> Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.join_next().await {
            result = result.and(ended);
        }
        result
    }
}

fn objects_known(tasks: &mut Tasks, cache: &Arc<ObjectCache>) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    let cache = Arc::clone(cache);
    tasks.spawn(async move {
        cache.wait_until_ready().await;
        sender.send_replace(true);
        // Whoever asks for readiness keeps asking.
        std::future::pending::<()>().await;
    });
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
        metrics
            .receiver
            .set_secret_usable(!matches!(state, DoorState::Closed(_)));
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
