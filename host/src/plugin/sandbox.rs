use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::{
    Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig,
};

use super::error::{CallError, SandboxError};
use super::limits::Limits;

/// How often a running guest is looked at. A guest that computes holds its thread no longer than this.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// What every guest lives in: one engine, a bounded number of instances, and somebody who looks at the clock.
pub struct Sandbox {
    engine: Engine,
    limits: Limits,
    instances: Semaphore,
    is_pooled: bool,
}

impl Sandbox {
    /// Starts the engine and its clock. Where the address space is too short for a pool of instances, each is
    /// allocated on its own: slower, with the same limits.
    pub fn new(limits: Limits) -> Result<Self, SandboxError> {
        let (engine, is_pooled) = match Engine::new(&config(&limits, true)) {
            Ok(engine) => (engine, true),
            Err(error) => {
                tracing::warn!(error = %error, "no address space for a pool of plugin instances, so each call allocates its own");
                (
                    Engine::new(&config(&limits, false)).map_err(SandboxError::Engine)?,
                    false,
                )
            }
        };
        start_ticker(engine.weak())?;
        let instances = Semaphore::new(limits.instances as usize);
        Ok(Self {
            engine,
            limits,
            instances,
            is_pooled,
        })
    }

    /// What guests may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether instances come from a pool.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.is_pooled
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Waits for a free instance, but not for long.
    pub(super) async fn admit(&self) -> Result<SemaphorePermit<'_>, CallError> {
        if let Ok(permit) = self.instances.try_acquire() {
            return Ok(permit);
        }
        match tokio::time::timeout(self.limits.queue_time, self.instances.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(CallError::Busy),
        }
    }
}

fn config(limits: &Limits, pooled: bool) -> Config {
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
        InstanceAllocationStrategy::Pooling(pool(limits))
    } else {
        InstanceAllocationStrategy::OnDemand
    });
    config
}

/// Sizes of the pool. A component made by the usual tools has one memory, three or four core instances (itself and
/// the shims of the canonical ABI) and two tables.
fn pool(limits: &Limits) -> PoolingAllocationConfig {
    // With it, only the pages that a call wrote are reset, which makes keeping them cheap; without it all that is
    // kept is cleared on each call, so little is.
    let keep_resident = if has_pagemap_scan() {
        1 << 20
    } else {
        128 << 10
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits.instances)
        .total_core_instances(limits.instances * 4)
        .total_memories(limits.instances)
        .total_tables(limits.instances * 2)
        .total_stacks(limits.instances)
        .max_memory_size(limits.memory_bytes)
        .max_core_instances_per_component(8)
        .max_memories_per_component(1)
        .max_tables_per_component(4)
        .max_component_instance_size(256 << 10)
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
        .map_err(SandboxError::Ticker)?;
    Ok(())
}
