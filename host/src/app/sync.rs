//! `stoker sync`: requests a sync of an object, as a webhook does, and waits until its gateways have the commit.

use std::io::Write;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use serde_json::json;
use stoker_api::messages;
use stoker_api::names::condition;
use stoker_api::request;
use stoker_api::{DiscoveredGateway, GatewaySync, GatewaySyncStatus};
use tokio::time::Instant;

use super::kubeconfig;
use super::unhandled::Unhandled;
use crate::cli::SyncFlags;
use crate::cluster::api_errors::ApiError;

/// The name of the writer in `managedFields`.
const FIELD_MANAGER: &str = "stoker-sync";
/// What the annotation names as the requester.
const REQUESTED_BY: &str = "stoker-sync";
/// The exit code if the sync is not complete in time.
const NOT_IN_TIME: u8 = 3;

/// How a sync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncResult {
    /// The ref is resolved, and the gateways have its commit.
    Synced,
    /// The ref could not be resolved, or another request replaced this one.
    Failed,
    /// The sync was not complete in time. It continues in the cluster.
    NotInTime,
}

impl From<SyncResult> for ExitCode {
    fn from(result: SyncResult) -> Self {
        match result {
            SyncResult::Synced => Self::SUCCESS,
            SyncResult::Failed => Self::FAILURE,
            SyncResult::NotInTime => NOT_IN_TIME.into(),
        }
    }
}

pub(super) async fn run(flags: SyncFlags) -> Result<ExitCode> {
    let client = kubeconfig::clients(flags.kubeconfig.as_deref(), "")
        .await?
        .patient;
    let result = sync(&client, &flags, &mut std::io::stdout()).await?;
    Ok(result.into())
}

/// Requests a sync and waits for its end. Each step is one line of the output.
pub async fn sync(client: &Client, flags: &SyncFlags, out: &mut impl Write) -> Result<SyncResult> {
    let object = &flags.object;
    let objects = Api::<GatewaySync>::namespaced(client.clone(), object.namespace());
    let found = objects.get(object.name()).await;
    let found = found
        .map_err(|error| ApiError::of_request::<GatewaySync>(error, Some(&object.to_string())))?;
    if found.spec.is_paused() {
        bail!("{object} is paused: set spec.paused to false, and request the sync again");
    }
    let started = Instant::now();
    let requested_at = write_request(client, &found, flags).await?;
    let git_ref = flags
        .r#ref
        .as_ref()
        .map_or_else(|| found.effective_ref().to_owned(), ToString::to_string);
    let mut progress = Progress {
        out,
        started,
        last: String::new(),
    };
    progress.say("requested", &format!("{git_ref} for {object}"))?;
    let waited = wait(&objects, flags, &requested_at, &mut progress);
    if let Ok(result) = tokio::time::timeout(flags.timeout, waited).await {
        return result;
    }
    let now = objects.get(object.name()).await.ok();
    let unhandled = now.filter(GatewaySync::has_unhandled_request);
    let continues = match &unhandled {
        Some(_) => "the request stays on the object",
        None => "the sync continues",
    };
    if let Some(why) = unhandled.as_ref().and_then(why_unhandled) {
        progress.say("waiting", &why)?;
    }
    let seconds = flags.timeout.as_secs();
    progress.say(
        "timeout",
        &format!(
            "not complete after {seconds} s; {continues}: stoker status -n {} {}",
            object.namespace(),
            object.name()
        ),
    )?;
    Ok(SyncResult::NotInTime)
}

/// Returns why the controller may not have handled the request of an object. Returns `None` if the reason was said.
fn why_unhandled(object: &GatewaySync) -> Option<String> {
    // The controller waits for the Secret.
    if object.status.as_ref().and_then(missing_secret).is_some() {
        return None;
    }
    let unhandled = Unhandled::of(object);
    let remedy = unhandled.remedy();
    Some(match unhandled {
        Unhandled::GitIsSlow => remedy,
        Unhandled::NoController | Unhandled::NoControllerOrField => {
            format!("no controller has handled the request; {remedy}")
        }
    })
}

/// Returns the message about a Secret without which the controller handles no request.
fn missing_secret(status: &GatewaySyncStatus) -> Option<&str> {
    let ready = status.condition(condition::READY)?;
    messages::is_about_secret(&ready.message).then_some(ready.message.as_str())
}

/// Writes the request, and returns its time stamp.
async fn write_request(client: &Client, found: &GatewaySync, flags: &SyncFlags) -> Result<String> {
    let requested_at = request::stamp(Timestamp::now());
    let spec_ref = &found.spec.git.git_ref;
    let annotations = match &flags.r#ref {
        Some(git_ref) => {
            let git_ref = git_ref.as_str();
            request::of_ref(git_ref, spec_ref, &requested_at, REQUESTED_BY, None)
        }
        None => request::of_same_ref(found, &requested_at, REQUESTED_BY),
    };
    // Only the metadata of the answer is parsed, because the spec may contain credentials, and the client library logs
    // answers that it cannot parse.
    let objects =
        Api::<PartialObjectMeta<GatewaySync>>::namespaced(client.clone(), flags.object.namespace());
    let params = PatchParams::apply(FIELD_MANAGER);
    let patch = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
    let written = objects.patch(flags.object.name(), &params, &patch).await;
    let object = flags.object.to_string();
    written
        .map_err(|error| ApiError::of_request::<GatewaySync>(error, Some(&object)))
        .context("cannot write the request")?;
    Ok(requested_at)
}

/// Follows the object until the sync ends.
async fn wait(
    objects: &Api<GatewaySync>,
    flags: &SyncFlags,
    requested_at: &str,
    progress: &mut Progress<'_, impl Write>,
) -> Result<SyncResult> {
    let config =
        watcher::Config::default().fields(&format!("metadata.name={}", flags.object.name()));
    let events = watcher(objects.clone(), config).default_backoff();
    let mut states = pin!(events.filter_map(|event| async { object_of(event) }));
    while let Some(seen) = states.next().await {
        match Step::of(&seen, requested_at, flags.no_wait) {
            Step::Waiting(None) => {}
            Step::Waiting(Some(why)) => progress.say("waiting", &why)?,
            Step::Resolved {
                commit,
                synced,
                count,
                why,
            } => {
                progress.say("resolved", &commit)?;
                progress.say("gateways", &format!("{synced}/{count} synced"))?;
                // One reason is enough: `stoker status` has all of them.
                if let Some(why) = why.filter(|_| !progress.has_said("problem")) {
                    progress.say("problem", &why)?;
                }
            }
            Step::Done {
                commit,
                synced,
                count,
            } => {
                progress.say("resolved", &commit)?;
                if count == 0 {
                    progress.say("done", "the object has no gateways")?;
                } else if synced == count {
                    progress.say("synced", &format!("{count}/{count} gateways"))?;
                } else {
                    progress.say("done", &format!("{synced}/{count} gateways are synced"))?;
                }
                return Ok(SyncResult::Synced);
            }
            Step::Failed(why) => {
                progress.say("failed", &why)?;
                return Ok(SyncResult::Failed);
            }
        }
    }
    bail!("the watch of the object ended")
}

/// The object, as an event of the watch shows it.
enum Seen {
    Object(Box<GatewaySync>),
    Deleted,
}

/// Returns the object of an event, or `None` if the event is about no object.
fn object_of(event: watcher::Result<watcher::Event<GatewaySync>>) -> Option<Seen> {
    match event {
        Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
            Some(Seen::Object(Box::new(object)))
        }
        Ok(watcher::Event::Delete(_)) => Some(Seen::Deleted),
        Ok(watcher::Event::Init | watcher::Event::InitDone) => None,
        // The watch is started again after a pause.
        Err(error) => {
            let error = ApiError::of_watch::<GatewaySync>(error);
            tracing::error!(error = %stoker_report::chain(&error), "the watch was interrupted");
            None
        }
    }
}

/// How far a sync is.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// The controller has not handled the request, and the reason if it is known.
    Waiting(Option<String>),
    /// The ref is resolved, and some gateways do not have the commit.
    Resolved {
        commit: String,
        synced: usize,
        count: usize,
        /// What keeps a gateway from it, if it is known.
        why: Option<String>,
    },
    /// There is nothing to wait for any more.
    Done {
        commit: String,
        synced: usize,
        count: usize,
    },
    /// The sync cannot succeed.
    Failed(String),
}

impl Step {
    fn of(seen: &Seen, requested_at: &str, no_wait: bool) -> Self {
        let Seen::Object(object) = seen else {
            return Self::Failed("the object was deleted".to_owned());
        };
        if object.spec.is_paused() {
            return Self::Failed("the object was paused".to_owned());
        }
        if object.requested_at() != Some(requested_at) {
            return Self::Failed("another request replaced this one".to_owned());
        }
        let status = object.status.clone().unwrap_or_default();
        if object.has_unhandled_request() {
            // Without its Secrets, the controller does not handle a request. They may be created in the meantime.
            return Self::Waiting(missing_secret(&status).map(str::to_owned));
        }
        match status.condition(condition::REF_RESOLVED) {
            Some(found) if found.status == "False" => Self::Failed(found.message.clone()),
            _ => Self::handled(&status, no_wait),
        }
    }

    fn handled(status: &GatewaySyncStatus, no_wait: bool) -> Self {
        let ready = status.condition(condition::READY);
        let unpublished = ready.filter(|found| messages::is_not_published(&found.message));
        if let Some(found) = unpublished {
            return Self::Failed(found.message.clone());
        }
        let commit = status.last_sync_commit.clone().unwrap_or_default();
        let (synced, count) = status.gateways_at_commit();
        let skew = status.condition(condition::REF_SKEW);
        let skew = skew.filter(|found| found.status == "True");
        if no_wait || (synced == count && skew.is_none()) {
            return Self::Done {
                commit,
                synced,
                count,
            };
        }
        let gateways = &mut status.discovered_gateways.iter();
        let failed = gateways.find_map(DiscoveredGateway::failure);
        Self::Resolved {
            commit,
            synced,
            count,
            why: failed.or_else(|| skew.map(|found| found.message.clone())),
        }
    }
}

/// Writes each step once, with the time since the request.
struct Progress<'a, W> {
    out: &'a mut W,
    started: Instant,
    last: String,
}

impl<W: Write> Progress<'_, W> {
    /// Returns whether a line of a step was written.
    fn has_said(&self, step: &str) -> bool {
        let mut lines = self.last.lines();
        lines.any(|line| line.starts_with(step))
    }

    fn say(&mut self, step: &str, text: &str) -> Result<()> {
        let line = format!("{step:<10} {}", stoker_report::escape(text));
        if self.last.contains(&line) {
            return Ok(());
        }
        self.last.push_str(&line);
        self.last.push('\n');
        let elapsed = tenths(self.started.elapsed());
        // The command continues if nothing reads its output.
        let line = format!("{elapsed:>7}  {line}\n");
        Ok(stoker_process::print(&mut *self.out, &line)?)
    }
}

fn tenths(elapsed: Duration) -> String {
    format!("{:.1}s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests;
