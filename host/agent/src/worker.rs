//! One sync, step by step: the profile, the commit, the designers, the files, the scan.

mod confirmation;
mod fetch;
mod files;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stoker_api::DesignerSessionPolicy;
use stoker_git::{CommitInfo, FetchProgress, GitClient, ObjectStore};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::agent::{Drift, Failure, OnDisk, Outcome, Phase, Step, Synced, Work};
use crate::credentials::CredentialFiles;
use crate::environment::Environment;
use crate::gateway::{Designer, GatewayClient, Scans};
use crate::metadata::{CancelFor, Metadata, Published};
use crate::metrics::{Files, Metrics};
use crate::sync::{Context, Profile, Profiles};

use confirmation::Held;
pub(crate) use files::Done;
use files::{FilesError, FilesJob, blocking};
use state::Origin;
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
    pub(crate) environment: Environment,
    pub(crate) subject: Subject,
    /// The name of the profile.
    pub(crate) profile: String,
    /// The directory of the gateway.
    pub(crate) data: PathBuf,
    /// What is on the gateway.
    pub(crate) state: State,
    pub(crate) metrics: Metrics,
    /// The time between two looks at the gateway, if the profile does not set it.
    pub(crate) default_period: Duration,
    pub(crate) progress: Progress,
    /// What is published meanwhile, or `None` for a single sync. A fetch that is of no use any more is cancelled.
    pub(crate) published: Option<watch::Receiver<Option<Metadata>>>,
    /// Shows what a fetch has reached.
    pub(crate) show: fn(FetchProgress<'_>),
}

/// What the worker knows from one sync to the next.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The last profile.
    profile: Option<Profile>,
    /// Whether a commit was fetched.
    has_fetched: bool,
    /// For what the next fetch is cancelled. After a fetch was cancelled for another commit, this is only another
    /// repository or a pause, until a fetch has ended.
    cancel_for: CancelFor,
    /// Whether the files of a commit could not be planned or written. The objects may be damaged.
    is_store_in_doubt: bool,
    /// The last sync, if it is held.
    held: Option<Held>,
    /// Whether the gateway has scanned since it started.
    has_scanned: bool,
    /// What was changed and not scanned.
    unscanned: Scans,
}

/// The kinds of syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One of many, as the profile says.
    Repeated,
    /// A single sync, whose changes are listed. A dry run only counts them, whatever the profile says.
    Single { is_dry_run: bool },
}

impl Work for Worker {
    async fn sync(&mut self, wanted: &Published, phase: Phase) -> Option<Outcome> {
        let mut outcome = match self.steps(wanted, phase).await {
            Ok(outcome) => outcome?,
            Err(failure) => Outcome::Failed(failure),
        };
        if let Outcome::Failed(failure) = &mut outcome {
            let profile = self.progress.profile.as_ref();
            failure.allows_start |= profile.is_some_and(Profile::starts_without_sync);
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
        Some(outcome)
    }

    fn on_disk(&self) -> OnDisk {
        self.state.on_disk()
    }

    async fn find_drift(&mut self) -> Drift {
        let state = std::mem::take(&mut self.state);
        let data = self.data.clone();
        let (found, state) = blocking(move || (files::find_drift(&state, &data), state)).await;
        self.state = state;
        self.metrics.drifted(found.len());
        Drift {
            files: found.into_iter().map(|file| file.path).collect(),
            is_repaired: self.progress.profile.as_ref().is_some_and(|profile| {
                profile.repairs_drift() && !profile.is_dry_run() && !profile.is_paused()
            }),
        }
    }

    fn period(&self) -> Duration {
        let profile = self.progress.profile.as_ref();
        let period = profile.and_then(Profile::sync_period);
        period.unwrap_or(self.default_period)
    }
}

impl Worker {
    /// Does the steps of a sync. Returns `None` if the fetch was cancelled, or if the files are not to be written any
    /// more.
    async fn steps(
        &mut self,
        wanted: &Published,
        phase: Phase,
    ) -> Result<Option<Outcome>, Failure> {
        let profiles = Profiles::parse(&wanted.profiles);
        let profile = profiles
            .get(&self.profile)
            .map_err(|error| failure(Step::Profile, &error))?;
        self.progress.profile = Some(profile.clone());
        if profile.is_paused() {
            return Ok(Some(Outcome::ProfilePaused));
        }
        if let Some(message) = self.still_held(wanted).await {
            return Ok(Some(Outcome::Unconfirmed { message }));
        }
        let Some(info) = self.fetch_while_wanted(wanted).await? else {
            return Ok(None);
        };
        let asks = phase == Phase::Running && !profile.is_dry_run();
        if asks && let Some(outcome) = self.ask_designers(profile).await {
            return Ok(Some(outcome));
        }
        if self.is_withdrawn(wanted) {
            tracing::info!(
                commit = wanted.commit.as_str(),
                "the files are not written, because something else is published"
            );
            return Ok(None);
        }
        let outcome = self.write_and_scan(wanted, profile, info, asks).await?;
        Ok(Some(outcome))
    }

    /// Writes the files, and lets the gateway scan them if `asks` is set.
    async fn write_and_scan(
        &mut self,
        wanted: &Published,
        profile: &Profile,
        info: CommitInfo,
        asks: bool,
    ) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let done = self
            .write_files(wanted, profile, &info, Kind::Repeated)
            .await?;
        if let Some(message) = &done.held {
            if !done.is_dry_run {
                return Ok(self.hold(wanted, message, started));
            }
            tracing::warn!(reason = message, "the sync would be held");
        }
        let took = started.elapsed();
        self.metrics.synced(&self.profile, took, done.files);
        for message in &done.messages {
            tracing::info!(detail = message, "a part of the profile was not applied");
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

    /// Returns whether what is published now forbids to write the files.
    fn is_withdrawn(&self, wanted: &Published) -> bool {
        let now = self.published.as_ref().map(watch::Receiver::borrow);
        let now = now.as_ref().and_then(|now| now.as_ref());
        now.is_some_and(|now| wanted.is_withdrawn_by(now))
    }

    /// Gets a commit and writes its files, without a gateway. `is_dry_run` only counts the changes.
    pub(crate) async fn sync_once(
        &mut self,
        wanted: &Published,
        is_dry_run: bool,
    ) -> Result<Done, Failure> {
        let profiles = Profiles::parse(&wanted.profiles);
        let profile = profiles
            .get(&self.profile)
            .map_err(|error| failure(Step::Profile, &error))?;
        if profile.is_paused() && !is_dry_run {
            let message = "the profile is paused; only a dry run is possible";
            return Err(text_failure(Step::Profile, message));
        }
        let info = self.fetch(wanted).await?;
        let kind = Kind::Single { is_dry_run };
        self.write_files(wanted, profile, &info, kind).await
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

    /// Writes the files of a commit, unless a person has to confirm the deletions first.
    async fn write_files(
        &mut self,
        wanted: &Published,
        profile: &Profile,
        info: &CommitInfo,
        kind: Kind,
    ) -> Result<Done, Failure> {
        let labels = self.environment.labels().await;
        let labels = labels.map_err(|error| {
            let reason = stoker_report::chain(&error).to_string();
            text_failure(
                Step::Files,
                &format!("cannot read the labels of the pod: {reason}"),
            )
        })?;
        tracing::debug!(summary = info.summary, "planning");
        let job = FilesJob {
            store: Arc::clone(&self.store),
            commit: wanted.commit.clone(),
            origin: Origin::new(&wanted.repo, &wanted.git_ref),
            profile: profile.clone(),
            context: self.context(wanted, profile, labels),
            data: self.data.clone(),
            is_dry_run: profile.is_dry_run() || kind == Kind::Single { is_dry_run: true },
            is_confirmed: false,
            lists_changes: kind != Kind::Repeated,
        };
        self.run_if_confirmed(job).await
    }

    /// Returns the values that templates can use.
    fn context(
        &self,
        wanted: &Published,
        profile: &Profile,
        labels: BTreeMap<String, String>,
    ) -> Context {
        Context {
            gateway_name: self.subject.gateway.clone(),
            pod_name: self.subject.pod.clone(),
            namespace: self.subject.namespace.clone(),
            git_ref: wanted.git_ref.short().to_owned(),
            commit: wanted.commit.to_string(),
            cr_name: self.subject.object.clone(),
            pod_ordinal: Context::pod_ordinal(&labels, &self.subject.pod),
            labels,
            vars: profile.vars().clone(),
        }
    }

    async fn run_files(&mut self, job: FilesJob) -> Result<Done, Failure> {
        let mut state = std::mem::take(&mut self.state);
        let (result, state) = blocking(move || {
            let result = files::caught(|| job.run(&mut state));
            (result, state)
        })
        .await;
        self.state = state;
        self.progress.is_store_in_doubt |= result.is_err();
        if let Err(FilesError::Apply(_) | FilesError::Panic) = &result {
            // Some files may have been changed, and the next plan does not contain them.
            self.progress.unscanned = Scans::ALL;
        }
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

#[cfg(test)]
mod tests;
