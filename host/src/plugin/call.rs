//! One question to one fresh instance, within the limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline};

use super::bindings::v0_1::{Detector, Instance};
use super::descriptor::RawDescriptor;
use super::error::CallError;
use super::limits::Limits;
use super::reply::{self, RawReply};
use super::sandbox::Sandbox;
use crate::auth::Verified;
use crate::delivery::Delivery;
use crate::payload::{Document, PayloadError};

/// Handles of resources that a guest may hold. One is lent to it; the rest is for what a later version lends.
const MAX_HANDLES: usize = 64;

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

/// A verified delivery whose body is JSON: what plugins are asked about.
pub struct Question {
    delivery: Verified<Delivery>,
    document: Document,
}

impl Question {
    /// Parses the body, once for all plugins.
    pub fn new(delivery: Verified<Delivery>) -> Result<Self, PayloadError> {
        let document = Document::parse(&delivery.body)?;
        Ok(Self { delivery, document })
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
#[derive(Debug, Clone, Copy)]
pub struct CallReport {
    /// From the request for an instance to its answer.
    pub duration: Duration,
    /// The most linear memory that the instance had, in bytes.
    pub peak_memory: usize,
}

/// What the store of one instance holds: what it may see, and what it used.
pub(super) struct Guest {
    question: Option<Arc<Question>>,
    origin: Arc<str>,
    memory: MemoryGuard,
    log_lines: u32,
    text_bytes: usize,
}

impl Guest {
    /// The question. There is none while `describe` runs, and no handle of a request to ask about it with.
    pub(super) fn question(&self) -> wasmtime::Result<&Question> {
        self.question
            .as_deref()
            .ok_or_else(|| wasmtime::Error::msg("there is no request"))
    }

    pub(super) fn log(&mut self, message: &str) {
        if self.log_lines > 0 {
            self.log_lines -= 1;
            let message = reply::printable(message, self.text_bytes);
            tracing::debug!(plugin.file = %self.origin, message = %message, "plugin says");
        }
    }
}

/// Refuses memory beyond the limit and remembers that it did: the error that the engine hands on has no type.
struct MemoryGuard {
    limit: usize,
    peak: usize,
    refused: bool,
}

impl ResourceLimiter for MemoryGuard {
    fn memory_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limit {
            self.refused = true;
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

/// Asks a fresh instance what the component is.
pub(super) async fn describe(
    sandbox: &Sandbox,
    detector: &Detector,
    origin: &Arc<str>,
) -> Result<RawDescriptor, CallError> {
    let call = async |instance: Instance, store: &mut Store<Guest>| instance.describe(store).await;
    run(sandbox, detector, origin, None, call).await.0
}

/// Asks a fresh instance about a delivery.
pub(super) async fn detect(
    sandbox: &Sandbox,
    detector: &Detector,
    origin: &Arc<str>,
    question: &Arc<Question>,
) -> (Result<RawReply, CallError>, CallReport) {
    let call = async |instance: Instance, store: &mut Store<Guest>| instance.detect(store).await;
    run(sandbox, detector, origin, Some(Arc::clone(question)), call).await
}

async fn run<T, F>(
    sandbox: &Sandbox,
    detector: &Detector,
    origin: &Arc<str>,
    question: Option<Arc<Question>>,
    call: F,
) -> (Result<T, CallError>, CallReport)
where
    F: AsyncFnOnce(Instance, &mut Store<Guest>) -> wasmtime::Result<T>,
{
    let started = Instant::now();
    let report = |peak_memory| CallReport {
        duration: started.elapsed(),
        peak_memory,
    };
    let _instance = match sandbox.admit().await {
        Ok(permit) => permit,
        Err(busy) => return (Err(busy), report(0)),
    };
    let mut store = store(sandbox, origin, question);
    let said = match detector.instantiate(&mut store).await {
        Ok(instance) => call(instance, &mut store).await,
        Err(error) => Err(error),
    };
    let guest = store.data();
    let said = said.map_err(|error| classify(error, &guest.memory, sandbox.limits()));
    (said, report(guest.memory.peak))
}

fn store(sandbox: &Sandbox, origin: &Arc<str>, question: Option<Arc<Question>>) -> Store<Guest> {
    let limits = sandbox.limits();
    let memory = MemoryGuard {
        limit: limits.memory_bytes,
        peak: 0,
        refused: false,
    };
    let guest = Guest {
        question,
        origin: Arc::clone(origin),
        memory,
        log_lines: limits.log_lines,
        text_bytes: limits.text_bytes,
    };
    let mut store = Store::new(sandbox.engine(), guest);
    store.limiter(|guest| &mut guest.memory);
    store.set_hostcall_fuel(limits.transfer_bytes);
    store.set_max_component_handles(MAX_HANDLES);
    // Set before the instance is made: start functions are code of the guest as well. Until its time is over, a
    // guest that is still running at a tick lets the other tasks of its thread go first.
    let deadline = Instant::now() + limits.wall_time;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        let is_over = Instant::now() >= deadline;
        Ok(if is_over {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Yield(1)
        })
    });
    store
}

fn classify(error: wasmtime::Error, memory: &MemoryGuard, limits: &Limits) -> CallError {
    if memory.refused {
        return CallError::OutOfMemory {
            limit: limits.memory_bytes,
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
        None => CallError::Refused(error),
    }
}
