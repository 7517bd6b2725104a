//! Runs all components that use one API server: the receiver, the controller, and their background tasks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Client;
use stoker_api::detection::ObjectKey;
use stoker_git::{GitClient, GitClientConfig};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::injection::Injection;
use super::kubeconfig::Clients;
use super::lead::Reconciler;
use super::secret_refresh::refresh_secrets;
use super::tasks::{Servers, Tasks};
use crate::auth::{AuthConfig, Authenticator};
use crate::config::HostConfig;
use crate::controller::{self, Controller};
use crate::events::EventQueue;
use crate::leader::Candidate;
use crate::lookups::Lookups;
use crate::metrics::Metrics;
use crate::operations::{self, Readiness};
use crate::plugin::{self, Capacity, Catalog, Detector, Sandbox, Supply};
use crate::receiver::{self, Limits, Looks, Receiver};
use crate::request::{self, ObjectCache, Prefetch, Requester};
use crate::secret_store::ClusterSecrets;
use crate::secrets::SecretCache;
use crate::server::{self, Tls, TlsFiles};
use crate::written::WrittenObjects;
use crate::{plugin_maps, telemetry};

/// The time limit for the background tasks to end after the servers have drained.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// A running host.
pub struct Host {
    /// Detects refs with the plugins.
    pub detector: Arc<Detector>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    receiver: Arc<Receiver>,
    receiver_address: Option<SocketAddr>,
    injection: Option<Injection>,
    cache: Arc<ObjectCache>,
    servers: Servers,
    /// The token that ends the background tasks.
    shutdown: CancellationToken,
    tasks: Tasks,
}

impl Host {
    /// Starts the servers and the tasks.
    pub async fn start(clients: impl Into<Clients>, config: HostConfig) -> Result<Self> {
        let Clients {
            patient: client,
            single_try,
        } = clients.into();
        server::raise_open_files();
        let listeners = Listeners::bind(&config)?;
        let receiver_address = listeners.receiver_address()?;
        let metrics = Arc::new(Metrics::new());
        let shutdown = CancellationToken::new();
        let mut tasks = Tasks::new(&shutdown);
        let tls = load_certificate(config.tls.as_ref(), &metrics, &mut tasks)?;

        let own_namespace = config
            .own_namespace
            .clone()
            .unwrap_or_else(|| client.default_namespace().to_owned());
        let detector = load_plugins(&client, &config, &own_namespace, &metrics, &mut tasks).await?;
        let lookups = look_up_with_git(&config, &metrics)?;
        let pass_events = write_events(&client, controller::COMPONENT, &mut tasks);
        let written = WrittenObjects::default();
        let (cache, requester) = watch_objects(
            &client,
            &single_try,
            config.namespace.as_deref(),
            Arc::new(lookups.clone()),
            &metrics,
            written.clone(),
            &mut tasks,
        );
        let auth = authenticate(&single_try, &config, &own_namespace, &metrics, &mut tasks);
        let mut servers = Servers::default();
        let injection = config.injection.map(|injection| {
            Injection::start(
                injection,
                &single_try,
                &own_namespace,
                &metrics,
                &mut servers,
            )
        });
        let reconciler = Reconciler(Controller {
            client,
            namespace: config.namespace,
            agent_role: config.agent_role,
            lookups,
            metrics: metrics.controller.clone(),
            watches: metrics.watches.clone(),
            events: pass_events,
            written,
        });
        let candidate = config.identity.map(|identity| Candidate {
            namespace: own_namespace,
            identity,
        });
        tasks.spawn_essential(reconciler.run(candidate, shutdown.clone()));

        let readiness = Readiness {
            objects_listed: objects_listed(&mut tasks, &cache),
            auth: Arc::clone(&auth),
            detector: Arc::clone(&detector),
        };
        let receiver = Receiver {
            auth,
            detector: Arc::clone(&detector),
            requests: requester,
            looks: Looks::default(),
            metrics: metrics.receiver.clone(),
            limits: Limits::new(config.bounds, metrics.receiver.clone()),
            deliveries: TaskTracker::new(),
        };
        let receiver = Arc::new(receiver);
        report_omitted(&receiver, &mut tasks);
        listeners.serve(
            tls,
            Arc::clone(&receiver),
            readiness,
            &metrics,
            &mut servers,
        );
        Ok(Self {
            detector,
            metrics,
            receiver,
            receiver_address,
            injection,
            cache,
            servers,
            shutdown,
            tasks,
        })
    }

    /// Returns the address of the receiver if it is enabled. If the configured port is 0, the address contains the
    /// chosen port.
    #[must_use]
    pub fn receiver_address(&self) -> Option<SocketAddr> {
        self.receiver_address
    }

    /// Waits until the injection webhook is served, and returns its address. Returns `None` if it is disabled.
    pub async fn injection_address(&self) -> Option<SocketAddr> {
        self.injection.as_ref()?.address().await
    }

    /// Waits until the objects have been listed once.
    pub async fn wait_until_ready(&self) {
        self.cache.wait_until_ready().await;
    }

    /// Runs until `ended` completes or an essential task ends. Then it drains the servers and ends the tasks.
    pub async fn run_until(mut self, ended: impl Future<Output = ()>) -> Result<()> {
        let result = tokio::select! {
            () = ended => Ok(()),
            Some(result) = self.tasks.join_next() => result,
        };
        let deadline = Instant::now() + server::DRAIN_TIME;
        let drained = self.servers.drain().await;
        self.receiver.drain(deadline).await;
        self.shutdown.cancel();
        // A request is stored before it is answered, and the next start handles the remaining requests. Therefore,
        // nothing is lost if a task waits for an API server that does not answer.
        let ended = tokio::time::timeout(SHUTDOWN_TIME, self.tasks.join())
            .await
            .unwrap_or_else(|_| {
                tracing::warn!(after = ?SHUTDOWN_TIME, "a background task did not end in time");
                Ok(())
            });
        result.and(drained).and(ended)
    }
}

/// The listeners of the enabled servers.
struct Listeners {
    receiver: Option<TcpListener>,
    probes: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

impl Listeners {
    fn bind(config: &HostConfig) -> Result<Self> {
        Ok(Self {
            receiver: listen(config.receiver)
                .context("choose another port for the receiver (--webhook-receiver-port)")?,
            probes: listen(config.probes)
                .context("choose another address with --health-probe-bind-address")?,
            metrics: listen(config.metrics)
                .context("choose another address with --metrics-bind-address")?,
        })
    }

    fn serve(
        self,
        tls: Option<Arc<Tls>>,
        receiver: Arc<Receiver>,
        readiness: Readiness,
        metrics: &Arc<Metrics>,
        servers: &mut Servers,
    ) {
        let options = server::Options {
            tls,
            metrics: metrics.server.clone(),
            ..server::Options::default()
        };
        servers.spawn(self.receiver, receiver::router(receiver), options);
        let routes = operations::probe_router(readiness);
        servers.spawn(self.probes, routes, server::Options::default());
        let routes = operations::metrics_router(Arc::clone(metrics));
        servers.spawn(self.metrics, routes, server::Options::default());
    }

    fn receiver_address(&self) -> Result<Option<SocketAddr>> {
        let address = self.receiver.as_ref().map(TcpListener::local_addr);
        Ok(address.transpose()?)
    }
}

fn listen(address: Option<SocketAddr>) -> Result<Option<TcpListener>> {
    match address {
        Some(address) => Ok(Some(server::listen(address)?)),
        None => Ok(None),
    }
}

/// Reads the certificate of the receiver, and follows its files.
fn load_certificate(
    files: Option<&TlsFiles>,
    metrics: &Metrics,
    tasks: &mut Tasks,
) -> Result<Option<Arc<Tls>>> {
    let Some(files) = files else {
        return Ok(None);
    };
    let tls = Tls::load(files.clone())
        .context("use other files with --webhook-tls-cert and --webhook-tls-key")?;
    let tls = Arc::new(tls.shown_in(metrics.server.certificate_end()));
    let followed = Arc::clone(&tls);
    tasks.spawn(async move { followed.follow().await });
    Ok(Some(tls))
}

/// Loads the plugins, and watches their sources for changes.
async fn load_plugins(
    client: &Client,
    config: &HostConfig,
    own_namespace: &str,
    metrics: &Metrics,
    tasks: &mut Tasks,
) -> Result<Arc<Detector>> {
    let sandbox = Arc::new(Sandbox::new(Capacity::default())?);
    let detector = Arc::new(Detector::new(sandbox));
    let directories = config.plugin_directories.iter().cloned();
    let mut supplies: Vec<_> = directories.map(Supply::Directory).collect();
    if config.watches_plugin_maps {
        let (supply, follow) = plugin_maps::follow(client.clone(), own_namespace, &metrics.watches);
        tasks.spawn(follow);
        supplies.push(supply);
    }
    let catalog = Catalog::open(
        Arc::clone(&detector),
        metrics.plugin.clone(),
        supplies,
        config.plugin_settings.clone(),
    )
    .await?;
    tasks.spawn(plugin::watch(catalog));
    for plugin in &*detector.plugins() {
        metrics.receiver.begin(plugin.origin().key());
    }
    Ok(detector)
}

/// Returns the lookups of refs in git repositories.
fn look_up_with_git(config: &HostConfig, metrics: &Metrics) -> Result<Lookups<GitClient>> {
    let git = GitClientConfig {
        allowed_hosts: config.git_hosts.clone(),
        ..GitClientConfig::default()
    };
    let git = Arc::new(GitClient::with_config(git)?);
    Ok(Lookups::new(git, metrics.lookups.clone()))
}

/// Reports what the receiver and the log have omitted, from time to time.
fn report_omitted(receiver: &Arc<Receiver>, tasks: &mut Tasks) {
    let receiver = Arc::clone(receiver);
    tasks.spawn(async move { receiver.report_omitted().await });
    tasks.spawn(telemetry::report_dropped());
}

/// Returns the events of a component, which are written in the background.
fn write_events(client: &Client, component: &'static str, tasks: &mut Tasks) -> EventQueue {
    let (events, unwritten) = EventQueue::new(component);
    tasks.spawn(unwritten.write(client.clone()));
    events
}

/// Watches the objects, and returns the value that stores requests on them.
fn watch_objects(
    client: &Client,
    single_try: &Client,
    namespace: Option<&str>,
    prefetch: Arc<dyn Prefetch>,
    metrics: &Metrics,
    written: WrittenObjects,
    tasks: &mut Tasks,
) -> (Arc<ObjectCache>, Arc<Requester>) {
    let receiver = metrics.receiver.clone();
    let forget = move |is_gone: &dyn Fn(&ObjectKey) -> bool| receiver.forget(is_gone);
    let (cache, follow) = request::follow(client, namespace, &metrics.watches, forget);
    let cache = Arc::new(cache);
    tasks.spawn(follow);
    let requester = Requester::new(
        single_try.clone(),
        Arc::clone(&cache),
        write_events(client, request::COMPONENT, tasks),
        namespace.map(str::to_owned),
        written,
    )
    .with_prefetch(prefetch);
    (cache, Arc::new(requester))
}

/// Reads the secrets and keeps them current. Without a receiver, the secrets are not used and do not affect readiness.
fn authenticate(
    client: &Client,
    config: &HostConfig,
    own_namespace: &str,
    metrics: &Metrics,
    tasks: &mut Tasks,
) -> Arc<Authenticator> {
    if config.receiver.is_none() {
        return Arc::new(Authenticator::new(AuthConfig::default()));
    }
    let secrets = SecretCache::new(Arc::new(ClusterSecrets::new(client.clone())));
    let auth = Authenticator::new(config.auth.clone());
    let auth = Arc::new(auth.with_secrets(secrets, own_namespace.to_owned()));
    let refresh = refresh_secrets(Arc::clone(&auth), metrics.receiver.clone());
    tasks.spawn(refresh);
    auth
}

fn objects_listed(tasks: &mut Tasks, cache: &Arc<ObjectCache>) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    let cache = Arc::clone(cache);
    tasks.spawn(async move {
        cache.wait_until_ready().await;
        sender.send_replace(true);
        // The channel's receiver can read the value only while the sender exists.
        std::future::pending::<()>().await;
    });
    receiver
}
