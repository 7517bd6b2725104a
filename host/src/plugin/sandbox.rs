//! The environment of all guests.

use std::sync::Arc;

use stoker_engine::{Allocation, config};
use tokio::sync::Semaphore;
use wasmtime::Engine;

use super::clock::Clock;
use super::error::SandboxError;
use super::lane::Lane;
use super::limits::{Capacity, Limits};

/// The nice value of the thread of large bodies. A thread with nice value 0 gets about three times the processor time.
const LARGE_NICE: i32 = 5;

/// The environment of all guests: one engine, a bounded number of instances, and a clock.
pub struct Sandbox {
    engine: Engine,
    clock: Clock,
    capacity: Capacity,
    instances: Arc<Semaphore>,
    compilers: Compilers,
    slow_lane: Lane,
    large_lane: Lane,
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
        let clock = {
            let engine = engine.clone();
            Clock::start(move || engine.increment_epoch())?
        };
        let one = || Arc::new(Semaphore::new(1));
        Ok(Self {
            engine,
            clock,
            instances: Arc::new(Semaphore::new(capacity.instances as usize)),
            compilers: Compilers {
                small: one(),
                large: one(),
            },
            slow_lane: Lane::open("plugin-slow", 0)?,
            large_lane: Lane::open("large-bodies", LARGE_NICE)?,
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

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The free slots of the pool. Each permit stands for one unused memory and two tables.
    pub(super) fn instances(&self) -> &Arc<Semaphore> {
        &self.instances
    }

    pub(super) fn compilers(&self) -> &Compilers {
        &self.compilers
    }

    /// The thread of slow calls.
    pub(super) fn slow_lane(&self) -> &Lane {
        &self.slow_lane
    }

    /// The thread of large bodies.
    pub(super) fn large_lane(&self) -> &Lane {
        &self.large_lane
    }
}
