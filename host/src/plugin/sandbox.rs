use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::{
    Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use super::error::SandboxError;
use super::lane::SlowLane;
use super::limits::{Capacity, Limits, MAX_MEMORY_BYTES, TABLE_ELEMENTS};

/// The period of the engine's clock. A guest that computes occupies its thread for at most two periods.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// The maximum number of core instances of one component. A component made by the usual tools has three to five: its
/// own and the shims of the canonical ABI. A component made from Python has 38.
pub(super) const CORE_INSTANCES: u32 = 64;
/// The maximum number of memories of one component: one for each component that it is composed of.
const MEMORIES: u32 = 8;
/// The maximum number of tables of one component: two for each component that it is composed of.
const TABLES: u32 = 2 * MEMORIES;

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
        let engine = match Engine::new(&config(&capacity, true)) {
            Ok(engine) => engine,
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "the address space is too small for a pool of plugin instances, so each call allocates its own: is `ulimit -v` or `vm.overcommit_memory` set?");
                Engine::new(&config(&capacity, false)).map_err(SandboxError::Engine)?
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

fn config(capacity: &Capacity, pooled: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Component-model async is off.
        .concurrency_support(false)
        .max_wasm_stack(256 << 10)
        // The stack is larger than the guest's, for host functions. A stack overflow there would abort the process.
        .async_stack_size(512 << 10)
        .wasm_memory64(false)
        // The code between the components of a composed component copies from one memory to another.
        .wasm_multi_memory(true)
        .wasm_relaxed_simd(false)
        .wasm_backtrace_max_frames(NonZeroUsize::new(8));
    if pooled {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(capacity)));
    } else {
        // This reserves address space for the memory that a plugin usually has, not for all that a 32-bit index can
        // address. A memory that grows beyond the reservation is moved. The compiled code checks each access.
        config
            .allocation_strategy(InstanceAllocationStrategy::OnDemand)
            .memory_reservation(Limits::default().memory_bytes as u64)
            .memory_reservation_for_growth(1 << 20)
            .memory_guard_size(64 << 10)
            .guard_before_linear_memory(false);
    }
    config
}

/// Sizes of the pool. A component made by the usual tools has one memory and two tables. Unused capacity costs only
/// address space, or nothing if it is a mere count.
fn pool(capacity: &Capacity) -> PoolingAllocationConfig {
    // With PAGEMAP_SCAN, only written pages are reset, so it is cheap to keep pages. Without it, all kept pages are
    // cleared on each call, so few are kept.
    let keep_resident = if has_pagemap_scan() {
        1 << 20
    } else {
        128 << 10
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(capacity.instances)
        .total_core_instances(capacity.instances * CORE_INSTANCES)
        .total_memories(capacity.instances)
        .total_tables(capacity.instances * 2)
        .total_stacks(capacity.instances)
        .max_memory_size(MAX_MEMORY_BYTES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_component_instance_size(512 << 10)
        .table_elements(TABLE_ELEMENTS as usize)
        .linear_memory_keep_resident(keep_resident)
        .table_keep_resident(keep_resident)
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Whether the kernel has the `PAGEMAP_SCAN` call, which came with Linux 6.7.
fn has_pagemap_scan() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 7)
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
