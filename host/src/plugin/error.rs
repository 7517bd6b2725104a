use std::time::Duration;

use stoker_api::detection::ParseError;

/// Why the sandbox cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine does not run on this machine.
    #[error("cannot start the WebAssembly engine")]
    Engine(#[source] wasmtime::Error),
    /// The thread of the clock, or of the slow calls.
    #[error("cannot start a thread for the plugins")]
    Thread(#[source] std::io::Error),
    /// The settings of the plugins.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A plugin that is part of this binary.
    #[error("the built-in plugin {name} cannot be used")]
    Builtin {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        #[source]
        source: LoadError,
    },
}

/// Why the settings file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the plugin settings {file}")]
    Unreadable {
        /// The file.
        file: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It is not YAML, or not in the form of the settings.
    #[error("the plugin settings are not in their format: {why}")]
    Format {
        /// What is wrong, and where.
        why: String,
    },
    /// A number is out of bounds.
    #[error("in the plugin settings, {place} is {value}; it must be between {least} and {most}")]
    OutOfBounds {
        /// Its path in the file.
        place: String,
        /// The number.
        value: String,
        /// The minimum.
        least: String,
        /// The maximum.
        most: String,
    },
}

/// Why a component cannot be used. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[from] std::io::Error),
    /// The file is over the limit.
    #[error(
        "it has {bytes} bytes, more than the {limit} that a plugin may have; build it with size optimisation and stripped of debug information"
    )]
    TooLarge {
        /// Its bytes.
        bytes: u64,
        /// The bytes it may have.
        limit: u64,
    },
    /// Beyond the number of files that are read.
    #[error("its directory holds more than {limit} plugins; the first {limit} by name are used")]
    TooMany {
        /// The files that are read.
        limit: usize,
    },
    /// No WebAssembly component at all.
    #[error("it is not a WebAssembly component: {what}")]
    NotWasm {
        /// What it is instead, and what to do.
        what: String,
    },
    /// A core module.
    #[error(
        "it is a core WebAssembly module, not a component; make one of it with `stoker plugin build` or `wasm-tools component new`"
    )]
    CoreModule,
    /// It starts as a component does, and was damaged on its way.
    #[error("it is not a valid WebAssembly component: {what}")]
    Damaged {
        /// What happened to it, and what to do.
        what: &'static str,
        /// Where it is invalid.
        #[source]
        source: wasmparser::BinaryReaderError,
    },
    /// It is invalid by the rules of WebAssembly.
    #[error("it is not a valid WebAssembly component")]
    Invalid(#[source] wasmparser::BinaryReaderError),
    /// It is valid, and the engine refuses it.
    #[error("it uses something that plugins cannot use")]
    Unsupported(#[source] wasmtime::Error),
    /// A component that takes components as arguments.
    #[error(
        "it passes components to components as arguments, which plugins cannot do; compose it with `wac plug` or `wasm-tools compose`"
    )]
    ComponentArgument,
    /// Too many instances of modules and components inside it.
    #[error("it is made of more than {limit} instances of modules and components")]
    TooManyInstances {
        /// The instances it may have.
        limit: u64,
    },
    /// A table over the limit.
    #[error("it has a table of {elements} elements, more than the {limit} that a plugin may have")]
    TableTooLarge {
        /// The elements of the table.
        elements: u64,
        /// The elements a table may have.
        limit: u32,
    },
    /// Compiling it would take more than its size accounts for.
    #[error(
        "compiling it would take about {memory_mib} MiB of memory and {seconds:.1} seconds, and a file of its size may take {limit_mib} MiB and {limit_seconds:.1} seconds: {cause}; build it with size optimisation"
    )]
    TooCostly {
        /// The memory that compiling would take, in MiB.
        memory_mib: u64,
        /// The processor time that compiling would take.
        seconds: f32,
        /// The memory that it may take, in MiB.
        limit_mib: u64,
        /// The processor time that it may take.
        limit_seconds: f32,
        /// What takes the most.
        cause: String,
    },
    /// The memory limit of the container leaves too little.
    #[error(
        "compiling it takes about {needed_mib} MiB of memory, and the memory limit of the container leaves {available_mib} MiB; raise the limit (`resources.limits.memory` in the chart)"
    )]
    NoMemory {
        /// The memory that compiling takes, in MiB.
        needed_mib: u64,
        /// The memory that is left, in MiB.
        available_mib: u64,
    },
    /// The address space of the process is used up.
    #[error(
        "the address space of the process is used up; raise `ulimit -v`, or allow overcommitment of memory (`vm.overcommit_memory`)"
    )]
    NoAddressSpace(#[source] wasmtime::Error),
    /// The compiler took too long.
    #[error("compiling it took longer than {limit:?}; build it smaller, with size optimisation")]
    CompileTimedOut {
        /// The time it had.
        limit: Duration,
    },
    /// The compiler panicked.
    #[error(
        "the compiler failed; this is a fault of Stoker or of its WebAssembly engine, please report it"
    )]
    CompilerPanic,
    /// No detector among the exports.
    #[error(
        "it was built for another world: it exports {found}, and not stoker:detect/detector@0.1.0"
    )]
    WrongWorld {
        /// What it exports instead.
        found: String,
    },
    /// A detector of a version that this host does not support.
    #[error(
        "it was built for version {version} of stoker:detect, and this Stoker speaks 0.1; build it again with the WIT of this version"
    )]
    WrongVersion {
        /// The version it was built for.
        version: String,
    },
    /// An import that plugins do not get.
    #[error("it imports {name}, which plugins do not get{hint}")]
    UnknownImport {
        /// The import.
        name: String,
        /// Where it usually comes from; empty where that is not known.
        hint: &'static str,
    },
    /// An interface that a later version of the WIT added.
    #[error(
        "it imports {name}, which this version of Stoker does not have; use a later version of Stoker, or build it with an earlier WIT"
    )]
    MissingInterface {
        /// The interface.
        name: String,
    },
    /// A function that a later version of the WIT added.
    #[error(
        "it imports the function {function} of {interface}, which this version of Stoker does not have; use a later version of Stoker, or build it with an earlier WIT"
    )]
    MissingFunction {
        /// The function.
        function: String,
        /// The interface.
        interface: String,
    },
    /// Its types are not the ones of the released WIT.
    #[error(
        "its types are not those of stoker:detect@0.1.0; build it again with the WIT of this version"
    )]
    WrongTypes(#[source] wasmtime::Error),
    /// Its memory is over the limit before any of its code runs.
    #[error(
        "its memory is larger than {limit} bytes from the start; most often that is a stack of many megabytes, which zig cc makes by default: link with -Wl,-z,stack-size=65536, or give it more memory in the plugin settings"
    )]
    InitialMemory {
        /// The memory it may have.
        limit: usize,
    },
    /// `describe` failed.
    #[error("its `describe` failed")]
    Describe(#[source] CallError),
    /// What `describe` returned cannot be used.
    #[error("its description cannot be used: {why}")]
    Descriptor {
        /// What is wrong.
        why: String,
    },
    /// Another file with this plugin comes first.
    #[error("the name {name:?} is taken by {by}, which comes first")]
    Duplicate {
        /// The name.
        name: String,
        /// The file that has it.
        by: String,
    },
}

/// Why a call has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It ran too long.
    #[error("it did not answer within {limit:?}")]
    TimedOut {
        /// The time it had.
        limit: Duration,
    },
    /// There is no address space for its instance.
    #[error(
        "there is no address space for its memory; raise `ulimit -v`, or allow overcommitment of memory (`vm.overcommit_memory`)"
    )]
    NoAddressSpace(#[source] wasmtime::Error),
    /// It asked for more memory than it may have.
    #[error("it asked for more than {limit} bytes of memory")]
    OutOfMemory {
        /// The memory it may have.
        limit: usize,
        /// Whether it did so before any of its code ran.
        at_start: bool,
    },
    /// It trapped: a panic, an access outside of its memory, a full stack.
    #[error("it stopped with a trap: {what}")]
    Trapped {
        /// The kind of trap, in the engine's words.
        what: String,
    },
    /// It kept the handle of the request.
    #[error(
        "it did not give the request back; in C, call stoker_detect_payload_request_drop_borrow before `detect` returns"
    )]
    BorrowKept,
    /// Its answer, or an argument of an import, is too large.
    #[error("it handed over more than {limit} bytes")]
    TransferTooLarge {
        /// The bytes that it may hand over.
        limit: usize,
    },
    /// Its answer, or an argument of an import, breaks the rules of the interface: text that is not UTF-8, a pointer that
    /// is out of bounds or not aligned, a handle that is not its own.
    #[error("what it handed over was refused")]
    Refused(#[source] wasmtime::Error),
    /// Its answer cannot be used.
    #[error("it answered {what}")]
    Answer {
        /// What it answered.
        what: String,
    },
    /// Its answer has a ref that git does not accept; the sender wrote it.
    #[error("it found a ref that cannot be used: {0}")]
    Ref(#[from] ParseError),
    /// All instances, or those that the plugin may have, are in use.
    #[error("it has no free instance")]
    Busy,
    /// It failed too often, so its circuit breaker is open.
    #[error("it failed repeatedly, and is asked again in {again_in:?}")]
    Benched {
        /// When it may be asked again.
        again_in: Duration,
    },
}

impl CallError {
    /// Every value of [`Self::label`].
    pub(super) const LABELS: [&str; 10] = [
        "timeout", "memory", "trap", "borrow", "transfer", "refused", "answer", "ref", "busy",
        "benched",
    ];

    /// A stable label for metrics and logs.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::TimedOut { .. } => "timeout",
            Self::OutOfMemory { .. } => "memory",
            Self::Trapped { .. } => "trap",
            Self::BorrowKept => "borrow",
            Self::TransferTooLarge { .. } => "transfer",
            Self::Refused(_) => "refused",
            Self::Answer { .. } => "answer",
            Self::Ref(_) => "ref",
            Self::Busy | Self::NoAddressSpace(_) => "busy",
            Self::Benched { .. } => "benched",
        }
    }
}
