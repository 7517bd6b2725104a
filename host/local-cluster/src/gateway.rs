//! A gateway with the part of Ignition's API that agents use. It logs what it is asked to scan.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A gateway on a free port of this machine. Dropping the value stops it.
#[derive(Debug)]
pub struct FakeGateway {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    settings: Mutex<Settings>,
    calls: watch::Sender<Vec<String>>,
}

/// How the gateway answers.
#[derive(Debug, Clone, Default)]
struct Settings {
    key: Option<String>,
    status: Option<StatusCode>,
    designers: Vec<Value>,
}

impl FakeGateway {
    /// Starts a gateway that answers every call with success.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            settings: Mutex::default(),
            calls: watch::Sender::default(),
        });
        let app = router(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // The task ends when the value is dropped.
            axum::serve(listener, app).await.ok();
        });
        Ok(Self { port, shared, task })
    }

    /// The port of the gateway's API.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the API key without which calls are refused.
    pub fn require_key(&self, key: &str) {
        self.shared.settings().key = Some(key.to_owned());
    }

    /// Sets the status with which the gateway answers every call, or lets it answer as it should.
    pub fn answer_with(&self, status: Option<StatusCode>) {
        self.shared.settings().status = status;
    }

    /// Sets the designers that are open, each with its user and its project.
    pub fn set_designers(&self, designers: &[(&str, &str)]) {
        let entry = |(user, project): &(&str, &str)| json!({"user": user, "project": project});
        self.shared.settings().designers = designers.iter().map(entry).collect();
    }

    /// Returns the calls so far, such as `POST /data/api/v1/scan/projects 200`, the oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.shared.calls.borrow().clone()
    }

    /// Returns what the gateway has scanned so far, such as `projects`, the oldest first.
    #[must_use]
    pub fn scans(&self) -> Vec<String> {
        self.calls().iter().filter_map(|call| scan(call)).collect()
    }

    /// Waits until the calls have a property.
    pub async fn wait_for(&self, is_true: impl FnMut(&Vec<String>) -> bool) {
        let mut calls = self.shared.calls.subscribe();
        // The sender lives as long as the value.
        drop(calls.wait_for(is_true).await);
    }

    /// Returns a receiver of the calls, for a log of them.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Vec<String>> {
        self.shared.calls.subscribe()
    }
}

/// Returns what a call has scanned, if it is a successful scan.
fn scan(call: &str) -> Option<String> {
    let call = call.strip_prefix("POST /data/api/v1/scan/")?;
    call.strip_suffix(" 200").map(str::to_owned)
}

impl Drop for FakeGateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let designers = |State(shared): State<Arc<Shared>>| async move {
        Json(json!({"items": shared.settings().designers}))
    };
    Router::new()
        .route("/data/api/v1/scan/projects", post(StatusCode::OK))
        .route("/data/api/v1/scan/config", post(StatusCode::OK))
        .route(
            "/data/api/v1/gateway-info",
            get(Json(json!({"name": "fake"}))),
        )
        .route("/data/api/v1/designers", get(designers))
        .route("/system/gwinfo", get("ContextStatus=RUNNING"))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), answer))
        .with_state(shared)
}

/// Checks the API key, applies the configured status, and records the call.
async fn answer(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let call = format!("{} {}", request.method(), request.uri().path());
    let Settings { key, status, .. } = shared.settings().clone();
    let sent = request.headers().get("x-ignition-api-token");
    let is_open = request.uri().path() == "/system/gwinfo";
    let is_allowed = is_open || key.is_none_or(|key| sent.is_some_and(|sent| sent == key.as_str()));
    let response = match status {
        Some(status) => status.into_response(),
        None if !is_allowed => StatusCode::UNAUTHORIZED.into_response(),
        None => next.run(request).await,
    };
    let status = response.status().as_u16();
    shared
        .calls
        .send_modify(|calls| calls.push(format!("{call} {status}")));
    response
}
