//! Objects, a repository, and a controller for tests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::watcher::Event;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use stoker_api::detection::{CommitId, GitRef, ObjectKey, RepoUrl};
use stoker_api::{GatewaySync, SyncedRefKind};
use stoker_git::{
    Credentials, GitError, HostKey, RefKind, RefResult, RefSource, Remote, ResolvedRef,
};

use super::fake_api::FakeApi;
use crate::cluster::events::{EventQueue, Unwritten};
use crate::cluster::watch_backoff::WatchMetrics;
use crate::cluster::written::WrittenObjects;
use crate::controller::credentials::{GitAccess, GitSecrets};
use crate::controller::dereference::{self, Present, References};
use crate::controller::resolve::ResolutionSuccess;
use crate::controller::state::ResolvedCommit;
use crate::controller::validate::{Desired, validate};
use crate::controller::{Context, Controller, ControllerError, ControllerMetrics, reconcile};
use crate::github_app::InstallationTokens;
use crate::lookups::{LookupMetrics, Lookups};

/// The time of every test. Its fraction of a second must not appear in a status.
pub(in crate::controller) fn noon() -> Timestamp {
    "2026-03-01T12:00:00.25Z".parse().unwrap()
}

/// The name of the object of all tests.
pub(in crate::controller) fn key() -> ObjectKey {
    ObjectKey::new("edge", "plant").unwrap()
}

/// The id that consists of one digit.
pub(in crate::controller) fn commit(digit: char) -> CommitId {
    CommitId::parse(&digit.to_string().repeat(40)).unwrap()
}

pub(in crate::controller) fn resolved(git_ref: &str) -> ResolutionSuccess {
    ResolutionSuccess {
        host_key: None,
        found: ResolvedCommit {
            git_ref: GitRef::parse(git_ref).unwrap(),
            commit: commit('a'),
            kind: SyncedRefKind::Tag,
            short_name: Some(GitRef::parse(git_ref).unwrap().short().to_owned()),
            alias_agrees: false,
        },
        missing: None,
        request_is_obsolete: false,
        next_pass: Some(Duration::from_mins(1)),
    }
}

/// Returns the state that an object requests, if the Secrets that it refers to exist.
pub(in crate::controller) fn desired(sync: &GatewaySync) -> Desired {
    let refs = References {
        git: Ok(GitSecrets::Credentials(Credentials::Anonymous)),
        gateway_secret: Ok(()),
        shared_since: None,
        config_map: Present::Read(None),
        published: None,
        token_secret: None,
    };
    let access = GitAccess {
        credentials: Credentials::Anonymous,
        app_token: None,
    };
    validate(sync, &refs, &Ok(access))
}

/// A builder of objects.
pub(in crate::controller) trait GatewaySyncExt: Sized {
    /// An object of generation 1 with the finalizer, the ref `main`, and one profile.
    fn sample() -> Self;
    fn with(self, change: impl FnOnce(&mut Self)) -> Self;
    fn git_ref(self, text: &str) -> Self;
    fn repo(self, text: &str) -> Self;
    fn auth(self, auth: Value) -> Self;
    fn requested(self, git_ref: &str, at: Option<&str>) -> Self;
    /// A webhook that announces a commit, over the ref of the spec.
    fn announced(self, git_ref: &str, at: &str, digit: char) -> Self;
    fn condition(self, type_: &str, status: &str) -> Self;
    fn polling(self, enabled: bool, interval: &str) -> Self;
    fn generation(self, generation: i64) -> Self;
}

impl GatewaySyncExt for GatewaySync {
    fn sample() -> Self {
        serde_json::from_value(json!({
            "apiVersion": "stoker.io/v1alpha1",
            "kind": "GatewaySync",
            "metadata": {
                "name": "plant", "namespace": "edge", "uid": "uid-1", "generation": 1, "resourceVersion": "1",
                "finalizers": ["stoker.io/finalizer"],
            },
            "spec": {
                "git": {"repo": "https://git.example/o/r.git", "ref": "main"},
                "gateway": {"api": {"secretName": "api-key"}},
                "sync": {"profiles": {"p": {"mappings": [{"source": "a", "destination": "b"}]}}},
            },
        }))
        .unwrap()
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn git_ref(self, text: &str) -> Self {
        self.with(|sync| text.clone_into(&mut sync.spec.git.git_ref))
    }

    fn repo(self, text: &str) -> Self {
        self.with(|sync| text.clone_into(&mut sync.spec.git.repo))
    }

    fn auth(self, auth: Value) -> Self {
        self.with(|sync| sync.spec.git.auth = Some(serde_json::from_value(auth).unwrap()))
    }

    fn requested(self, git_ref: &str, at: Option<&str>) -> Self {
        self.with(|sync| {
            let annotations = sync.metadata.annotations.get_or_insert_default();
            annotations.insert("stoker.io/requested-ref".to_owned(), git_ref.to_owned());
            if let Some(at) = at {
                annotations.insert("stoker.io/requested-at".to_owned(), at.to_owned());
            }
        })
    }

    fn announced(self, git_ref: &str, at: &str, digit: char) -> Self {
        let note = format!("{git_ref} {at} {}", self.spec.git.git_ref);
        self.requested(git_ref, Some(at)).with(|sync| {
            let annotations = sync.metadata.annotations.get_or_insert_default();
            annotations.insert("stoker.io/requested-over".to_owned(), note);
            let id = commit(digit).to_string();
            annotations.insert("stoker.io/requested-commit".to_owned(), id);
        })
    }

    fn condition(self, type_: &str, status: &str) -> Self {
        let condition = json!({
            "type": type_, "status": status, "reason": "Test", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        self.with(|sync| {
            sync.status
                .get_or_insert_default()
                .conditions
                .push(serde_json::from_value(condition).unwrap());
        })
    }

    fn polling(self, enabled: bool, interval: &str) -> Self {
        self.with(|sync| {
            sync.spec.polling = Some(stoker_api::Polling {
                enabled,
                interval: interval.to_owned(),
            });
        })
    }

    fn generation(self, generation: i64) -> Self {
        self.with(|sync| sync.metadata.generation = Some(generation))
    }
}

/// Returns the full name of a ref on the server. `HEAD` points to `main` if it is a branch.
fn full_name(name: &str, kind: RefKind) -> Option<String> {
    Some(match kind {
        RefKind::Commit => return None,
        RefKind::Branch if name == "HEAD" => "refs/heads/main".to_owned(),
        RefKind::Tag | RefKind::Branch if name.starts_with("refs/") => name.to_owned(),
        RefKind::Tag => format!("refs/tags/{}", name.trim_start_matches("tags/")),
        RefKind::Branch => format!("refs/heads/{}", name.trim_start_matches("heads/")),
        RefKind::Other => name.to_owned(),
    })
}

/// A repository whose refs a test sets. It records the lookups.
#[derive(Debug, Default)]
pub(in crate::controller) struct FakeGit {
    refs: Mutex<Vec<(String, CommitId, RefKind)>>,
    looked_up: Mutex<Vec<String>>,
    credentials: Mutex<Vec<Credentials>>,
    silent: Mutex<Option<String>>,
    error: Mutex<Option<fn() -> GitError>>,
}

impl FakeGit {
    /// Sets the commit of a ref.
    pub(in crate::controller) fn set(&self, git_ref: &str, digit: char, kind: RefKind) {
        let mut refs = self.refs.lock().unwrap();
        refs.retain(|(name, ..)| name != git_ref);
        refs.push((git_ref.to_owned(), commit(digit), kind));
    }

    fn look_up(&self, url: &RepoUrl, git_ref: &GitRef) -> RefResult {
        self.looked_up.lock().unwrap().push(git_ref.to_string());
        let refs = self.refs.lock().unwrap();
        match refs.iter().find(|(name, ..)| name == git_ref.as_str()) {
            Some((name, commit, kind)) => {
                let found = ResolvedRef::new(commit.clone(), *kind);
                let full_name = full_name(name, *kind).into_iter();
                let found = full_name.fold(found, ResolvedRef::with_full_name);
                let short = format!("s/{}", git_ref.short());
                let is_rival = |other: &String| other != name && other.ends_with(&short);
                let has_rival = refs.iter().any(|(other, ..)| is_rival(other));
                Ok(found.with_shared_short_name(has_rival && name.ends_with(&short)))
            }
            None => Err(GitError::RefNotFound {
                url: url.to_string(),
                git_ref: git_ref.clone(),
            }),
        }
    }

    /// Makes a host accept connections and never answer.
    pub(in crate::controller) fn silence(&self, host: Option<&str>) {
        *self.silent.lock().unwrap() = host.map(str::to_owned);
    }

    /// Makes all lookups fail, or none.
    pub(in crate::controller) fn fail(&self, error: Option<fn() -> GitError>) {
        *self.error.lock().unwrap() = error;
    }

    /// Returns the credentials of the lookups since the last call.
    pub(in crate::controller) fn credentials(&self) -> Vec<Credentials> {
        std::mem::take(&mut *self.credentials.lock().unwrap())
    }

    /// Returns the refs that were looked up since the last call.
    pub(in crate::controller) fn looked_up(&self) -> Vec<String> {
        std::mem::take(&mut *self.looked_up.lock().unwrap())
    }
}

impl RefSource for FakeGit {
    async fn resolve(&self, remote: &Remote, refs: &[GitRef]) -> Result<Vec<RefResult>, GitError> {
        let credentials = remote.credentials().clone();
        self.credentials.lock().unwrap().push(credentials);
        let is_silent = remote.url().url().host_str() == self.silent.lock().unwrap().as_deref();
        if is_silent {
            std::future::pending::<()>().await;
        }
        if let Some(error) = *self.error.lock().unwrap() {
            return Err(error());
        }
        let look_up = |git_ref| self.look_up(remote.url(), git_ref);
        Ok(refs.iter().map(look_up).collect())
    }

    fn host_key(&self, remote: &Remote) -> Option<HostKey> {
        let is_ssh = matches!(remote.credentials(), Credentials::SshKey { .. });
        is_ssh.then(|| HostKey::new("ssh-ed25519", "SHA256:AAAA"))
    }
}

/// The path of the object of all tests.
pub(in crate::controller) const OBJECT: &str =
    "/apis/stoker.io/v1alpha1/namespaces/edge/gatewaysyncs/plant";
/// The path of the ConfigMap that is published for it.
pub(in crate::controller) const METADATA: &str =
    "/api/v1/namespaces/edge/configmaps/stoker-metadata-plant";
/// The path of the RoleBinding of its agents.
pub(in crate::controller) const BINDING: &str =
    "/apis/rbac.authorization.k8s.io/v1/namespaces/edge/rolebindings/stoker-agent-plant";
/// The path of the Secret that it refers to.
pub(in crate::controller) const API_KEY: &str = "/api/v1/namespaces/edge/secrets/api-key";

/// A controller, an API server with one object and the Secret that it refers to, and a repository with the branch
/// `main`.
pub(in crate::controller) struct Bench {
    pub(in crate::controller) api: FakeApi,
    pub(in crate::controller) git: Arc<FakeGit>,
    pub(in crate::controller) context: Arc<Context<FakeGit>>,
    /// The parts of the controller, to run all of it.
    pub(in crate::controller) controller: Controller<FakeGit>,
    events: Mutex<Unwritten>,
}

/// Returns the data of the passes of a controller, with the clock of all tests.
pub(in crate::controller) fn context<G: RefSource>(controller: &Controller<G>) -> Context<G> {
    Context {
        tokens: InstallationTokens::with_clock(noon),
        clock: noon,
        // Most tests change a Secret between two passes at one time.
        secret_reads: dereference::secret_reads(Duration::ZERO),
        ..controller.context()
    }
}

impl Bench {
    pub(in crate::controller) fn new(sync: &GatewaySync) -> Self {
        let (api, git) = (FakeApi::default(), Arc::new(FakeGit::default()));
        api.put(OBJECT, serde_json::to_value(sync).unwrap());
        api.put(
            API_KEY,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "api-key"}}),
        );
        git.set("main", 'a', RefKind::Branch);
        let (events, unwritten) = EventQueue::new("test");
        let controller = Controller {
            client: api.client(),
            namespace: None,
            agent_role: None,
            lookups: Lookups::new(Arc::clone(&git), LookupMetrics::default()),
            metrics: ControllerMetrics::register(&mut Registry::default()),
            watches: WatchMetrics::default(),
            events,
            written: WrittenObjects::default(),
        };
        let context = context(&controller);
        context.pods.apply(Event::Init);
        context.pods.apply(Event::InitDone);
        Self {
            api,
            git,
            context: Arc::new(context),
            controller,
            events: Mutex::new(unwritten),
        }
    }

    /// Returns the events since the last time: type, reason and note.
    pub(in crate::controller) fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().drain()
    }

    /// The object in the API server.
    pub(in crate::controller) fn object(&self) -> GatewaySync {
        serde_json::from_value(self.api.get(OBJECT).unwrap()).unwrap()
    }

    /// Changes the object as a user or the receiver does.
    pub(in crate::controller) fn change(&self, change: impl FnOnce(GatewaySync) -> GatewaySync) {
        self.api
            .put(OBJECT, serde_json::to_value(change(self.object())).unwrap());
    }

    /// Runs a pass over the object in the API server, after the watches have reported everything.
    pub(in crate::controller) async fn pass(&self) -> Result<Action, ControllerError> {
        let Context {
            config_maps,
            role_bindings,
            ..
        } = &*self.context;
        let key = key();
        for (path, writes) in [(METADATA, &config_maps.writes), (BINDING, role_bindings)] {
            match self.api.get(path) {
                Some(object) => {
                    let version = object["metadata"]["resourceVersion"].as_str();
                    writes.report(&key, version);
                }
                None => writes.forget(&key),
            }
        }
        self.pass_over(self.object()).await
    }

    /// Runs a pass over an older version of the object, which may be in the controller's cache.
    pub(in crate::controller) async fn pass_over(
        &self,
        sync: GatewaySync,
    ) -> Result<Action, ControllerError> {
        reconcile(
            Arc::new(DeserializeGuard(Ok(sync))),
            Arc::clone(&self.context),
        )
        .await
    }

    /// Status, reason and message of a condition.
    #[track_caller]
    pub(in crate::controller) fn condition(&self, type_: &str) -> (String, String, String) {
        let status = self.object().status.unwrap();
        let found = status.condition(type_).unwrap();
        (
            found.status.clone(),
            found.reason.clone(),
            found.message.clone(),
        )
    }
}

/// A requeue after so many seconds.
pub(in crate::controller) fn after(seconds: u64) -> Action {
    Action::requeue(Duration::from_secs(seconds))
}
