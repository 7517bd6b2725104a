//! `stoker-agent run`: follows a ref without a cluster.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use prometheus_client::registry::Registry;
use stoker_api::detection::{CommitId, GitRef, RefName, RepoUrl};
use stoker_git::{GitClient, ObjectStore, RefSource, ResolvedRef};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::tasks::{self, Tasks};
use super::{git_client, open_store};
use crate::agent::{Agent, Identity};
use crate::credentials::CredentialFiles;
use crate::environment::{Confirmation, Environment, Machine};
use crate::events::EventSender;
use crate::gateway::GatewayClient;
use crate::health::{Health, Site};
use crate::host_keys::HostKeys;
use crate::machine_config::{MachineConfig, PROFILE_NAME, read_profile};
use crate::metadata::{self, Metadata, Published};
use crate::metrics::{Metrics, Operation};
use crate::problems::ProblemSender;
use crate::report::{Report, VERSION};
use crate::worker::{Progress, State, Subject, Worker};

/// The file in the directory of the agent with the last report.
const STATUS_FILE: &str = "status.json";
/// The file in the directory of the agent with the commit whose deletions are confirmed.
const CONFIRM_FILE: &str = "confirm-deletes";

/// Runs the agent with the settings of a file, until the process is told to end.
pub(super) async fn run(path: &Path) -> Result<ExitCode> {
    let config = MachineConfig::read(path)?;
    let ended = stoker_process::termination()?;
    Box::pin(run_until(config, ended)).await?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the agent until `ended` completes.
async fn run_until(config: MachineConfig, ended: impl Future<Output = ()> + Send) -> Result<()> {
    // A profile that is unusable at the start is a mistake in the settings.
    read_profile(&config.profile)?;
    let (metrics, registry) = tasks::metrics();
    let health = Arc::new(Health::default());
    let mut tasks = Tasks::default();
    serve(&mut tasks, &config, &health, registry).await?;
    let (store, _lock) = open_store(&config.state)?;
    let git = git_client(config.max_file_mib)?;
    let gateway = config.gateway.clone().map(GatewayClient::new).transpose()?;
    let (problem_sender, problems) = ProblemSender::channel();
    let availability = match gateway.clone() {
        Some(gateway) => {
            let (health, problems) = (Arc::clone(&health), problem_sender.clone());
            let looks = tasks.look_for(gateway, health, metrics.clone(), problems);
            Some(looks.await)
        }
        None => None,
    };
    let shutdown = CancellationToken::new();
    let (publish, published) = watch::channel(None);
    let state = State::open(&config.state, &config.data);
    let poll = Poll {
        git: git.clone(),
        store: Arc::clone(&store),
        before: state.found_by(&config.repo, &config.git_ref),
        config: config.clone(),
        metrics: metrics.clone(),
        problems: problem_sender,
    };
    tasks.spawn(poll.run(publish, shutdown.clone()));
    let status = config.state.join(STATUS_FILE);
    let before = Report::parse(&std::fs::read_to_string(&status).unwrap_or_default());
    let (reports, reporting) = reporting(status);
    tracing::info!(
        version = VERSION,
        repo = config.repo.to_string(),
        "stoker-agent started"
    );
    let agent = Agent {
        identity: Identity {
            gateway: config.name.clone(),
            profile: PROFILE_NAME.to_owned(),
        },
        published: published.clone(),
        gateway: availability,
        problems,
        reports,
        events: EventSender::none(),
        health,
        metrics: metrics.clone(),
        work: Worker {
            gateway,
            published: Some(published),
            ..worker(config, state, git, store, metrics)
        },
    };
    tasks::run_until(agent, before, reporting, shutdown, ended).await;
    tracing::info!("stoker-agent stopped");
    Ok(())
}

/// Starts the servers of the probes and of the metrics that are set.
async fn serve(
    tasks: &mut Tasks,
    config: &MachineConfig,
    health: &Arc<Health>,
    registry: Arc<Registry>,
) -> Result<()> {
    for (address, site) in [
        (config.health, Site::Probes(Arc::clone(health))),
        (config.metrics, Site::Metrics(registry)),
    ] {
        if let Some(address) = address {
            tasks.serve(tasks::listen(address).await?, site);
        }
    }
    Ok(())
}

/// Returns what syncs the files, without a gateway.
fn worker(
    config: MachineConfig,
    state: State,
    git: GitClient,
    store: Arc<ObjectStore>,
    metrics: Metrics,
) -> Worker {
    Worker {
        git,
        store,
        gateway: None,
        environment: Environment::Machine(Machine {
            labels: config.labels,
            confirmation: Confirmation::File(config.state.join(CONFIRM_FILE)),
            host_keys: HostKeys::in_directory(&config.state),
        }),
        subject: Subject {
            gateway: config.name.clone(),
            pod: config.name,
            ..Subject::default()
        },
        profile: PROFILE_NAME.to_owned(),
        state,
        data: config.data,
        credentials: config.credentials,
        metrics,
        default_period: config.interval,
        progress: Progress::default(),
        published: None,
        show: |_| (),
    }
}

/// A commit, and the ref that led to it.
type Found = (CommitId, GitRef);

/// Looks up the ref from time to time, and reads the profile.
struct Poll {
    git: GitClient,
    store: Arc<ObjectStore>,
    /// What an earlier process has found for the same ref, and brought to the gateway.
    before: Option<Found>,
    config: MachineConfig,
    metrics: Metrics,
    problems: ProblemSender,
}

impl Poll {
    /// Looks until the shutdown. A lookup that the shutdown interrupts is no failure.
    async fn run(self, published: watch::Sender<Option<Metadata>>, shutdown: CancellationToken) {
        let looks = Box::pin(self.look_for_ever(&published));
        shutdown.run_until_cancelled(looks).await;
        // The loop of the agent must not be told that the sender is gone.
        published.closed().await;
    }

    /// What fails is a problem until it succeeds. Without a profile, everything stays as it is. Without a commit, the one
    /// that was found before is published with the profile.
    async fn look_for_ever(&self, published: &watch::Sender<Option<Metadata>>) {
        let mut last = self.before.clone();
        let mut ticks = tokio::time::interval(self.config.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let profiles = match read_profile(&self.config.profile) {
                Ok(profiles) => profiles,
                Err(error) => {
                    self.metrics.skipped("profile_error");
                    self.set_problem(&error);
                    continue;
                }
            };
            match self.look_up().await {
                Ok(found) => {
                    self.problems.set_published("");
                    last = Some(found);
                }
                Err(error) => self.set_problem(error.as_ref()),
            }
            if let Some(found) = &last {
                let found = published_as(found.clone(), &self.config.repo, profiles);
                metadata::publish(published, Metadata::Published(found));
            }
        }
    }

    fn set_problem(&self, error: &(dyn std::error::Error + 'static)) {
        let error = stoker_report::chain(error).to_string();
        self.problems.set_published(&error);
    }

    async fn look_up(&self) -> Result<Found> {
        let MachineConfig {
            repo,
            git_ref,
            credentials,
            state,
            ..
        } = &self.config;
        if let Some(found) = stored(&self.store, git_ref).await {
            return Ok(found);
        }
        let started = Instant::now();
        let host_keys = HostKeys::in_directory(state);
        let found = resolve(&self.git, credentials, &host_keys, repo, git_ref).await;
        self.metrics
            .fetched(Operation::Lookup, started.elapsed(), found.is_ok());
        found.with_context(|| format!("cannot look up {}", git_ref.as_str()))
    }
}

/// Returns what the full id of a commit leads to, if the commit was fetched. It needs no lookup then.
pub(super) async fn stored(store: &Arc<ObjectStore>, git_ref: &GitRef) -> Option<Found> {
    let RefName::Commit(id) = git_ref.name() else {
        return None;
    };
    let store = Arc::clone(store);
    let read = tokio::task::spawn_blocking(move || {
        let is_there = matches!(store.commit(&id), Ok(Some(_)));
        is_there.then_some(id)
    });
    // A commit that cannot be read is looked up, and fetched again.
    let id = read.await.ok().flatten()?;
    let git_ref = GitRef::parse(id.as_str()).ok()?;
    Some((id, git_ref))
}

/// Looks up the commit of a ref. Keeps the host key that the server shows first.
pub(super) async fn resolve(
    git: &impl RefSource,
    credentials: &CredentialFiles,
    host_keys: &HostKeys,
    repo: &RepoUrl,
    git_ref: &GitRef,
) -> Result<Found> {
    let remote = host_keys.pin(credentials.remote(repo.clone())?)?;
    let found = git.resolve(&remote, std::slice::from_ref(git_ref)).await;
    let found = found.map_err(|error| host_keys.explain(&remote, error))?;
    host_keys.keep(&remote, git.host_key(&remote))?;
    let found = found
        .into_iter()
        .next()
        .context("the server did not answer")??;
    let git_ref = spelled(git_ref, &found)?;
    Ok((found.commit().clone(), git_ref))
}

/// Returns the ref in the form that has the right short name: the full name of `heads/x` and `tags/x`, and the id of a
/// commit in lower case.
fn spelled(git_ref: &GitRef, found: &ResolvedRef) -> Result<GitRef> {
    let full = format!("refs/{}", git_ref.as_str());
    Ok(match git_ref.name() {
        RefName::Commit(id) => GitRef::parse(id.as_str())?,
        RefName::Bare(_) if found.full_name() == Some(&full) => GitRef::parse(&full)?,
        _ => git_ref.clone(),
    })
}

/// Returns what a gateway should run.
pub(super) fn published_as(found: Found, repo: &RepoUrl, profiles: String) -> Published {
    let (commit, git_ref) = found;
    Published {
        commit,
        git_ref,
        repo: repo.clone(),
        ca_bundle: None,
        profiles,
    }
}

/// Starts the task that writes the reports. It ends when the sender is dropped.
fn reporting(status: PathBuf) -> (watch::Sender<Option<Report>>, Tasks) {
    let mut tasks = Tasks::default();
    let (reports, written) = watch::channel(None);
    tasks.spawn(write_reports(status, written));
    (reports, tasks)
}

/// Writes each new report into a file, until the sender is dropped.
async fn write_reports(path: PathBuf, mut reports: watch::Receiver<Option<Report>>) {
    while reports.changed().await.is_ok() {
        let Some(report) = reports.borrow_and_update().clone() else {
            continue;
        };
        if let Err(error) = write_report(&path, &report) {
            tracing::warn!(file = %path.display(), %error, "the report cannot be written");
        }
    }
}

fn write_report(path: &Path, report: &Report) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    writeln!(file, "{}", report.to_json()?)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests;
