//! The steps of the demo. Each prints a line with the webhook, the answer, the detected ref, the commit and the times.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kube::Api;
use kube::runtime::wait::await_condition;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use stoker_api::detection::CommitId;
use stoker_api::{GatewayState, GatewaySync, RefResolutionStatus};
use stoker_http_client::http_client;
use stoker_local_cluster::History;

use super::super::text;
use super::EXAMPLE_PLUGIN;
use super::payloads::{self, Sent};
use super::{NAME, SECRET};
use crate::auth::{SIGNATURE_HEADER, sign};
use crate::plugin::Chain;

/// The time limit of a step.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval between two checks for the new plugin.
const POLL_PERIOD: Duration = Duration::from_millis(2);

/// The environment of the steps.
pub(super) struct DemoSteps {
    url: String,
    repo: String,
    http: reqwest::Client,
    objects: Api<GatewaySync>,
    chain: Arc<Chain>,
    plugins: PathBuf,
}

/// The expected result of a step.
enum Expect<'a> {
    /// The plugin detects the ref, the object is resolved to the commit, and its files reach the gateway.
    Commit {
        plugin: &'static str,
        commit: &'a CommitId,
    },
    /// The answer has this status.
    Status(u16),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    plugin: Option<String>,
    #[serde(default, rename = "ref")]
    git_ref: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

impl DemoSteps {
    pub(super) fn new(
        url: String,
        repo: String,
        objects: Api<GatewaySync>,
        chain: Arc<Chain>,
        plugins: PathBuf,
    ) -> Result<Self> {
        Ok(Self {
            url,
            repo,
            http: http_client()?,
            objects,
            chain,
            plugins,
        })
    }

    /// Runs every step, and returns whether all succeeded.
    pub(super) async fn run(&self, history: &History) -> Result<bool> {
        let found = |plugin, commit| Expect::Commit { plugin, commit };
        let mut all = true;
        let steps = [
            (
                "GitHub release v2.0.0",
                payloads::github_release("v2.0.0"),
                true,
                found("github", &history.v2_0_0),
            ),
            (
                "Argo CD sync of v2.1.0",
                payloads::argocd("v2.1.0", &self.repo),
                true,
                found("argocd", &history.v2_1_0),
            ),
            (
                "Kargo promotion of v2.2.0",
                payloads::kargo("v2.2.0", &history.v2_2_0, &self.repo),
                true,
                found("kargo", &history.v2_2_0),
            ),
            (
                "generic, branch main",
                payloads::generic("main"),
                true,
                found("generic", &history.main),
            ),
            (
                "generic, not signed",
                payloads::generic("v2.0.0"),
                false,
                Expect::Status(401),
            ),
            (
                "a site's own format",
                payloads::shipit("v3.0.0", &history.v3_0_0),
                true,
                Expect::Status(400),
            ),
        ];
        for (index, (title, sent, signed, expect)) in steps.into_iter().enumerate() {
            all &= self.step(index + 1, title, sent, signed, &expect).await?;
        }
        all &= self.drop_in().await?;
        let sent = payloads::shipit("v3.0.0", &history.v3_0_0);
        all &= self
            .step(
                8,
                "a site's own format",
                sent,
                true,
                &found("shipit", &history.v3_0_0),
            )
            .await?;
        Ok(all)
    }

    async fn step(
        &self,
        number: usize,
        title: &str,
        sent: Sent,
        signed: bool,
        expect: &Expect<'_>,
    ) -> Result<bool> {
        let started = Instant::now();
        let (status, answer) = self.send(sent, signed).await?;
        let answered = started.elapsed();
        let mut resolved = answered;
        let succeeded = match expect {
            Expect::Status(expected) => status == *expected,
            Expect::Commit { plugin, commit } => {
                let is_accepted = status == 202 && answer.plugin.as_deref() == Some(plugin);
                let is_resolved = is_accepted && self.resolved(commit).await.is_ok();
                resolved = started.elapsed();
                is_resolved && self.synced(commit).await.is_ok()
            }
        };
        let synced = started.elapsed();
        let what = match (expect, &answer.plugin, &answer.git_ref) {
            (Expect::Commit { commit, .. }, Some(plugin), Some(git_ref)) => {
                format!(
                    "{plugin} found {git_ref}, commit {} after {}, on the gateway after {}",
                    commit.short(),
                    millis(resolved),
                    millis(synced)
                )
            }
            _ => answer.error.unwrap_or_default(),
        };
        let mark = if succeeded { "ok" } else { "UNEXPECTED" };
        text::print(&format!(
            "{number}  {title:<26} {status} in {:<9} {what}  [{mark}]",
            millis(answered)
        ))?;
        Ok(succeeded)
    }

    async fn send(&self, sent: Sent, signed: bool) -> Result<(u16, Answer)> {
        let body = serde_json::to_vec(&sent.body)?;
        let mut headers = sent.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if signed {
            headers.insert(SIGNATURE_HEADER, sign(SECRET.as_bytes(), &body).parse()?);
        }
        let answer = self
            .http
            .post(&self.url)
            .headers(headers)
            .body(body)
            .send()
            .await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&answer.bytes().await?)?))
    }

    /// Waits until the status of the object has this commit.
    async fn resolved(&self, commit: &CommitId) -> Result<()> {
        let is_resolved = |object: Option<&GatewaySync>| {
            object
                .and_then(|object| object.status.as_ref())
                .is_some_and(|status| {
                    status.ref_resolution_status == Some(RefResolutionStatus::Resolved)
                        && status.last_sync_commit.as_deref() == Some(commit.as_str())
                })
        };
        self.wait_for(is_resolved, "the commit was not resolved in time")
            .await
    }

    /// Waits until the agent has reported that the gateway has the commit.
    async fn synced(&self, commit: &CommitId) -> Result<()> {
        let is_synced = |object: Option<&GatewaySync>| {
            let status = object.and_then(|object| object.status.as_ref());
            let gateways = status.map_or(&[][..], |status| &status.discovered_gateways);
            gateways.iter().any(|gateway| {
                gateway.sync_status == Some(GatewayState::Synced)
                    && gateway.synced_commit.as_deref() == Some(commit.as_str())
            })
        };
        self.wait_for(is_synced, "the commit did not reach the gateway in time")
            .await
    }

    async fn wait_for(
        &self,
        is_true: impl Fn(Option<&GatewaySync>) -> bool,
        otherwise: &'static str,
    ) -> Result<()> {
        let wait = await_condition(self.objects.clone(), NAME, is_true);
        tokio::time::timeout(STEP_TIMEOUT, wait)
            .await
            .context(otherwise)??;
        Ok(())
    }

    /// Copies the example plugin into the plugin directory, and waits until it is loaded.
    async fn drop_in(&self) -> Result<bool> {
        let started = Instant::now();
        let path = self.plugins.join("shipit.wasm");
        std::fs::write(&path, EXAMPLE_PLUGIN)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let serves = async {
            let is_serving = || {
                self.chain
                    .plugins()
                    .iter()
                    .any(|plugin| plugin.descriptor().name == "shipit")
            };
            while !is_serving() {
                tokio::time::sleep(POLL_PERIOD).await;
            }
        };
        let in_time = tokio::time::timeout(STEP_TIMEOUT, serves).await.is_ok();
        let mark = if in_time { "ok" } else { "UNEXPECTED" };
        let size = EXAMPLE_PLUGIN.len();
        text::print(&format!(
            "7  plugin added               {} ({size} bytes) loaded after {}  [{mark}]",
            path.display(),
            millis(started.elapsed())
        ))?;
        ensure!(in_time, "the plugin was not loaded in time");
        Ok(in_time)
    }
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
