use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::{
    Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use super::error::SandboxError;
use super::lane::SlowLane;
use super::limits::{Capacity, MAX_MEMORY_BYTES};

/// How often a running guest is looked at. A guest that computes holds its thread no longer than two of these.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// What every guest lives in: one engine, a bounded number of instances, and somebody who looks at the clock.
pub struct Sandbox {
    engine: Engine,
    capacity: Capacity,
    instances: Arc<Semaphore>,
    compiler: Arc<Semaphore>,
    slow_lane: SlowLane,
    is_pooled: bool,
}

impl Sandbox {
    /// Starts the engine and its clock. Where the address space is too short for a pool of instances, each is
    /// allocated on its own: slower, with the same limits.
    pub fn new(capacity: Capacity) -> Result<Self, SandboxError> {
        let (engine, is_pooled) = match Engine::new(&config(&capacity, true)) {
            Ok(engine) => (engine, true),
            Err(error) => {
                tracing::warn!(error = %error, "no address space for a pool of plugin instances, so each call allocates its own");
                (
                    Engine::new(&config(&capacity, false)).map_err(SandboxError::Engine)?,
                    false,
                )
            }
        };
        start_ticker(engine.weak())?;
        Ok(Self {
            engine,
            instances: Arc::new(Semaphore::new(capacity.instances as usize)),
            compiler: Arc::new(Semaphore::new(1)),
            slow_lane: SlowLane::open()?,
            capacity,
            is_pooled,
        })
    }

    /// What all plugins together may use.
    #[must_use]
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// Whether instances come from a pool.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.is_pooled
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The instances that there are: a permit for each that is not in use.
    pub(super) fn instances(&self) -> &Arc<Semaphore> {
        &self.instances
    }

    /// One permit, for one compilation at a time.
    pub(super) fn compiler(&self) -> &Arc<Semaphore> {
        &self.compiler
    }

    pub(super) fn slow_lane(&self) -> &SlowLane {
        &self.slow_lane
    }
}

fn config(capacity: &Capacity, pooled: bool) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // No component-model async: no such state in each store.
        .concurrency_support(false)
        // A guest runs on a stack of its own. The difference is for host functions: were it used up, the whole
        // process would end.
        .max_wasm_stack(256 << 10)
        .async_stack_size(512 << 10)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_backtrace_max_frames(NonZeroUsize::new(8));
    config.allocation_strategy(if pooled {
        InstanceAllocationStrategy::Pooling(pool(capacity))
    } else {
        InstanceAllocationStrategy::OnDemand
    });
    config
}

/// Core instances of one component. One made by the usual tools has three to five, itself and the shims of the
/// canonical ABI; one made of Python has 38.
const CORE_INSTANCES: u32 = 64;

/// Sizes of the pool. A component made by the usual tools has one memory and two tables. What is not used costs address
/// space, or is a mere count.
fn pool(capacity: &Capacity) -> PoolingAllocationConfig {
    // With it, only the pages that a call wrote are reset, which makes keeping them cheap; without it all that is
    // kept is cleared on each call, so little is.
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
        .max_memories_per_component(1)
        .max_tables_per_component(4)
        .max_component_instance_size(512 << 10)
        .table_elements(10_000)
        .linear_memory_keep_resident(keep_resident)
        .table_keep_resident(keep_resident)
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Whether the kernel has the PAGEMAP_SCAN call, which came with Linux 6.7.
fn has_pagemap_scan() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 7)
}

/// Moves the engine's clock on. The thread ends when the engine is gone.
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
