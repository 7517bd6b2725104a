//! One question to one fresh instance, within the limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline};

use super::bindings::v0_1::Detector;
use super::descriptor::RawDescriptor;
use super::error::CallError;
use super::lane::Pace;
use super::limits::{Limits, TEXT_BYTES};
use super::reply::{self, RawReply};
use super::sandbox::Sandbox;
use super::settings::Tuning;
use crate::auth::Verified;
use crate::delivery::Delivery;
use crate::payload::{Document, PayloadError};

/// Handles of resources that a guest may hold. One is lent to it; the rest is for what a later version lends.
const MAX_HANDLES: usize = 64;

/// A guest that had fewer turns than this has not used its time, however long ago it began.
const FEWEST_TURNS: u32 = 8;

/// Headers that no guest sees, whatever sends them: credentials and signatures.
const WITHHELD: [&str; 12] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-hub-signature",
    "x-hub-signature-256",
    "x-gitea-signature",
    "x-forgejo-signature",
    "x-gogs-signature",
    "x-gitlab-token",
    "webhook-signature",
    "x-nexus-webhook-signature",
    "x-jfrog-event-auth",
];

/// A verified delivery: what plugins are asked about.
pub struct Question {
    delivery: Verified<Delivery>,
    document: Document,
}

impl Question {
    /// Parses the body, once for all plugins. If it is not JSON, the error is returned beside the question: plugins then
    /// find no values in it, but can still decide by the headers.
    #[must_use]
    pub fn new(delivery: Verified<Delivery>) -> (Self, Result<(), PayloadError>) {
        let (document, parsed) = match Document::parse(&delivery.body) {
            Ok(document) => (document, Ok(())),
            Err(error) => (Document::default(), Err(error)),
        };
        (Self { delivery, document }, parsed)
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.delivery.headers
    }

    pub(super) fn document(&self) -> &Document {
        &self.document
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.delivery.body
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let name = HeaderName::try_from(name).ok()?;
        if WITHHELD.contains(&name.as_str()) {
            return None;
        }
        self.delivery.headers.get(&name)?.to_str().ok()
    }
}

/// What a call cost.
#[derive(Debug, Clone, Default)]
pub struct CallReport {
    /// From the request for an instance to its answer.
    pub duration: Duration,
    /// The most linear memory that the instance had, in bytes.
    pub peak_memory: usize,
    /// What it wrote to the log: bounded, printable.
    pub log: Vec<String>,
}

/// What the store of one instance holds: what it may see, and what it used.
pub(super) struct Guest {
    question: Option<Arc<Question>>,
    callee: Arc<Callee>,
    memory: MemoryGuard,
    log: Vec<String>,
    log_bytes: usize,
}

impl Guest {
    /// The question. There is none while `describe` runs, and no handle of a request to ask about it with.
    pub(super) fn question(&self) -> wasmtime::Result<&Question> {
        self.question
            .as_deref()
            .ok_or_else(|| wasmtime::Error::msg("there is no request"))
    }

    pub(super) fn setting(&self, key: &str) -> Option<&str> {
        self.callee.tuning.settings.get(key).map(String::as_str)
    }

    pub(super) fn log(&mut self, message: &str) {
        let limits = &self.callee.tuning.limits;
        let left = limits.log_bytes.saturating_sub(self.log_bytes);
        if self.log.len() < limits.log_lines && left > 0 {
            let line = reply::printable(message, left.min(TEXT_BYTES));
            self.log_bytes += line.len();
            self.log.push(line);
        }
    }
}

/// Refuses memory beyond the limit and remembers that it did: the error that the engine hands on has no type.
struct MemoryGuard {
    limit: usize,
    peak: usize,
    refused: Option<Refused>,
}

struct Refused {
    at_start: bool,
}

impl ResourceLimiter for MemoryGuard {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limit {
            self.refused = Some(Refused {
                at_start: current == 0,
            });
            return Err(wasmtime::Error::msg("more memory than a plugin may have"));
        }
        self.peak = self.peak.max(desired);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= 10_000)
    }
}

/// A component with what it may use: all that is needed to ask it.
pub(super) struct Callee {
    pub(super) detector: Detector,
    pub(super) label: Arc<str>,
    pub(super) tuning: Arc<Tuning>,
    pub(super) pace: Arc<Pace>,
}

/// Asks a fresh instance what the component is.
pub(super) async fn describe(
    sandbox: &Sandbox,
    callee: &Arc<Callee>,
) -> Result<RawDescriptor, CallError> {
    let instance = admit(sandbox, None).await?;
    let callee_of_call = Arc::clone(callee);
    let mut store = store(sandbox, callee, None);
    let call = async move {
        let _held = instance;
        let said = match callee_of_call.detector.instantiate(&mut store).await {
            Ok(instance) => instance.describe(&mut store).await,
            Err(error) => Err(error),
        };
        (said, store.into_data())
    };
    finish(sandbox, callee, call).await.0
}

/// Asks a fresh instance about a delivery. `turns` are the calls that the plugin may have at the same time.
pub(super) async fn detect(
    sandbox: &Sandbox,
    callee: &Arc<Callee>,
    turns: &Arc<Semaphore>,
    question: &Arc<Question>,
) -> (Result<RawReply, CallError>, CallReport) {
    let started = Instant::now();
    let instance = match admit(sandbox, Some(turns)).await {
        Ok(instance) => instance,
        Err(busy) => return (Err(busy), CallReport::default()),
    };
    let callee_of_call = Arc::clone(callee);
    let mut store = store(sandbox, callee, Some(Arc::clone(question)));
    let call = async move {
        let _held = instance;
        let said = match callee_of_call.detector.instantiate(&mut store).await {
            Ok(instance) => instance.detect(&mut store).await,
            Err(error) => Err(error),
        };
        (said, store.into_data())
    };
    let (said, mut report) = finish(sandbox, callee, call).await;
    report.duration = started.elapsed();
    (said, report)
}

/// A place among all instances, and one among those of the plugin. They go with the call, wherever it runs.
struct Held {
    _turn: Option<OwnedSemaphorePermit>,
    _instance: OwnedSemaphorePermit,
}

/// Waits for a free instance, but not for long.
async fn admit(sandbox: &Sandbox, turns: Option<&Arc<Semaphore>>) -> Result<Held, CallError> {
    let instances = sandbox.instances();
    let at_once = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
    // Nearly always there is one, and no clock need be asked.
    let turn = turns.map(at_once);
    if let (None | Some(Some(_)), Some(instance)) = (&turn, at_once(instances)) {
        return Ok(Held {
            _turn: turn.flatten(),
            _instance: instance,
        });
    }
    let wait = async {
        let turn = match turn.flatten() {
            Some(turn) => Some(turn),
            None => match turns {
                Some(turns) => Some(acquire(turns).await?),
                None => None,
            },
        };
        Ok(Held {
            _turn: turn,
            _instance: acquire(instances).await?,
        })
    };
    tokio::time::timeout(sandbox.capacity().queue_time, wait)
        .await
        .unwrap_or(Err(CallError::Busy))
}

async fn acquire(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, CallError> {
    let permit = Arc::clone(places).acquire_owned().await;
    permit.map_err(|_| CallError::Busy)
}

async fn finish<T: Send + 'static>(
    sandbox: &Sandbox,
    callee: &Callee,
    call: impl Future<Output = (wasmtime::Result<T>, Guest)> + Send + 'static,
) -> (Result<T, CallError>, CallReport) {
    let Some((said, guest)) = sandbox.slow_lane().run(&callee.pace, call).await else {
        return (Err(CallError::Busy), CallReport::default());
    };
    for line in &guest.log {
        tracing::debug!(plugin.file = %callee.label, message = %line, "plugin says");
    }
    let said = said.map_err(|error| classify(error, &guest.memory, &callee.tuning.limits));
    let report = CallReport {
        peak_memory: guest.memory.peak,
        log: guest.log,
        ..CallReport::default()
    };
    (said, report)
}

fn store(sandbox: &Sandbox, callee: &Arc<Callee>, question: Option<Arc<Question>>) -> Store<Guest> {
    let limits = &callee.tuning.limits;
    let memory = MemoryGuard {
        limit: limits.memory_bytes,
        peak: 0,
        refused: None,
    };
    let guest = Guest {
        question,
        callee: Arc::clone(callee),
        memory,
        log: Vec::new(),
        log_bytes: 0,
    };
    let mut store = Store::new(sandbox.engine(), guest);
    store.limiter(|guest| &mut guest.memory);
    store.set_hostcall_fuel(limits.transfer_bytes);
    store.set_max_component_handles(MAX_HANDLES);
    // Set before the instance is made: start functions are code of the guest as well. The first tick may be about to
    // come, so a guest has at least the time of one before it lets others go first.
    let deadline = Instant::now() + limits.wall_time;
    let mut turns = 0;
    store.set_epoch_deadline(2);
    store.epoch_deadline_callback(move |_| {
        turns += 1;
        // One that hardly ran is not at fault for the time that it waited.
        let is_over = Instant::now() >= deadline && turns >= FEWEST_TURNS;
        Ok(if is_over {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Yield(1)
        })
    });
    store
}

fn classify(error: wasmtime::Error, memory: &MemoryGuard, limits: &Limits) -> CallError {
    if let Some(refused) = &memory.refused {
        return CallError::OutOfMemory {
            limit: limits.memory_bytes,
            at_start: refused.at_start,
        };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => CallError::TimedOut {
            limit: limits.wall_time,
        },
        Some(trap) => CallError::Trapped {
            what: trap.to_string(),
        },
        None if error.is::<wasmtime::PoolConcurrencyLimitError>() => CallError::Busy,
        // The engine has no type for it.
        None if error
            .root_cause()
            .to_string()
            .contains("borrow handles still remain") =>
        {
            CallError::BorrowKept
        }
        None if root(&error).contains("fuel") => CallError::TransferTooLarge {
            limit: limits.transfer_bytes,
        },
        None => CallError::Refused(error),
    }
}

fn root(error: &wasmtime::Error) -> String {
    error.root_cause().to_string()
}
