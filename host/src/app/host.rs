//! Runs all components that use one API server: the receiver, the controller, and their background tasks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stoker_api::detection::ObjectKey;
use stoker_git::{GitClient, GitClientConfig};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::injection::Injection;
use super::kubeconfig::Clients;
use super::lead::Reconciler;
use super::tasks::{Servers, Tasks};
use crate::auth::{AuthConfig, AuthState, Authenticator};
use crate::cluster::events::EventQueue;
use crate::cluster::leader::Candidate;
use crate::cluster::plugin_maps;
use crate::cluster::secret_store::ClusterSecrets;
use crate::cluster::written::WrittenObjects;
use crate::config::HostConfig;
use crate::controller::{self, Controller};
use crate::lookups::Lookups;
use crate::metrics::Metrics;
use crate::operations::{self, Readiness};
use crate::plugin::{self, Capacity, Catalog, Chain, Sandbox, Supply};
use crate::receiver::{self, Limits, Receiver, RefusalReads};
use crate::request::{self, ObjectCache, Requester};
use crate::secrets::SecretCache;
use crate::server::{self, Tls};
use crate::telemetry;

/// The time limit for the background tasks to end after the servers have drained.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// A running host.
pub struct Host {
    /// Detects refs with the plugins.
    pub chain: Arc<Chain>,
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
        server::raise_open_files();
        let listeners = Listeners::bind(&config)?;
        let receiver_address = listeners.receiver_address()?;
        let mut starting = Starting::new(clients.into(), config);
        let tls = starting.load_certificate()?;
        let chain = starting.load_plugins().await?;
        let lookups = starting.look_up_with_git()?;
        let written = WrittenObjects::default();
        let (cache, requester) = starting.watch_objects(lookups.clone(), written.clone());
        let auth = starting.authenticate();
        let injection = starting.inject();
        starting.reconcile(lookups, written);
        let readiness = Readiness {
            objects: Arc::clone(&cache),
            auth: Arc::clone(&auth),
            chain: Arc::clone(&chain),
        };
        let receiver = starting.receive(auth, Arc::clone(&chain), requester);
        starting.serve(listeners, tls, Arc::clone(&receiver), readiness);
        let Starting {
            metrics,
            servers,
            shutdown,
            tasks,
            ..
        } = starting;
        Ok(Self {
            chain,
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

/// A host whose parts are started one after the other.
struct Starting {
    clients: Clients,
    config: HostConfig,
    own_namespace: String,
    metrics: Arc<Metrics>,
    servers: Servers,
    shutdown: CancellationToken,
    tasks: Tasks,
}

impl Starting {
    fn new(clients: Clients, config: HostConfig) -> Self {
        let own_namespace = config.own_namespace.clone();
        let shutdown = CancellationToken::new();
        Self {
            own_namespace: own_namespace
                .unwrap_or_else(|| clients.patient.default_namespace().to_owned()),
            clients,
            config,
            metrics: Arc::new(Metrics::new()),
            servers: Servers::default(),
            tasks: Tasks::new(&shutdown),
            shutdown,
        }
    }

    /// Reads the certificate of the receiver, and follows its files.
    fn load_certificate(&mut self) -> Result<Option<Arc<Tls>>> {
        let Some(files) = self.config.tls.clone() else {
            return Ok(None);
        };
        let tls = Tls::load(files)
            .context("use other files with --webhook-tls-cert and --webhook-tls-key")?;
        let tls = Arc::new(tls.shown_in(self.metrics.server.certificate_end()));
        let followed = Arc::clone(&tls);
        self.tasks.spawn(async move { followed.follow().await });
        Ok(Some(tls))
    }

    /// Loads the plugins, and watches their sources for changes.
    async fn load_plugins(&mut self) -> Result<Arc<Chain>> {
        let sandbox = Arc::new(Sandbox::new(Capacity::default())?);
        let chain = Arc::new(Chain::new(sandbox));
        let directories = self.config.plugin_directories.iter().cloned();
        let mut supplies: Vec<_> = directories.map(Supply::Directory).collect();
        if self.config.watches_plugin_maps {
            let client = self.clients.patient.clone();
            let watches = &self.metrics.watches;
            let (supply, follow) = plugin_maps::follow(client, &self.own_namespace, watches);
            self.tasks.spawn(follow);
            supplies.push(supply);
        }
        let catalog = Catalog::open(
            Arc::clone(&chain),
            self.metrics.plugin.clone(),
            supplies,
            self.config.plugin_settings.clone(),
        )
        .await?;
        self.tasks.spawn(plugin::watch(catalog));
        for plugin in &*chain.plugins() {
            self.metrics.receiver.begin(plugin.origin().key());
        }
        Ok(chain)
    }

    /// Returns the lookups of refs in git repositories.
    fn look_up_with_git(&self) -> Result<Lookups<GitClient>> {
        let git = GitClientConfig {
            allowed_hosts: self.config.git_hosts.clone(),
            ..GitClientConfig::default()
        };
        let git = Arc::new(GitClient::with_config(git)?);
        Ok(Lookups::new(git, self.metrics.lookups.clone()))
    }

    /// Returns the events of a component, which are written in the background.
    fn write_events(&mut self, component: &'static str) -> EventQueue {
        let (events, unwritten) = EventQueue::new(component);
        self.tasks
            .spawn(unwritten.write(self.clients.patient.clone()));
        events
    }

    /// Watches the objects, and returns the value that stores requests on them.
    fn watch_objects(
        &mut self,
        lookups: Lookups<GitClient>,
        written: WrittenObjects,
    ) -> (Arc<ObjectCache>, Arc<Requester>) {
        let namespace = self.config.namespace.clone();
        let (client, watches) = (&self.clients.patient, &self.metrics.watches);
        let receiver = self.metrics.receiver.clone();
        let forget = move |is_gone: &dyn Fn(&ObjectKey) -> bool| receiver.forget(is_gone);
        let (cache, follow) = request::follow(client, namespace.as_deref(), watches, forget);
        self.tasks.spawn(follow);
        let requester = Requester::new(
            self.clients.single_try.clone(),
            Arc::clone(&cache),
            self.write_events(request::COMPONENT),
            namespace,
            written,
            move |key, git_ref, requested_at| lookups.prefetch(key, git_ref, requested_at),
        );
        (cache, Arc::new(requester))
    }

    /// Reads the secrets and keeps them current. Without a receiver, the secrets are not used and do not affect
    /// readiness.
    fn authenticate(&mut self) -> Arc<Authenticator> {
        if self.config.receiver.is_none() {
            return Arc::new(Authenticator::new(AuthConfig::default()));
        }
        let secrets = ClusterSecrets::new(self.clients.single_try.clone());
        let secrets = SecretCache::new(Arc::new(secrets));
        let auth = Authenticator::new(self.config.auth.clone());
        let auth = Arc::new(auth.with_secrets(secrets, self.own_namespace.clone()));
        let metrics = self.metrics.receiver.clone();
        let show = move |state: &AuthState| {
            metrics.set_unauthenticated(*state == AuthState::Open);
            metrics.set_secret_usable(!matches!(state, AuthState::Unusable(_)));
        };
        let followed = Arc::clone(&auth);
        self.tasks.spawn(async move { followed.follow(show).await });
        auth
    }

    /// Serves the webhook that injects agents, if it is enabled.
    fn inject(&mut self) -> Option<Injection> {
        let config = self.config.injection.clone()?;
        Some(Injection::start(
            config,
            &self.clients.single_try,
            &self.own_namespace,
            &self.metrics,
            &mut self.servers,
        ))
    }

    /// Runs the controller while this replica is the leader.
    fn reconcile(&mut self, lookups: Lookups<GitClient>, written: WrittenObjects) {
        let reconciler = Reconciler(Controller {
            client: self.clients.patient.clone(),
            namespace: self.config.namespace.clone(),
            agent_role: self.config.agent_role,
            lookups,
            metrics: self.metrics.controller.clone(),
            watches: self.metrics.watches.clone(),
            events: self.write_events(controller::COMPONENT),
            written,
        });
        let identity = self.config.identity.clone();
        let candidate = identity.map(|identity| Candidate {
            namespace: self.own_namespace.clone(),
            identity,
        });
        let running = reconciler.run(candidate, self.shutdown.clone());
        self.tasks.spawn_essential(running);
    }

    /// Returns the receiver. What it and the log have omitted is reported from time to time.
    fn receive(
        &mut self,
        auth: Arc<Authenticator>,
        chain: Arc<Chain>,
        requests: Arc<Requester>,
    ) -> Arc<Receiver> {
        let metrics = &self.metrics.receiver;
        let receiver = Arc::new(Receiver {
            auth,
            chain,
            requests,
            refusal_reads: RefusalReads::default(),
            metrics: metrics.clone(),
            limits: Limits::new(self.config.bounds.clone(), metrics.clone()),
            deliveries: TaskTracker::new(),
        });
        let omitting = Arc::clone(&receiver);
        self.tasks
            .spawn(async move { omitting.report_omitted().await });
        self.tasks.spawn(telemetry::report_dropped());
        receiver
    }

    /// Serves what is enabled.
    fn serve(
        &mut self,
        listeners: Listeners,
        tls: Option<Arc<Tls>>,
        receiver: Arc<Receiver>,
        readiness: Readiness,
    ) {
        let options = server::Options {
            tls,
            metrics: self.metrics.server.clone(),
            ..server::Options::default()
        };
        let mut serve = |listener, routes, options| self.servers.spawn(listener, routes, options);
        serve(listeners.receiver, receiver::router(receiver), options);
        let routes = operations::probe_router(readiness);
        serve(listeners.probes, routes, server::Options::default());
        let routes = operations::metrics_router(Arc::clone(&self.metrics));
        serve(listeners.metrics, routes, server::Options::default());
    }
}
