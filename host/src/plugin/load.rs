//! A plugin: a compiled component with its description, which can be asked about deliveries.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::Semaphore;

use super::bindings::v0_1;
use super::breaker::{Breaker, Change, Ended};
use super::call::{self, CallReport, Callee};
use super::component::{self, Linked};
use super::descriptor::Descriptor;
use super::error::{CallError, LoadError};
use super::metrics::{PluginCalls, PluginMetrics};
use super::question::Question;
use super::reply::{self, Reply};
use super::sandbox::Sandbox;
use super::settings::Tuning;

/// The origin of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Part of this binary.
    Builtin(&'static str),
    /// A file: `name` for a file in a plugin directory, `directory/name` if there are several directories, and
    /// `bundle/name` for a file of a bundle.
    File(String),
}

impl Origin {
    /// Its key in the settings. For a file, this is the file name without `.wasm`, the directory and the bundle.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Builtin(name) => name,
            Self::File(name) => {
                let name = name
                    .rsplit_once('/')
                    .map_or(name.as_str(), |(_, name)| name);
                name.strip_suffix(".wasm").unwrap_or(name)
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(out, "built-in {name}"),
            Self::File(name) => out.write_str(name),
        }
    }
}

/// Whether a name is that of a plugin file. Names with a leading dot are not, because kubelet keeps the versions of a
/// mounted ConfigMap below such names, and editors and copy tools keep their temporary files there.
pub(super) fn is_plugin_file(name: &OsStr) -> bool {
    let is_hidden = name.as_encoded_bytes().starts_with(b".");
    let extension = Path::new(name).extension();
    !is_hidden && extension.is_some_and(|extension| extension == "wasm")
}

/// The number of plugins that this process has loaded.
static LOADED: AtomicU64 = AtomicU64::new(0);

/// A component that can be asked.
pub struct Plugin {
    origin: Origin,
    callee: Arc<Callee>,
    imports: Arc<[String]>,
    descriptor: Descriptor,
    /// One permit for each call that it may have at the same time.
    turns: Arc<Semaphore>,
    breaker: Breaker,
    calls: PluginCalls,
    /// Whether another version replaced it, so that only calls in flight still use it.
    is_retired: AtomicBool,
    number: u64,
}

impl Plugin {
    /// Compiles a component, links it, and runs its `describe` once under the limits of a call.
    pub async fn load(
        sandbox: &Sandbox,
        metrics: &PluginMetrics,
        origin: Origin,
        bytes: Vec<u8>,
        tuning: Arc<Tuning>,
    ) -> Result<Self, LoadError> {
        component::check_size(bytes.len() as u64, tuning.limits.component_bytes)?;
        let linked = component::link(sandbox, &origin.to_string(), bytes).await?;
        Self::from_linked(sandbox, metrics, origin, linked, tuning).await
    }

    /// Makes a plugin from a compiled component, and runs its `describe` once under the limits of a call.
    pub(super) async fn from_linked(
        sandbox: &Sandbox,
        metrics: &PluginMetrics,
        origin: Origin,
        linked: Linked,
        tuning: Arc<Tuning>,
    ) -> Result<Self, LoadError> {
        let callee = Callee {
            detector: linked.detector,
            label: origin.to_string().into(),
            tuning,
            pace: Arc::default(),
            slots: linked.slots,
        };
        Self::probe(sandbox, metrics, origin, callee, linked.imports).await
    }

    /// Returns the same component with other settings. `describe` is called again, but nothing is compiled.
    pub async fn with_tuning(
        &self,
        sandbox: &Sandbox,
        metrics: &PluginMetrics,
        tuning: Arc<Tuning>,
    ) -> Result<Self, LoadError> {
        let callee = Callee {
            detector: self.callee.detector.clone(),
            label: Arc::clone(&self.callee.label),
            tuning,
            pace: Arc::default(),
            slots: self.callee.slots,
        };
        let imports = Arc::clone(&self.imports);
        Self::probe(sandbox, metrics, self.origin.clone(), callee, imports).await
    }

    async fn probe(
        sandbox: &Sandbox,
        metrics: &PluginMetrics,
        origin: Origin,
        callee: Callee,
        imports: Arc<[String]>,
    ) -> Result<Self, LoadError> {
        let callee = Arc::new(callee);
        let raw = call::describe(sandbox, &callee).await?;
        let descriptor = Descriptor::try_from(raw)?;
        let calls = metrics.calls(&origin);
        let turns = Arc::new(Semaphore::new(callee.tuning.limits.concurrent_calls));
        Ok(Self {
            origin,
            callee,
            imports,
            descriptor,
            turns,
            breaker: Breaker::default(),
            calls,
            is_retired: AtomicBool::new(false),
            number: LOADED.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The origin of the plugin.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether it is part of this binary.
    #[must_use]
    pub fn is_builtin(&self) -> bool {
        matches!(self.origin, Origin::Builtin(_))
    }

    /// Its number. No other plugin of this process has it, nor does the same plugin in another version or with other
    /// settings.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its description of itself.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Its limits and settings.
    #[must_use]
    pub fn tuning(&self) -> &Arc<Tuning> {
        &self.callee.tuning
    }

    /// The world that it targets.
    #[must_use]
    pub fn world(&self) -> &'static str {
        v0_1::WORLD
    }

    /// The interfaces of the host that it uses, by their full names.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Whether it is benched: it failed repeatedly and has not answered since. It is not called for a while, and then for
    /// one delivery as a trial. If there is no delivery, it stays benched.
    #[must_use]
    pub fn is_benched(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether it failed more often than it has answered since.
    pub(super) fn is_failing(&self) -> bool {
        self.breaker.is_failing()
    }

    /// Whether its pre-filter names nothing, or the whole body, so that it is asked about every delivery.
    #[must_use]
    pub fn wants_everything(&self) -> bool {
        let Descriptor {
            headers, pointers, ..
        } = &self.descriptor;
        (headers.is_empty() && pointers.is_empty()) || pointers.iter().any(String::is_empty)
    }

    /// Resets the measurements of the previous version.
    pub(super) fn begin_counting(&self) {
        self.calls.begin();
    }

    /// Takes the plugin out of service. Calls in flight do not count for the version that follows.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    /// Whether its pre-filter lets the question through.
    #[must_use]
    pub fn wants(&self, question: &Question) -> bool {
        let Descriptor {
            headers, pointers, ..
        } = &self.descriptor;
        self.wants_everything()
            || headers
                .iter()
                .any(|name| question.headers().contains_key(name))
            || pointers
                .iter()
                .any(|pointer| question.document().has(pointer))
    }

    /// Asks a fresh instance. A host asks only about deliveries that [`Self::wants`] lets through, and a plugin may
    /// rely on that.
    pub async fn ask(
        &self,
        sandbox: &Sandbox,
        question: &Arc<Question>,
    ) -> (Result<Reply, CallError>, CallReport) {
        let permission = match self.breaker.admit(Instant::now()) {
            Ok(permission) => permission,
            Err(again_in) => {
                let benched = Err(CallError::Benched { again_in });
                self.calls.record(&benched, &CallReport::default());
                return (benched, CallReport::default());
            }
        };
        let _in_flight = self.calls.in_flight();
        let (raw, mut report) = call::detect(sandbox, &self.callee, &self.turns, question).await;
        let reply =
            raw.and_then(|raw| reply::check(raw, &self.callee.tuning.limits, &mut report.notes));
        for note in &report.notes {
            tracing::debug!(plugin.file = %self.callee.label, message = %note, "plugin note");
        }
        self.calls.record(&reply, &report);
        if let Some(change) = self
            .breaker
            .record(permission, ended(&reply), Instant::now())
        {
            self.report(change);
        }
        (reply, report)
    }

    fn report(&self, change: Change) {
        let file = &self.callee.label;
        match change {
            Change::Opened(time) => {
                tracing::warn!(plugin.file = %file, time = ?time, "plugin failed repeatedly, so it is benched");
            }
            Change::Closed => {
                tracing::info!(plugin.file = %file, "plugin answers again, so it is not benched any more");
            }
        }
        if !self.is_retired.load(Ordering::Relaxed) {
            self.calls.set_benched(change != Change::Closed);
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Plugin")
            .field("origin", &self.origin)
            .field("descriptor", &self.descriptor)
            .finish_non_exhaustive()
    }
}

/// Classifies the end of a call for the circuit breaker. An unusable answer counts as an answer, because it costs no
/// more than a usable one.
fn ended(reply: &Result<Reply, CallError>) -> Ended {
    match reply {
        Ok(_) | Err(CallError::Answer { .. } | CallError::Ref(_)) => Ended::Answered,
        Err(CallError::Busy | CallError::NoAddressSpace(_) | CallError::Benched { .. }) => {
            Ended::Undecided
        }
        Err(
            CallError::TimedOut { .. }
            | CallError::OutOfMemory { .. }
            | CallError::Trapped { .. }
            | CallError::BorrowKept
            | CallError::TransferTooLarge { .. }
            | CallError::Refused(_),
        ) => Ended::Failed,
    }
}
