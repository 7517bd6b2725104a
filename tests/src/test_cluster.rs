//! The environment of a test. It uses the embedded API server, or the cluster of `STOKER_TEST_KUBECONFIG` if that
//! variable is set.

mod plugins;
mod send;

pub use send::Answer;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, Config, CustomResourceExt as _};
use serde_json::{Value, json};
use stoker::app::Host;
use stoker::auth::AuthConfig;
use stoker::config::HostConfig;
use stoker::metrics::{Format, Metrics};
use stoker::plugin::Chain;
use stoker::secrets::SecretSource;
use stoker_api::GatewaySync;
use stoker_http_client::http_client;
use stoker_local_cluster::{GitServer, LocalCluster};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard, oneshot};
use tokio::task::JoinHandle;

use crate::objects::{api_secret, gateway_sync};

/// The HMAC secret of the tests' webhooks.
pub const SECRET: &str = "test-secret";
/// The name of the object of a cluster.
const NAME: &str = "plant";
/// The time limit of each wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs one test at a time on a shared cluster, because each host reconciles every object.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A cluster, a repository, and the hosts that were started.
pub struct TestCluster {
    /// A client of the API server.
    pub client: Client,
    /// The repository that the object follows.
    pub git: GitServer,
    /// The embedded API server, or `None` with a real cluster.
    pub api: Option<stoker_apiserver::ApiServer>,
    /// The namespace of this test.
    pub namespace: String,
    /// The directory of drop-in plugins.
    pub plugins: TempDir,
    /// The configuration of hosts that are started later. Their secrets are passed to [`TestCluster::start`].
    pub config: HostConfig,
    http: reqwest::Client,
    hosts: VecDeque<RunningHost>,
    _turn: Option<MutexGuard<'static, ()>>,
}

struct RunningHost {
    url: String,
    injection: Option<SocketAddr>,
    metrics: Arc<Metrics>,
    chain: Arc<Chain>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl TestCluster {
    /// Returns a cluster with the custom resource, a new namespace and a repository.
    pub async fn new() -> Result<Self> {
        let (client, git, api, turn) =
            if let Some(path) = std::env::var_os("STOKER_TEST_KUBECONFIG") {
                let turn = ONE_AT_A_TIME.lock().await;
                (
                    real_cluster(PathBuf::from(path)).await?,
                    GitServer::start().await?,
                    None,
                    Some(turn),
                )
            } else {
                let local = LocalCluster::start(0).await?;
                (local.client().await?, local.git, Some(local.api), None)
            };
        let namespace = format!("test-{}", uuid::Uuid::new_v4().simple());
        let metadata = ObjectMeta {
            name: Some(namespace.clone()),
            ..ObjectMeta::default()
        };
        let created = Namespace {
            metadata,
            ..Namespace::default()
        };
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &created)
            .await?;
        Api::<Secret>::namespaced(client.clone(), &namespace)
            .create(&PostParams::default(), &api_secret()?)
            .await?;
        git.commit("main", "Start").await?;
        let plugins = TempDir::new()?;
        let http = http_client()?;
        let config = HostConfig {
            receiver: Some(([127, 0, 0, 1], 0).into()),
            plugin_directories: vec![plugins.path().to_owned()],
            own_namespace: Some(namespace.clone()),
            ..HostConfig::default()
        };
        Ok(Self {
            client,
            git,
            api,
            namespace,
            plugins,
            config,
            http,
            hosts: VecDeque::new(),
            _turn: turn,
        })
    }

    /// Returns a cluster with the object and a host that requires signatures.
    pub async fn with_host() -> Result<Self> {
        let mut cluster = Self::new().await?;
        cluster.create(json!({})).await?;
        cluster.start_signed().await?;
        Ok(cluster)
    }

    /// Starts a host that requires signatures.
    pub async fn start_signed(&mut self) -> Result<()> {
        let hmac = Some(SecretSource::Inline(SECRET.to_owned()));
        self.start(AuthConfig {
            hmac,
            ..AuthConfig::default()
        })
        .await
    }

    /// Starts a host. Webhooks are sent to the host that was started last.
    pub async fn start(&mut self, auth: AuthConfig) -> Result<()> {
        let config = HostConfig {
            auth,
            ..self.config.clone()
        };
        let host = Host::start(self.client.clone(), config).await?;
        let address = host
            .receiver_address()
            .context("the receiver is disabled")?;
        let url = format!("http://{address}");
        host.wait_until_ready().await;
        let injection = match &self.config.injection {
            Some(_) => Some(
                tokio::time::timeout(PATIENCE, host.injection_address())
                    .await
                    .context("the injection webhook is not served in time")?
                    .context("the injection webhook has ended")?,
            ),
            None => None,
        };
        let (chain, metrics) = (Arc::clone(&host.chain), Arc::clone(&host.metrics));
        let (stop, stopped) = oneshot::channel();
        let ended = async { drop(stopped.await) };
        let task = tokio::spawn(host.run_until(ended));
        self.hosts.push_back(RunningHost {
            url,
            injection,
            metrics,
            chain,
            stop,
            task,
        });
        Ok(())
    }

    /// Stops the host that was started first, as SIGTERM does.
    pub async fn stop(&mut self) -> Result<()> {
        let host = self.hosts.pop_front().context("no host runs")?;
        drop(host.stop);
        host.task.await?
    }

    /// Returns the API of the objects in the namespace of this test.
    #[must_use]
    pub fn objects(&self) -> Api<GatewaySync> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates the object with the ref `main`. `spec` is merged into its spec.
    pub async fn create(&self, spec: Value) -> Result<GatewaySync> {
        self.create_named(NAME, spec).await
    }

    /// Creates an object with this name and the ref `main`. `spec` is merged into its spec.
    pub async fn create_named(&self, name: &str, spec: Value) -> Result<GatewaySync> {
        let object = gateway_sync(name, self.git.url(), &spec)?;
        Ok(self
            .objects()
            .create(&PostParams::default(), &object)
            .await?)
    }

    /// Changes the object by a merge patch.
    pub async fn patch(&self, patch: Value) -> Result<GatewaySync> {
        Ok(self
            .objects()
            .patch(NAME, &PatchParams::default(), &Patch::Merge(patch))
            .await?)
    }

    /// Reads the object.
    pub async fn object(&self) -> Result<GatewaySync> {
        Ok(self.objects().get(NAME).await?)
    }

    /// Waits until the condition holds for the object. `what` describes it in the error.
    pub async fn until(
        &self,
        what: &str,
        is_true: impl Fn(&GatewaySync) -> bool,
    ) -> Result<GatewaySync> {
        let wait = await_condition(self.objects(), NAME, |object: Option<&GatewaySync>| {
            object.is_some_and(&is_true)
        });
        if let Ok(object) = tokio::time::timeout(PATIENCE, wait).await {
            object?.with_context(|| format!("the object was deleted before {what}"))
        } else {
            let object = serde_json::to_string_pretty(&self.object().await?)?;
            anyhow::bail!("not in time: {what}; the object is\n{object}")
        }
    }

    /// Waits until the status of the object has this commit.
    pub async fn until_resolved(&self, commit: &str) -> Result<GatewaySync> {
        let is_resolved = |object: &GatewaySync| {
            object
                .status
                .as_ref()
                .is_some_and(|status| status.last_sync_commit.as_deref() == Some(commit))
        };
        self.until(&format!("commit {commit}"), is_resolved).await
    }

    /// Waits until the request on the object is handled and led to this commit.
    pub async fn until_handled(&self, commit: &str) -> Result<GatewaySync> {
        let is_handled = |object: &GatewaySync| {
            object.status.as_ref().is_some_and(|status| {
                status.last_sync_commit.as_deref() == Some(commit)
                    && status.last_handled_requested_at.as_deref() == object.requested_at()
            })
        };
        self.until(&format!("commit {commit} by a request"), is_handled)
            .await
    }

    /// Returns a kubeconfig file of the API server.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        match (&self.api, std::env::var_os("STOKER_TEST_KUBECONFIG")) {
            (Some(api), _) => {
                let path = self.plugins.path().join("kubeconfig");
                std::fs::write(&path, api.kubeconfig())?;
                Ok(path)
            }
            (None, Some(path)) => Ok(path.into()),
            (None, None) => anyhow::bail!("there is no cluster"),
        }
    }

    /// Returns the URL of webhooks for the object.
    pub fn url(&self) -> Result<String> {
        Ok(format!(
            "{}/webhook/{}/{NAME}",
            self.base_url()?,
            self.namespace
        ))
    }

    /// Returns the base URL of the receiver.
    pub fn base_url(&self) -> Result<&str> {
        Ok(&self.host()?.url)
    }

    /// Returns the address of the injection webhook.
    pub fn injection_address(&self) -> Result<SocketAddr> {
        self.host()?
            .injection
            .context("the injection webhook is disabled")
    }

    /// Returns the metrics of the host as text.
    pub fn metrics(&self) -> Result<String> {
        Ok(self.host()?.metrics.encode(Format::OpenMetrics)?)
    }

    fn host(&self) -> Result<&RunningHost> {
        self.hosts.back().context("no host runs")
    }
}

/// Connects to a cluster, and applies the definition of the custom resource.
pub(crate) async fn real_cluster(kubeconfig: PathBuf) -> Result<Client> {
    let file = Kubeconfig::read_from(&kubeconfig)?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply("stoker-tests").force();
    let definition = GatewaySync::crd();
    definitions
        .patch(GatewaySync::crd_name(), &params, &Patch::Apply(definition))
        .await?;
    let established = await_condition(
        definitions,
        GatewaySync::crd_name(),
        conditions::is_crd_established(),
    );
    tokio::time::timeout(PATIENCE, established)
        .await
        .context("the CRD was not established in time")??;
    Ok(client)
}
