//! The cost of compiling a component, estimated from its functions before it is compiled.
//!
//! The compiler keeps the code of every function until the last one is compiled, and works on one function for each of
//! its threads. The memory for that work grows with a product: at each loop, branch and target of a jump table, the
//! compiler keeps one value for each local and each operand that is alive there. A few kilobytes can hold a thousand
//! loops over a thousand locals.
//!
//! The weights were measured with wasmtime 48 and 50 on x86-64 with one thread, as the growth of the peak resident
//! memory. For real code the estimate is above the measured figure, by up to a quarter:
//!
//! | file                                   | bytes      | estimate | measured |
//! |----------------------------------------|------------|----------|----------|
//! | `SpiderMonkey` (`componentize-js`)       | 12,047,332 | 394 MB   | 321 MB   |
//! | Go, with net/http and regexp           |  5,885,055 | 137 MB   | 116 MB   |
//! | Rust, `spidermonkey-embedding-splicer` |  5,708,611 | 162 MB   | 152 MB   |
//! | Rust, `wasm-tools`                     |  2,399,288 | 132 MB   | 111 MB   |
//! | 500 locals that change in 500 loops    |     10,650 |  43 MB   |  44 MB   |
//! | 1,000 locals over 1,000 `if`s          |     22,524 |  51 MB   |  50 MB   |
//! | a jump table of 2,000 to a loop with 500 locals | 6,287 | 120 MB | 123 MB |
//! | 10,000 functions with ten calls each   |    240,030 |  78 MB   |  67 MB   |
//! | 8,000 functions with 60 calls each     |    995,575 | 149 MB   | 150 MB   |

use std::time::Duration;

use stoker_engine::TABLE_ELEMENTS;
use wasmparser::{
    FuncToValidate, FuncValidator, FuncValidatorAllocations, FunctionBody, Operator,
    OperatorsReader, Payload, Result, ValidatorResources,
};

use super::super::error::LoadError;
use super::instances::Total;

/// Bytes that are kept for each function: its entries in the tables of the artifact.
const FUNCTION: u64 = 6000;
/// Bytes that are kept for each instruction: its machine code and the information about its addresses.
const INSTRUCTION_KEPT: u64 = 60;
/// Bytes that are kept for each call: its relocation when the code is linked.
const CALL_KEPT: u64 = 150;
/// Bytes that are kept for each type, import, export and so on.
const ITEM: u64 = 128;
/// Bytes of work for each instruction, and for each value that it consumes or produces.
const VALUE: u64 = 180;
/// Bytes of work for each local, used or not. A file can declare 50,000 locals in three bytes.
const LOCAL: u64 = 150;
/// Bytes of work for each call, and for each value that it takes or returns.
const CALL: u64 = 1500;
const CALL_VALUE: u64 = 500;
/// Bytes of work for each value that is alive at the beginning of a loop, and at each target of a jump table.
const LOOP_VALUE: u64 = 125;
/// Bytes of work for each value that is alive at any other branch.
const BRANCH_VALUE: u64 = 50;
/// Bytes that are kept for each adapter function from one component to another, and for each part of the types.
const ADAPTER: u64 = 20_000;
const ADAPTER_PART: u64 = 2000;

/// Nanoseconds for each 1,000 bytes of work: `SpiderMonkey` needs 2,482 MB of work and 8.3 seconds.
const TIME_OF_WORK: u64 = 3300;
/// Nanoseconds for each value that is alive at a branch, and for each loop around the branch. The register allocator
/// visits all of them. A file of 4,784 bytes with a hundred nested loops, a jump table of 2,000 entries to all of them,
/// and 300 locals takes 30 seconds.
const TIME_OF_NESTING: u64 = 500;

/// The memory that compiling may take in addition to [`MEMORY_OF_BYTE`] for each byte of the file. It suffices for one
/// large function. The largest function of an interpreter takes up to 77 MB, in a file of megabytes.
const MEMORY: u64 = 24 << 20;
/// Bytes of memory for each byte of the file. Real code takes 21 (Go) to 53 (Rust, small functions).
const MEMORY_OF_BYTE: u64 = 64;
/// The processor time that compiling may take in addition to [`TIME_OF_BYTE`] for each byte of the file.
const TIME: Duration = Duration::from_secs(2);
/// Nanoseconds for each byte of the file. Real code takes 700 to 1,800.
const TIME_OF_BYTE: u64 = 4000;
/// The memory up to which a component compiles next to a larger one instead of after it. It suffices for a megabyte of
/// usual code, which compiles in a second.
const SMALL: u64 = 48 << 20;

/// The cost of compiling one component. Every figure is an estimate.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct CompileCost {
    /// The size of the file without its custom sections.
    file_bytes: u64,
    kept: u64,
    functions: u64,
    largest: Largest,
    adapters: Adapters,
    time: Duration,
}

/// The functions that components call in other components.
#[derive(Debug, Clone, Copy, Default)]
struct Adapters {
    count: u64,
    memory: u64,
}

/// The function that takes the most memory.
#[derive(Debug, Clone, Copy, Default)]
struct Largest {
    memory: u64,
    index: u64,
    bytes: usize,
    locals: u32,
    branches: u64,
}

impl CompileCost {
    /// Refuses a component that takes more than a component of its size may take.
    pub(super) fn check(&self) -> Result<(), LoadError> {
        let (memory, limit) = (self.memory(1), MEMORY + MEMORY_OF_BYTE * self.file_bytes);
        let time_limit = TIME + Duration::from_nanos(TIME_OF_BYTE * self.file_bytes);
        if memory <= limit && self.time <= time_limit {
            return Ok(());
        }
        Err(LoadError::TooCostly {
            memory_mib: memory >> 20,
            seconds: self.time.as_secs_f32(),
            limit_mib: limit >> 20,
            limit_seconds: time_limit.as_secs_f32(),
            cause: self.cause(),
        })
    }

    /// The main cause of the cost, and what to do: one function, all of them together, or the adapters between
    /// components.
    fn cause(&self) -> String {
        let Largest {
            memory,
            index,
            bytes,
            locals,
            branches,
        } = self.largest;
        if memory > self.kept {
            format!(
                "its function {index} has {bytes} bytes, {locals} locals and {branches} branches; split it, and build it with size optimisation"
            )
        } else if self.adapters.memory > self.kept / 2 {
            format!(
                "adapters between components for up to {} functions; compose it of fewer components, with fewer functions and smaller types between them",
                self.adapters.count
            )
        } else {
            format!(
                "it has {} functions, which are small and many; build it with size optimisation",
                self.functions
            )
        }
    }

    /// Bytes of memory that compiling takes with this number of threads.
    pub(in super::super) fn memory(&self, threads: u64) -> u64 {
        self.kept
            .saturating_add(self.largest.memory.saturating_mul(threads))
    }

    /// The number of threads, at most `most`, that compile it within `available` bytes of memory. `None` if even one
    /// thread takes more.
    pub(in super::super) fn threads(&self, available: u64, most: u64) -> Option<u64> {
        let available = available.min(MEMORY + MEMORY_OF_BYTE * self.file_bytes);
        (1..=most)
            .rev()
            .find(|threads| self.memory(*threads) <= available)
    }

    /// Whether it compiles next to a larger component.
    pub(in super::super) fn is_small(&self) -> bool {
        self.memory(1) <= SMALL
    }
}

/// Adds up the cost of the parts of a file.
#[derive(Default)]
pub(super) struct CostModel {
    kept: u64,
    work: u64,
    nesting: u64,
    functions: u64,
    largest: Largest,
    /// Bytes of custom sections, such as names and debug information.
    custom_bytes: u64,
    allocations: FuncValidatorAllocations,
}

impl CostModel {
    /// Adds a section that holds no code.
    pub(super) fn add_section(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        let items = match payload {
            Payload::TypeSection(section) => section.count(),
            Payload::ImportSection(section) => section.count(),
            Payload::GlobalSection(section) => section.count(),
            Payload::ExportSection(section) => section.count(),
            Payload::ElementSection(section) => section.count(),
            Payload::DataSection(section) => section.count(),
            Payload::ComponentAliasSection(section) => section.count(),
            Payload::ComponentTypeSection(section) => section.count(),
            Payload::ComponentCanonicalSection(section) => section.count(),
            Payload::TableSection(section) => {
                for table in section.clone().into_iter().flatten() {
                    let elements = table.ty.initial;
                    if elements > u64::from(TABLE_ELEMENTS) {
                        return Err(LoadError::TableTooLarge {
                            elements,
                            limit: TABLE_ELEMENTS,
                        });
                    }
                    self.kept += elements * size_of::<u64>() as u64;
                }
                section.count()
            }
            // Sections that the compiler does not read must not raise the limits of the file.
            Payload::CustomSection(section) => {
                self.custom_bytes += section.range().len() as u64;
                0
            }
            _ => 0,
        };
        self.kept += u64::from(items) * ITEM;
        Ok(())
    }

    /// Validates a function and adds it.
    pub(super) fn add_function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<()> {
        let allocations = std::mem::take(&mut self.allocations);
        let mut validator = function.into_validator(allocations);
        let mut reader = body.get_binary_reader();
        validator.read_locals(&mut reader)?;
        let mut reader = OperatorsReader::new(reader);
        let mut cost = FunctionCost {
            work: LOCAL * u64::from(validator.len_locals()),
            ..FunctionCost::default()
        };
        while !reader.eof() {
            let offset = reader.original_position();
            let operator = reader.read()?;
            cost.add(&operator, &validator);
            validator.op(offset, &operator)?;
        }
        reader.finish()?;
        self.kept += FUNCTION + cost.instructions * INSTRUCTION_KEPT + cost.calls * CALL_KEPT;
        self.work = self.work.saturating_add(cost.work);
        self.nesting = self.nesting.saturating_add(cost.nesting);
        if cost.work >= self.largest.memory {
            self.largest = Largest {
                memory: cost.work,
                index: self.functions,
                bytes: body.range().len(),
                locals: validator.len_locals(),
                branches: cost.branches,
            };
        }
        self.functions += 1;
        self.allocations = validator.into_allocations();
        Ok(())
    }

    /// The cost of all parts together.
    pub(super) fn total(self, file_bytes: usize, instances: Total) -> CompileCost {
        // For each function that one component calls in another, the compiler generates code from the types of its
        // parameters. A function of the host that a component calls counts too: whether it is one is not known here.
        let adapters = if instances.is_composed {
            let count = instances.made.lowered;
            let parts = ADAPTER_PART.saturating_mul(instances.made.type_parts);
            // What the functions share is counted once for each instance.
            let memory = count
                .saturating_mul(ADAPTER)
                .saturating_add(instances.made.translations)
                .saturating_add(parts);
            Adapters { count, memory }
        } else {
            Adapters::default()
        };
        let work = self.work.saturating_add(adapters.memory);
        let time = (work / 1000)
            .saturating_mul(TIME_OF_WORK)
            .saturating_add(self.nesting.saturating_mul(TIME_OF_NESTING));
        CompileCost {
            file_bytes: (file_bytes as u64).saturating_sub(self.custom_bytes),
            kept: self.kept.saturating_add(adapters.memory),
            functions: self.functions,
            largest: self.largest,
            adapters,
            time: Duration::from_nanos(time),
        }
    }
}

/// The cost of one function.
#[derive(Default)]
struct FunctionCost {
    instructions: u64,
    calls: u64,
    branches: u64,
    work: u64,
    nesting: u64,
    /// For each open block, whether it is a loop.
    blocks: Vec<bool>,
    loops: u64,
}

impl FunctionCost {
    fn add(&mut self, operator: &Operator<'_>, validator: &FuncValidator<ValidatorResources>) {
        self.instructions += 1;
        let (taken, left) = operator.operator_arity(validator).unwrap_or_default();
        let values = u64::from(taken) + u64::from(left);
        self.work += VALUE * (1 + values);
        match operator {
            Operator::Loop { .. } => {
                self.open(true);
                self.branch(1, LOOP_VALUE, validator);
            }
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => {
                self.branch(1, BRANCH_VALUE, validator);
                self.open(false);
            }
            Operator::Else
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. } => self.branch(1, BRANCH_VALUE, validator),
            Operator::BrTable { targets } => {
                self.branch(u64::from(targets.len()) + 1, LOOP_VALUE, validator);
            }
            Operator::End => self.close(),
            Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => {
                self.calls += 1;
                self.work += CALL + CALL_VALUE * values;
            }
            // A checked conversion becomes several blocks of machine code, like a call of a host function.
            Operator::I32TruncF32S
            | Operator::I32TruncF32U
            | Operator::I32TruncF64S
            | Operator::I32TruncF64U
            | Operator::I64TruncF32S
            | Operator::I64TruncF32U
            | Operator::I64TruncF64S
            | Operator::I64TruncF64U
            | Operator::MemoryGrow { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableGet { .. }
            | Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableInit { .. } => self.work += CALL,
            _ => {}
        }
    }

    fn branch(&mut self, targets: u64, weight: u64, validator: &FuncValidator<ValidatorResources>) {
        let alive = u64::from(validator.len_locals()) + u64::from(validator.operand_stack_height());
        self.branches += targets;
        self.work += targets * alive * weight;
        self.nesting += targets * alive * self.loops;
    }

    fn open(&mut self, is_loop: bool) {
        self.blocks.push(is_loop);
        self.loops += u64::from(is_loop);
    }

    fn close(&mut self) {
        if self.blocks.pop() == Some(true) {
            self.loops -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
