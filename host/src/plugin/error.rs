//! The errors of the sandbox, of settings, of components and of calls.

use std::time::Duration;

use stoker_api::detection::ParseError;

/// The reason why the sandbox cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine cannot run on this machine.
    #[error("cannot start the WebAssembly engine")]
    Engine(#[source] wasmtime::Error),
    /// The thread of the clock, or of the slow calls, cannot be started.
    #[error("cannot start a thread for the plugins")]
    Thread(#[source] std::io::Error),
    /// The settings of the plugins cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A plugin that is part of this binary cannot be used.
    #[error("the built-in plugin {name} cannot be used")]
    Builtin {
        /// Its name.
        name: &'static str,
        /// The cause.
        #[source]
        source: LoadError,
    },
}

/// The reason why the settings file cannot be used.
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
    /// The file is not YAML, or does not have the format of the settings.
    #[error("the plugin settings are not in their format: {why}")]
    Format {
        /// The fault and its position.
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

/// The reason why a component cannot be used. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[from] std::io::Error),
    /// The file is over the limit.
    #[error(
        "it has {bytes} bytes, more than the {limit} that a plugin may have; build it with size optimisation and stripped of debug information, or raise the limit: `--plugin-max-size` (`plugins.maxSize` in the chart), or `componentSize` in the plugin settings"
    )]
    TooLarge {
        /// Its bytes.
        bytes: u64,
        /// The bytes it may have.
        limit: u64,
    },
    /// The file is beyond the number of files that are read.
    #[error(
        "its directory holds more than {limit} plugins; the first {limit} by name are used; raise `pluginsPerDirectory` in the plugin settings, or use another directory"
    )]
    TooMany {
        /// The number of files that are read.
        limit: usize,
    },
    /// The file is not a WebAssembly component at all.
    #[error("it is not a WebAssembly component: {what}")]
    NotWasm {
        /// The format of the file, and what to do.
        what: String,
    },
    /// The file is a core module.
    #[error(
        "it is a core WebAssembly module, not a component; make one of it with `stoker plugin build` or `wasm-tools component new`"
    )]
    CoreModule,
    /// The file starts like a component, but was damaged in transfer.
    #[error("it is not a valid WebAssembly component: {what}")]
    Damaged {
        /// The kind of damage, and what to do.
        what: &'static str,
        /// The error of the parser, with its position.
        #[source]
        source: wasmparser::BinaryReaderError,
    },
    /// It is invalid by the rules of WebAssembly.
    #[error("it is not a valid WebAssembly component")]
    Invalid(#[source] wasmparser::BinaryReaderError),
    /// It is valid, but the engine refuses it.
    #[error("it uses something that plugins cannot use")]
    Unsupported(#[source] wasmtime::Error),
    /// The component takes components as arguments.
    #[error(
        "it passes components to components as arguments, which plugins cannot do; compose it with `wac plug` or `wasm-tools compose`"
    )]
    ComponentArgument,
    /// It contains too many instances of modules and components.
    #[error("it is made of more than {limit} instances of modules and components")]
    TooManyInstances {
        /// The number of instances it may have.
        limit: u64,
    },
    /// A module has too many memories or tables.
    #[error("one of its modules has {count} {what}, more than the {limit} that a plugin may have")]
    TooManyInModule {
        /// What there are too many of.
        what: &'static str,
        /// Their number.
        count: u32,
        /// The number that a plugin may have.
        limit: u32,
    },
    /// A table is over the limit.
    #[error("it has a table of {elements} elements, more than the {limit} that a plugin may have")]
    TableTooLarge {
        /// The number of elements of the table.
        elements: u64,
        /// The number of elements a table may have.
        limit: u32,
    },
    /// Compiling it would take more memory or time than a file of its size may take.
    #[error(
        "compiling it would take about {memory_mib} MiB of memory and {seconds:.1} seconds, and a file of its size may take {limit_mib} MiB and {limit_seconds:.1} seconds: {cause}"
    )]
    TooCostly {
        /// The memory that compiling would take, in MiB.
        memory_mib: u64,
        /// The processor time that compiling would take, in seconds.
        seconds: f32,
        /// The memory that compiling may take, in MiB.
        limit_mib: u64,
        /// The processor time that compiling may take, in seconds.
        limit_seconds: f32,
        /// The part of the component that takes the most, and what to do.
        cause: String,
    },
    /// The memory limit of the container leaves too little memory for compiling.
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
    /// The operating system starts no further thread.
    #[error(
        "no thread can be started for compiling it; raise the limit of processes (`ulimit -u`, or the limit of the pod)"
    )]
    NoThread(#[source] std::io::Error),
    /// The compiler took too long.
    #[error(
        "compiling it took longer than {limit:?}: it is too large, or the machine is busy; build it with size optimisation"
    )]
    CompileTimedOut {
        /// The time limit.
        limit: Duration,
    },
    /// The compiler panicked.
    #[error(
        "the compiler failed; this is a fault of Stoker or of its WebAssembly engine, please report it"
    )]
    CompilerPanic,
    /// The component does not export a detector.
    #[error(
        "it was built for another world: it exports {found}, and not stoker:detect/detector@0.1.0; build it for the world payload-detector of the WIT that `stoker plugin new` writes"
    )]
    WrongWorld {
        /// The exports that it has instead.
        found: String,
    },
    /// The component exports a detector of a version that this host does not support.
    #[error(
        "it was built for version {version} of stoker:detect, and this Stoker speaks 0.1; build it again with the WIT of this version"
    )]
    WrongVersion {
        /// The version it was built for.
        version: String,
    },
    /// The component imports something that plugins do not get.
    #[error("it imports {name}, which plugins do not get{hint}")]
    UnknownImport {
        /// The import.
        name: String,
        /// The usual origin of the import. Empty if it is not known.
        hint: &'static str,
    },
    /// The component imports an interface that a later version of the WIT added.
    #[error(
        "it imports {name}, which this version of Stoker does not have; use a later version of Stoker, or build it with an earlier WIT"
    )]
    MissingInterface {
        /// The interface.
        name: String,
    },
    /// The component imports a function that a later version of the WIT added.
    #[error(
        "it imports the function {function} of {interface}, which this version of Stoker does not have; use a later version of Stoker, or build it with an earlier WIT"
    )]
    MissingFunction {
        /// The function.
        function: String,
        /// The interface.
        interface: String,
    },
    /// The types of its exports differ from those of the released WIT.
    #[error(
        "its types are not those of stoker:detect@0.1.0; build it again with the WIT of this version"
    )]
    WrongTypes(#[source] wasmtime::Error),
    /// Its initial memory, before any of its code runs, is over the limit.
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
    /// The description that `describe` returned cannot be used.
    #[error("its description cannot be used: {why}")]
    Descriptor {
        /// The fault.
        why: String,
    },
    /// Another file with this plugin name comes first.
    #[error(
        "the name {name:?} is taken by {by}, which comes first; remove one of them, or change the name in `describe`"
    )]
    Duplicate {
        /// The name.
        name: String,
        /// The file that has it.
        by: String,
    },
}

/// The reason why a call has no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It ran too long.
    #[error("it did not answer within {limit:?}")]
    TimedOut {
        /// The time limit.
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
        /// Whether it asked for the memory before any of its code ran.
        at_start: bool,
    },
    /// It trapped, for example by a panic, an access outside its memory, or a stack overflow.
    #[error("it stopped with a trap: {what}")]
    Trapped {
        /// The kind of trap, in the engine's words.
        what: String,
    },
    /// It did not release the handle of the request.
    #[error(
        "it did not give the request back; in C, call stoker_detect_payload_request_drop_borrow before `detect` returns"
    )]
    BorrowKept,
    /// Its answer, or an argument of an import, is too large.
    #[error("it handed over more than {limit} bytes")]
    TransferTooLarge {
        /// The number of bytes that it may hand over.
        limit: usize,
    },
    /// Its answer, or an argument of an import, violates the rules of the interface: for example, text that is not
    /// UTF-8, a pointer that is out of bounds or not aligned, or a handle that it does not own.
    #[error("what it handed over was refused")]
    Refused(#[source] wasmtime::Error),
    /// Its answer cannot be used.
    #[error("it answered {what}")]
    Answer {
        /// A description of the answer.
        what: String,
    },
    /// Its answer has a ref that git does not accept. The ref was written by the sender.
    #[error("it found a ref that cannot be used: {0}")]
    Ref(#[from] ParseError),
    /// All instances, or those that the plugin may have, are in use.
    #[error("it has no free instance")]
    Busy,
    /// It failed repeatedly, so it is benched.
    #[error("it failed repeatedly, and is called again in {again_in:?}")]
    Benched {
        /// The time until it may be asked again.
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
