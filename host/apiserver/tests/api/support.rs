//! Helpers of all tests.

use http::{Method, Request};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, Config, Error};
use serde_json::{Value, json};
use stoker_apiserver::{ApiServer, ApiServerBuilder};

pub(crate) const DEFINITION: &str = include_str!("../fixtures/gatewaysync.yaml");

/// A server with the definition of the fixtures, and a client for it.
pub(crate) struct World {
    pub(crate) server: ApiServer,
    pub(crate) client: Client,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(ApiServer::builder()).await
    }

    pub(crate) async fn with(builder: ApiServerBuilder) -> Self {
        let server = builder
            .crd(DEFINITION)
            .expect("a definition")
            .start()
            .await
            .expect("a server");
        let mut config = Config::new(server.url().parse().expect("an address"));
        // A failure is returned at once and not retried.
        config.default_retry = false;
        let client = Client::try_from(config).expect("a client");
        Self { server, client }
    }

    pub(crate) fn syncs(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("stoker.io", "v1alpha1", "GatewaySync");
        Api::namespaced_with(
            self.client.clone(),
            "default",
            &ApiResource::from_gvk_with_plural(&kind, "gatewaysyncs"),
        )
    }

    /// Sends a request and returns the object of the answer, even a failure.
    pub(crate) async fn send(&self, method: Method, path: &str, media: &str, body: &str) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media);
        let request = request.body(body.as_bytes().to_vec()).expect("a request");
        match self.client.request::<Value>(request).await {
            Ok(value) => value,
            Err(Error::Api(status)) => serde_json::to_value(&*status).expect("a status"),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.send(Method::POST, path, "application/json", &body.to_string())
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Value {
        self.send(Method::PUT, path, "application/json", &body.to_string())
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, "application/json", "").await
    }

    pub(crate) async fn merge(&self, path: &str, body: &Value) -> Value {
        self.send(
            Method::PATCH,
            path,
            "application/merge-patch+json",
            &body.to_string(),
        )
        .await
    }
}

pub(crate) const SYNCS: &str = "/apis/stoker.io/v1alpha1/namespaces/default/gatewaysyncs";
pub(crate) const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";

/// A valid custom resource.
pub(crate) fn sync(name: &str) -> Value {
    json!({
        "apiVersion": "stoker.io/v1alpha1",
        "kind": "GatewaySync",
        "metadata": { "name": name },
        "spec": { "git": { "repo": "https://git.example.com/r.git" } },
    })
}

pub(crate) fn config(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "a": "1" } })
}

/// The code and the message of a failure.
pub(crate) fn refusal(status: &Value) -> (u64, &str) {
    assert_eq!(status["status"], "Failure", "{status}");
    (
        status["code"].as_u64().unwrap_or_default(),
        status["message"].as_str().unwrap_or_default(),
    )
}

pub(crate) fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"]
        .as_str()
        .expect("a resource version")
}
