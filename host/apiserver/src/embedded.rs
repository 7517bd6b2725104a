//! Starts and stops the server, and simulates outages.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::body;
use crate::builtin;
use crate::crd;
use crate::error::Error;
use crate::request::{Place, Query};
use crate::server;
use crate::status::Failure;
use crate::store::{State, Store};
use crate::write::{self, Intent};

/// The default number of changes by which a watch may lag before it has to list again.
const HISTORY: usize = 4096;
/// The time limit for open connections to end when the server stops.
const GRACE: Duration = Duration::from_secs(2);
/// Namespaces that always exist.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The options of a server.
#[derive(Debug)]
#[must_use = "a server runs from `start` on"]
pub struct ApiServerBuilder {
    address: SocketAddr,
    history: usize,
    collect: bool,
    definitions: Vec<Value>,
}

impl ApiServerBuilder {
    /// Sets the port to listen on. The default is any free port.
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// Sets the loopback address to listen on, `127.0.0.1` by default. `start` refuses other addresses.
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.address.set_ip(ip);
        self
    }

    /// Sets the number of changes that are kept for watches, 4096 by default.
    pub fn history(mut self, changes: usize) -> Self {
        self.history = changes;
        self
    }

    /// Sets whether objects are deleted when their last owner is removed. The default is true.
    pub fn garbage_collection(mut self, on: bool) -> Self {
        self.collect = on;
        self
    }

    /// Adds a custom resource definition, as YAML or JSON text.
    pub fn crd(mut self, text: &str) -> Result<Self, Error> {
        let definition =
            body::yaml(text.as_bytes()).map_err(|reason| Error::Unreadable { reason })?;
        self.definitions.push(definition);
        Ok(self)
    }

    /// Adds a custom resource definition.
    pub fn crd_value(mut self, definition: Value) -> Self {
        self.definitions.push(definition);
        self
    }

    /// Starts the server on the current runtime.
    pub async fn start(self) -> Result<ApiServer, Error> {
        let address = self.address;
        if !address.ip().is_loopback() {
            return Err(Error::NotLoopback { address });
        }
        let store = Store::new(builtin::registry()?, self.history, self.collect);
        store.with(|state| prepare(state, self.definitions))?;
        let listen = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let api = Arc::new(Api {
            store: Arc::new(store),
            outage: watch::Sender::new(false),
            stop: CancellationToken::new(),
            address: address.to_string(),
        });
        let task = server::spawn(listener, api.clone());
        Ok(ApiServer {
            address,
            api,
            task: Some(task),
        })
    }
}

/// Creates the initial objects.
fn prepare(state: &mut State, definitions: Vec<Value>) -> Result<(), Error> {
    for name in NAMESPACES {
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        create(state, "", "namespaces", namespace).map_err(|failure| Error::BuiltIn {
            reason: failure.message,
        })?;
    }
    for definition in definitions {
        let name = definition["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        create(state, crd::GROUP, crd::PLURAL, definition).map_err(|failure| {
            Error::Definition {
                name,
                reason: failure.message,
            }
        })?;
    }
    Ok(())
}

fn create(state: &mut State, group: &str, plural: &str, object: Value) -> Result<(), Failure> {
    let place = Place {
        group: group.to_owned(),
        version: "v1".to_owned(),
        resource: plural.to_owned(),
        ..Place::default()
    };
    let resource = state.registry.find(group, "v1", plural);
    let resource = resource.ok_or_else(|| Failure::no_such_resource(plural))?;
    let intent = Intent::new(
        state,
        resource,
        &place,
        &Query::default(),
        "stoker-apiserver",
    )?;
    write::create(state, &intent, object).map(drop)
}

/// A running server. It stops when it is dropped.
pub struct ApiServer {
    address: SocketAddr,
    api: Arc<Api>,
    task: Option<JoinHandle<()>>,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ApiServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl ApiServer {
    /// Returns the default options: the built-in resources, and a free port of `127.0.0.1`.
    pub fn builder() -> ApiServerBuilder {
        ApiServerBuilder {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            history: HISTORY,
            collect: true,
            definitions: Vec::new(),
        }
    }

    /// The address on which the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address for a Kubernetes client, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The text of a kubeconfig file for this server, with the context `stoker`.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\n\
             kind: Config\n\
             clusters:\n\
             - name: stoker\n\
             \x20 cluster:\n\
             \x20   server: {}\n\
             users:\n\
             - name: stoker\n\
             \x20 user: {{}}\n\
             contexts:\n\
             - name: stoker\n\
             \x20 context:\n\
             \x20   cluster: stoker\n\
             \x20   user: stoker\n\
             \x20   namespace: default\n\
             current-context: stoker\n",
            self.url()
        )
    }

    /// Starts or ends an outage. During an outage, every request is answered with 503, and running
    /// watches end. The objects are kept.
    pub fn outage(&self, away: bool) {
        self.api.outage.send_replace(away);
    }

    /// Stops the server and waits until its connections are closed.
    pub async fn shutdown(mut self) {
        self.api.stop.cancel();
        let Some(mut task) = self.task.take() else {
            return;
        };
        if tokio::time::timeout(GRACE, &mut task).await.is_err() {
            task.abort();
        }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.api.stop.cancel();
    }
}
