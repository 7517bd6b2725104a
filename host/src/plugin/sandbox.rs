use std::sync::Arc;
use std::time::Duration;

use stoker_engine::{Allocation, config};
use tokio::sync::Semaphore;
use wasmtime::{Engine, EngineWeak};

use super::error::SandboxError;
use super::lane::SlowLane;
use super::limits::{Capacity, Limits};

/// The period of the engine's clock. A guest that computes occupies its thread for at most two periods.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// The environment of all guests: one engine, a bounded number of instances, and a clock.
pub struct Sandbox {
    engine: Engine,
    capacity: Capacity,
    instances: Arc<Semaphore>,
    compilers: Compilers,
    slow_lane: SlowLane,
}

/// The permits for compilation: one for small components and one for large ones. A small component does not wait for
/// the end of a large one.
#[derive(Debug)]
pub(super) struct Compilers {
    pub(super) small: Arc<Semaphore>,
    pub(super) large: Arc<Semaphore>,
}

impl Sandbox {
    /// Starts the engine and its clock. If the address space is too small for a pool of instances, each instance is
    /// allocated separately. That is slower, with the same limits.
    pub fn new(capacity: Capacity) -> Result<Self, SandboxError> {
        let pooled = Allocation::Pooled {
            instances: capacity.instances,
        };
        let engine = match Engine::new(&config(pooled)) {
            Ok(engine) => engine,
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "the address space is too small for a pool of plugin instances, so each call allocates its own: is `ulimit -v` or `vm.overcommit_memory` set?");
                let reservation = Limits::default().memory_bytes as u64;
                let separate = config(Allocation::OnDemand { reservation });
                Engine::new(&separate).map_err(SandboxError::Engine)?
            }
        };
        start_ticker(engine.weak())?;
        let one = || Arc::new(Semaphore::new(1));
        Ok(Self {
            engine,
            instances: Arc::new(Semaphore::new(capacity.instances as usize)),
            compilers: Compilers {
                small: one(),
                large: one(),
            },
            slow_lane: SlowLane::open()?,
            capacity,
        })
    }

    /// The limits of all plugins together.
    #[must_use]
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The free places of the pool. Each permit stands for one unused memory and two tables.
    pub(super) fn instances(&self) -> &Arc<Semaphore> {
        &self.instances
    }

    pub(super) fn compilers(&self) -> &Compilers {
        &self.compilers
    }

    pub(super) fn slow_lane(&self) -> &SlowLane {
        &self.slow_lane
    }
}

/// Advances the engine's clock. The thread ends with the engine.
fn start_ticker(engine: EngineWeak) -> Result<(), SandboxError> {
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new()
        .name("plugin-ticker".to_owned())
        .spawn(tick)
        .map_err(SandboxError::Thread)?;
    Ok(())
}
