//! One sync, step by step: the profile, the commit, the designers, the files, the scan.

mod files;
mod state;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stoker_api::DesignerSessionPolicy;
use stoker_git::{CommitInfo, Credentials, GitClient, ObjectStore, Remote, Wanted};
use tokio::time::Instant;

use crate::agent::{Failure, OnDisk, Outcome, Phase, Step, Synced, Work};
use crate::credentials::CredentialFiles;
use crate::gateway::{Designer, GatewayClient, Scans};
use crate::metadata::Published;
use crate::metrics::{Files, Metrics, Operation};
use crate::surroundings::Surroundings;
use crate::sync::{Context, Profile, Profiles};

use files::FilesJob;
pub(crate) use files::{Done, FilesResult};
pub(crate) use state::State;

/// What the templates know about the gateway, apart from the commit and the labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Subject {
    /// The name of the gateway.
    pub(crate) gateway: String,
    /// The name of its pod.
    pub(crate) pod: String,
    /// The namespace of the object.
    pub(crate) namespace: String,
    /// The name of the object.
    pub(crate) object: String,
}

/// Syncs one gateway.
pub(crate) struct Worker {
    pub(crate) git: GitClient,
    pub(crate) store: Arc<ObjectStore>,
    pub(crate) credentials: CredentialFiles,
    /// The gateway's API, or `None` if there is no gateway to ask.
    pub(crate) gateway: Option<GatewayClient>,
    pub(crate) surroundings: Surroundings,
    pub(crate) subject: Subject,
    /// The name of the profile.
    pub(crate) profile: String,
    /// The folder of the gateway.
    pub(crate) data: PathBuf,
    /// What is on the gateway.
    pub(crate) state: State,
    pub(crate) metrics: Metrics,
    /// The time between two looks at the gateway, if the profile does not set it.
    pub(crate) default_period: Duration,
    pub(crate) progress: Progress,
}

/// What the worker knows from one sync to the next.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The period of the last profile.
    period: Option<Duration>,
    /// Whether the last profile lets the gateway start although the first sync failed.
    starts_without_sync: bool,
    /// Whether the last profile puts back what others have changed.
    repairs_drift: bool,
    /// Whether changes are only counted, whatever the profile says.
    is_dry_run: bool,
    /// Whether each changed file is returned.
    lists_changes: bool,
    /// Whether a commit was fetched.
    has_fetched: bool,
    /// Whether the gateway has scanned since it started.
    has_scanned: bool,
    /// What was changed and not scanned.
    unscanned: Scans,
}

impl Work for Worker {
    async fn sync(&mut self, wanted: &Published, phase: Phase) -> Outcome {
        let outcome = self.steps(wanted, phase).await;
        let mut outcome = outcome.unwrap_or_else(Outcome::Failed);
        if let Outcome::Failed(failure) = &mut outcome {
            failure.allows_start |= self.progress.starts_without_sync;
        }
        match &outcome {
            Outcome::Synced(_) => self.metrics.ended(&self.profile, true),
            Outcome::Failed(failure) => {
                if failure.step == Step::Profile {
                    self.metrics.skipped("profile_error");
                }
                self.metrics.ended(&self.profile, false);
            }
            Outcome::ProfilePaused => self.metrics.skipped("paused"),
            Outcome::Designers { .. } => self.metrics.skipped("designer_blocked"),
            Outcome::Unconfirmed { .. } => self.metrics.skipped("unconfirmed"),
        }
        outcome
    }

    fn on_disk(&self) -> OnDisk {
        self.state.on_disk()
    }

    async fn find_drift(&mut self) -> bool {
        let state = std::mem::take(&mut self.state);
        let data = self.data.clone();
        let (found, state) = blocking(move || (files::find_drift(&state, &data), state)).await;
        self.state = state;
        self.metrics.drifted(found.len());
        if found.is_empty() {
            return false;
        }
        tracing::warn!(
            files = found.len(),
            first = found[0].path,
            repairs = self.progress.repairs_drift,
            "files of the gateway were changed since the last sync"
        );
        self.progress.repairs_drift
    }

    fn period(&self) -> Duration {
        self.progress.period.unwrap_or(self.default_period)
    }
}

impl Worker {
    async fn steps(&mut self, wanted: &Published, phase: Phase) -> Result<Outcome, Failure> {
        let profiles = Profiles::parse(&wanted.profiles);
        let profile = profiles
            .get(&self.profile)
            .map_err(|error| failure(Step::Profile, &error))?;
        self.progress.period = profile.sync_period();
        self.progress.repairs_drift = profile.repairs_drift();
        self.progress.starts_without_sync = profile.starts_without_sync();
        if profile.is_paused() {
            return Ok(Outcome::ProfilePaused);
        }
        let info = self.fetch(wanted).await?;
        let asks = phase == Phase::Running && !profile.is_dry_run();
        if asks && let Some(outcome) = self.ask_designers(profile).await {
            return Ok(outcome);
        }
        let started = Instant::now();
        let done = match self.write_files(wanted, profile, &info).await? {
            FilesResult::Done(done) => done,
            FilesResult::Unconfirmed(message) => return Ok(Outcome::Unconfirmed { message }),
        };
        let took = started.elapsed();
        self.metrics.synced(&self.profile, took, done.files);
        for message in &done.messages {
            tracing::info!(message, "a part of the profile was left out");
        }
        let scan = if asks {
            self.scan(&done).await?
        } else {
            String::new()
        };
        Ok(Outcome::Synced(Synced {
            author: info.author,
            files: done.files,
            is_dry_run: profile.is_dry_run(),
            took,
            projects: done.projects,
            scan,
        }))
    }

    /// Gets the commit, if it is not there.
    async fn fetch(&mut self, wanted: &Published) -> Result<CommitInfo, Failure> {
        let (operation, step) =
            if self.progress.has_fetched || !self.state.on_disk().commit.is_empty() {
                (Operation::Fetch, Step::Fetch)
            } else {
                (Operation::Clone, Step::Clone)
            };
        let started = Instant::now();
        let fetched = self.fetch_commit(wanted, step).await;
        self.metrics
            .fetched(operation, started.elapsed(), fetched.is_ok());
        self.progress.has_fetched |= fetched.is_ok();
        fetched
    }

    async fn fetch_commit(&self, wanted: &Published, step: Step) -> Result<CommitInfo, Failure> {
        let remote = self
            .credentials
            .remote(wanted.repo.clone())
            .map_err(|error| failure(step, &error))?;
        let remote = self.with_host_key(remote).await;
        let asked = Wanted {
            commit: wanted.commit.clone(),
            git_ref: wanted.git_ref.clone(),
        };
        let report = self
            .git
            .fetch(&remote, &asked, &self.store)
            .await
            .map_err(|error| failure(step, &error))?;
        tracing::debug!(bytes = report.bytes, "fetched");
        let store = Arc::clone(&self.store);
        let commit = wanted.commit.clone();
        let info = blocking(move || store.commit(&commit)).await;
        let info = info.map_err(|error| failure(step, &error))?;
        info.ok_or_else(|| text_failure(step, "the commit is not among the fetched objects"))
    }

    /// Adds the host key that the controller saw, if no other determines the key.
    async fn with_host_key(&self, remote: Remote) -> Remote {
        let Credentials::SshKey {
            known_hosts: None, ..
        } = remote.credentials()
        else {
            return remote;
        };
        match self.surroundings.pinned_host_key(remote.url()).await {
            Ok(Some(key)) => remote.with_pinned_host_key(&key),
            Ok(None) => remote,
            Err(error) => {
                tracing::warn!(error = %stoker_report::chain(&error), "the host key that the controller saw cannot be read");
                remote
            }
        }
    }

    /// Gets a commit and writes its files, without a gateway. `is_dry_run` only counts the changes.
    pub(crate) async fn sync_once(
        &mut self,
        wanted: &Published,
        is_dry_run: bool,
    ) -> Result<FilesResult, Failure> {
        self.progress.is_dry_run = is_dry_run;
        self.progress.lists_changes = true;
        let profiles = Profiles::parse(&wanted.profiles);
        let profile = profiles
            .get(&self.profile)
            .map_err(|error| failure(Step::Profile, &error))?;
        let info = self.fetch(wanted).await?;
        self.write_files(wanted, profile, &info).await
    }

    /// Asks the gateway for designers. Returns the outcome if they keep the sync from being done. A gateway that does
    /// not answer keeps nothing from being done.
    async fn ask_designers(&mut self, profile: &Profile) -> Option<Outcome> {
        let gateway = self.gateway.as_ref()?;
        let open: Vec<Designer> = match gateway.designers().await {
            Ok(open) => open,
            Err(error) => {
                tracing::warn!(error = %stoker_report::chain(&error), "the gateway cannot be asked for designers");
                Vec::new()
            }
        };
        let policy = profile.designer_session_policy();
        let is_blocked = policy != DesignerSessionPolicy::Proceed && !open.is_empty();
        self.metrics.designers(open.len(), is_blocked);
        is_blocked.then(|| Outcome::Designers {
            policy,
            open,
            period: self.period(),
        })
    }

    async fn write_files(
        &mut self,
        wanted: &Published,
        profile: &Profile,
        info: &CommitInfo,
    ) -> Result<FilesResult, Failure> {
        let labels = self.surroundings.labels().await;
        let labels = labels.map_err(|error| {
            let reason = stoker_report::chain(&error).to_string();
            text_failure(
                Step::Files,
                &format!("cannot read the labels of the pod: {reason}"),
            )
        })?;
        tracing::debug!(summary = info.summary, "planning");
        let context = Context {
            gateway_name: self.subject.gateway.clone(),
            pod_name: self.subject.pod.clone(),
            namespace: self.subject.namespace.clone(),
            git_ref: wanted.git_ref.short().to_owned(),
            commit: wanted.commit.to_string(),
            cr_name: self.subject.object.clone(),
            pod_ordinal: Context::pod_ordinal(&labels, &self.subject.pod),
            labels,
            vars: profile.vars().clone(),
        };
        let job = FilesJob {
            store: Arc::clone(&self.store),
            commit: wanted.commit.clone(),
            profile: profile.clone(),
            context,
            data: self.data.clone(),
            is_dry_run: profile.is_dry_run() || self.progress.is_dry_run,
            is_confirmed: false,
            lists_changes: self.progress.lists_changes,
        };
        let result = self.run_files(job.clone()).await?;
        let FilesResult::Unconfirmed(message) = result else {
            return Ok(result);
        };
        if self.surroundings.is_confirmed(&wanted.commit).await {
            tracing::warn!(
                commit = wanted.commit.as_str(),
                "the deletions are confirmed"
            );
            let is_confirmed = true;
            return self
                .run_files(FilesJob {
                    is_confirmed,
                    ..job
                })
                .await;
        }
        let how = self.surroundings.how_to_confirm(&wanted.commit);
        Ok(FilesResult::Unconfirmed(format!("{message}; {how}")))
    }

    async fn run_files(&mut self, job: FilesJob) -> Result<FilesResult, Failure> {
        let mut state = std::mem::take(&mut self.state);
        let (result, state) = blocking(move || {
            let result = job.run(&mut state);
            (result, state)
        })
        .await;
        self.state = state;
        result.map_err(|error| failure(Step::Files, &error))
    }

    /// Tells the gateway to scan what was changed since its last scan. The first scan after its start is of everything.
    async fn scan(&mut self, done: &Done) -> Result<String, Failure> {
        let Some(gateway) = &self.gateway else {
            return Ok(String::new());
        };
        let changed = if self.progress.has_scanned {
            done.scans
        } else {
            Scans::ALL
        };
        self.progress.unscanned = self.progress.unscanned.union(changed);
        if self.progress.unscanned.is_empty() {
            return Ok(String::new());
        }
        let started = Instant::now();
        let answer = gateway.scan(self.progress.unscanned).await;
        self.metrics.scanned(started.elapsed(), answer.is_ok());
        let answer = answer.map_err(|error| Failure {
            step: Step::Scan,
            message: format!("error: {}", stoker_report::chain(&error)),
            files: done.files,
            allows_start: true,
        })?;
        self.progress.unscanned = Scans::default();
        self.progress.has_scanned = true;
        Ok(answer)
    }
}

/// Runs work that blocks, in a thread for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn failure(step: Step, error: &(dyn std::error::Error + 'static)) -> Failure {
    text_failure(step, &stoker_report::chain(error).to_string())
}

fn text_failure(step: Step, message: &str) -> Failure {
    Failure {
        step,
        message: message.to_owned(),
        files: Files::default(),
        allows_start: false,
    }
}
