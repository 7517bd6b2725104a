//! The settings of the WebAssembly engine.
//!
//! The host and the build script that compiles the built-in plugins share them: an engine accepts only code that was
//! compiled with its settings.

use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The maximum number of core instances of one component. A component made by the usual tools has three to five: its
/// own and the shims of the canonical ABI. A component made from Python has 38.
pub const CORE_INSTANCES: u32 = 64;
/// The maximum number of memories of one component: one for each component that it is composed of.
pub const MEMORIES: u32 = 8;
/// The maximum number of tables of one component: two for each component that it is composed of.
pub const TABLES: u32 = 2 * MEMORIES;
/// The maximum of a plugin's memory limit, in bytes. Instances reserve address space for it, not memory.
pub const MAX_MEMORY_BYTES: usize = 256 << 20;
/// The maximum number of elements of a table. Languages keep function pointers in tables. A component in Go with net/http
/// has 13,166. A table takes eight bytes of address space for each element that it may have, and memory only for the
/// pages that it uses.
pub const TABLE_ELEMENTS: u32 = 1 << 16;

/// How the engine allocates the memories of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// In a pool with places for this many instances.
    Pooled {
        /// The number of instances at the same time.
        instances: u32,
    },
    /// Separately for each instance, with address space for this many bytes.
    OnDemand {
        /// The size of the reservation in bytes. A memory that grows beyond it is moved.
        reservation: u64,
    },
}

/// Returns the settings of an engine.
#[must_use]
pub fn config(allocation: Allocation) -> Config {
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
    match allocation {
        Allocation::Pooled { instances } => {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
        }
        Allocation::OnDemand { reservation } => {
            // This reserves address space for the memory that a plugin usually has, not for all that a 32-bit index can
            // address. The compiled code checks each access.
            config
                .allocation_strategy(InstanceAllocationStrategy::OnDemand)
                .memory_reservation(reservation)
                .memory_reservation_for_growth(1 << 20)
                .memory_guard_size(64 << 10)
                .guard_before_linear_memory(false);
        }
    }
    config
}

/// Sizes of the pool. A component made by the usual tools has one memory and two tables. Unused capacity costs only
/// address space, or nothing if it is a mere count.
fn pool(instances: u32) -> PoolingAllocationConfig {
    // With PAGEMAP_SCAN, only written pages are reset, so it is cheap to keep pages. Without it, all kept pages are
    // cleared on each call, so few are kept.
    let keep_resident = if has_pagemap_scan() {
        1 << 20
    } else {
        128 << 10
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * CORE_INSTANCES)
        .total_memories(instances)
        .total_tables(instances * 2)
        .total_stacks(instances)
        .max_memory_size(MAX_MEMORY_BYTES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_memories_per_module(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .max_component_instance_size(512 << 10)
        .table_elements(TABLE_ELEMENTS as usize)
        .linear_memory_keep_resident(keep_resident)
        // Usual tables are far smaller. A guest that fills its tables must not occupy this memory for good.
        .table_keep_resident(128 << 10)
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
