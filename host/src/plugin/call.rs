//! One call of one fresh instance, within the limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::HeaderName;
use stoker_engine::TABLE_ELEMENTS;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline};

use super::bindings::v0_1::{Detector, Instance, InstanceError};
use super::clock::Ticking;
use super::component::is_about_address_space;
use super::descriptor::RawDescriptor;
use super::error::{CallError, LoadError};
use super::lane::Pace;
use super::limits::{Limits, TEXT_BYTES};
use super::question::Question;
use super::reply::{self, RawReply};
use super::sandbox::Sandbox;
use super::settings::Tuning;
use crate::auth::is_withheld;

/// The maximum number of resource handles of a guest. A guest needs one.
const MAX_HANDLES: usize = 64;

/// The maximum number of notes of one kind about a call.
pub(super) const MAX_NOTES: usize = 16;

/// The minimum number of ticks before a call can time out.
const MIN_TICKS: u32 = 8;

/// The cost of a call.
#[derive(Debug, Clone, Default)]
pub struct CallReport {
    /// The time from the request for an instance to its answer.
    pub duration: Duration,
    /// The most linear memory that the instance had, in bytes.
    pub peak_memory: usize,
    /// The log lines of the instance, bounded and printable.
    pub log: Vec<String>,
    /// What the host withheld from the instance or left out of its answer, as text for the author of the plugin.
    pub notes: Vec<String>,
}

/// The content of one instance's store: the data that the instance may see, and the resources that it used.
pub(super) struct Guest {
    /// The delivery. `None` during `describe`, which has no request.
    question: Option<Arc<Question>>,
    callee: Arc<Callee>,
    memory: MemoryGuard,
    log: Vec<String>,
    log_bytes: usize,
    /// The names of the withheld headers that the instance asked for.
    withheld: Vec<HeaderName>,
}

impl Guest {
    /// Returns the delivery, or an error during `describe`, which has no request.
    pub(super) fn question(&self) -> wasmtime::Result<&Question> {
        self.question
            .as_deref()
            .ok_or_else(|| wasmtime::Error::msg("there is no request"))
    }

    /// Returns the value of a header. A name that is withheld is noted for the author of the plugin.
    pub(super) fn header(&mut self, name: &str) -> wasmtime::Result<Option<String>> {
        let value = self.question()?.header(name).map(str::to_owned);
        if value.is_none()
            && self.withheld.len() < MAX_NOTES
            && let Ok(name) = HeaderName::try_from(name)
            && is_withheld(name.as_str())
            && !self.withheld.contains(&name)
        {
            self.withheld.push(name);
        }
        Ok(value)
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

/// Limits the memory of an instance. It records each refusal, because the engine's error has no type.
struct MemoryGuard {
    limit: usize,
    /// Bytes of all memories. Memories never shrink, so this is also the peak.
    used: usize,
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
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            self.refused = Some(Refused {
                at_start: current == 0,
            });
            return Err(wasmtime::Error::msg("more memory than a plugin may have"));
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS as usize)
    }
}

/// A component with its limits and settings: everything that a call needs.
pub(super) struct Callee {
    pub(super) detector: Detector,
    pub(super) label: Arc<str>,
    pub(super) tuning: Arc<Tuning>,
    pub(super) pace: Arc<Pace>,
    /// The number of slots in the pool that one instance takes.
    pub(super) slots: u32,
}

/// Calls `describe` of a fresh instance.
pub(super) async fn describe(
    sandbox: &Sandbox,
    callee: &Arc<Callee>,
) -> Result<RawDescriptor, LoadError> {
    let held = admit(sandbox, None, callee.slots).await;
    let held = held.map_err(LoadError::Describe)?;
    let (result, _) = call(sandbox, callee, held, None, |instance, store| {
        instance.describe(store).boxed()
    })
    .await;
    result.map_err(|failure| match failure {
        Failure::Types(source) => LoadError::WrongTypes(source),
        Failure::Call(CallError::OutOfMemory {
            limit,
            at_start: true,
        }) => LoadError::InitialMemory { limit },
        Failure::Call(error) => LoadError::Describe(error),
    })
}

/// Calls `detect` of a fresh instance. `turns` has one permit for each call that the plugin may have at the same time.
pub(super) async fn detect(
    sandbox: &Sandbox,
    callee: &Arc<Callee>,
    turns: &Arc<Semaphore>,
    question: &Arc<Question>,
) -> (Result<RawReply, CallError>, CallReport) {
    let started = Instant::now();
    let held = match admit(sandbox, Some(turns), callee.slots).await {
        Ok(held) => held,
        Err(busy) => return (Err(busy), CallReport::default()),
    };
    let question = Some(Arc::clone(question));
    let (result, mut report) = call(sandbox, callee, held, question, |instance, store| {
        instance.detect(store).boxed()
    })
    .await;
    report.duration = started.elapsed();
    let result = result.map_err(|failure| match failure {
        Failure::Types(source) => CallError::Refused(source),
        Failure::Call(error) => error,
    });
    (result, report)
}

/// The reason why a call has no result.
enum Failure {
    Types(wasmtime::Error),
    Call(CallError),
}

/// Calls a function of a fresh instance, on this thread or in the slow lane.
async fn call<T: Send + 'static>(
    sandbox: &Sandbox,
    callee: &Arc<Callee>,
    held: Held,
    question: Option<Arc<Question>>,
    function: impl for<'a> FnOnce(
        &'a Instance,
        &'a mut Store<Guest>,
    ) -> BoxFuture<'a, wasmtime::Result<T>>
    + Send
    + 'static,
) -> (Result<T, Failure>, CallReport) {
    let detector = callee.detector.clone();
    let mut store = store(sandbox, callee, question);
    let call = async move {
        let _held = held;
        let result = match detector.instantiate(&mut store).await {
            Ok(instance) => {
                let answered = function(&instance, &mut store).await;
                answered.map_err(InstanceError::Run)
            }
            Err(error) => Err(error),
        };
        (result, store.into_data())
    };
    let Some((result, guest)) = sandbox.slow_lane().run(&callee.pace, call).await else {
        return (Err(Failure::Call(CallError::Busy)), CallReport::default());
    };
    for line in &guest.log {
        tracing::debug!(plugin.file = %callee.label, message = %line, "plugin log");
    }
    let result = result.map_err(|error| match error {
        InstanceError::Types(error) => Failure::Types(error),
        InstanceError::Run(error) => {
            Failure::Call(classify(error, &guest.memory, &callee.tuning.limits))
        }
    });
    let notes = guest
        .withheld
        .iter()
        .map(|name| format!("plugins see that the header {name} is present, but not its value"));
    let report = CallReport {
        peak_memory: guest.memory.used,
        notes: notes.collect(),
        log: guest.log,
        ..CallReport::default()
    };
    (result, report)
}

/// What one call holds until it ends, whichever thread it ends on: its permits, and the clock.
struct Held {
    _ticking: Ticking,
    _turn: Option<OwnedSemaphorePermit>,
    _slots: OwnedSemaphorePermit,
}

/// Waits for free slots, for at most `queue_time`.
async fn admit(
    sandbox: &Sandbox,
    turns: Option<&Arc<Semaphore>>,
    slots: u32,
) -> Result<Held, CallError> {
    let instances = sandbox.instances();
    // Usually slots are free, and no timer is needed.
    let turn = turns.map(|turns| Arc::clone(turns).try_acquire_owned().ok());
    if let None | Some(Some(_)) = &turn
        && let Ok(slots) = Arc::clone(instances).try_acquire_many_owned(slots)
    {
        return Ok(Held {
            _ticking: sandbox.clock().tick(),
            _turn: turn.flatten(),
            _slots: slots,
        });
    }
    let wait = async {
        let turn = match (turn.flatten(), turns) {
            (None, Some(turns)) => Some(acquire(turns, 1).await?),
            (turn, _) => turn,
        };
        Ok(Held {
            _ticking: sandbox.clock().tick(),
            _turn: turn,
            _slots: acquire(instances, slots).await?,
        })
    };
    tokio::time::timeout(sandbox.capacity().queue_time, wait)
        .await
        .unwrap_or(Err(CallError::Busy))
}

async fn acquire(
    semaphore: &Arc<Semaphore>,
    permits: u32,
) -> Result<OwnedSemaphorePermit, CallError> {
    let permit = Arc::clone(semaphore).acquire_many_owned(permits).await;
    permit.map_err(|_| CallError::Busy)
}

fn store(sandbox: &Sandbox, callee: &Arc<Callee>, question: Option<Arc<Question>>) -> Store<Guest> {
    let limits = &callee.tuning.limits;
    let memory = MemoryGuard {
        limit: limits.memory_bytes,
        used: 0,
        refused: None,
    };
    let guest = Guest {
        question,
        callee: Arc::clone(callee),
        memory,
        log: Vec::new(),
        log_bytes: 0,
        withheld: Vec::new(),
    };
    let mut store = Store::new(sandbox.engine(), guest);
    store.limiter(|guest| &mut guest.memory);
    store.set_hostcall_fuel(limits.transfer_bytes);
    store.set_max_component_handles(MAX_HANDLES);
    // Start functions run during instantiation, so the deadline is set first. The first tick may come at once, so the
    // guest yields at the second.
    let deadline = Instant::now() + limits.wall_time;
    let mut turns = 0;
    store.set_epoch_deadline(2);
    store.epoch_deadline_callback(move |_| {
        turns += 1;
        // A guest with fewer ticks has mostly waited for the processor.
        let is_over = Instant::now() >= deadline && turns >= MIN_TICKS;
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
        None if is_about_address_space(&error) => CallError::NoAddressSpace(error),
        // The engine has no error type for this.
        None if root(&error).contains("borrow handles still remain") => CallError::BorrowKept,
        None if root(&error).contains("fuel") => CallError::TransferTooLarge {
            limit: limits.transfer_bytes,
        },
        None => CallError::Refused(error),
    }
}

fn root(error: &wasmtime::Error) -> String {
    error.root_cause().to_string()
}
