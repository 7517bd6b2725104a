use std::time::Duration;

use crate::detection::WordError;

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine does not run on this machine.
    #[error("cannot start the WebAssembly engine")]
    Engine(#[source] wasmtime::Error),
    /// A thread that keeps the guests' time, or runs the slow ones.
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

/// Why the settings file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file system said no.
    #[error("cannot read the plugin settings {file}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// Not YAML, or not in the form of the settings.
    #[error("the plugin settings are not in their format: {why}")]
    Format {
        /// What is wrong, and where.
        why: String,
    },
    /// A number that protects nothing, or forbids everything.
    #[error("in the plugin settings, {place} is {value}; it must be between {least} and {most}")]
    OutOfBounds {
        /// Where it stands.
        place: String,
        /// What was given.
        value: String,
        /// The least that is taken.
        least: String,
        /// The most that is taken.
        most: String,
    },
}

/// Why a component cannot be used. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file system said no.
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
    /// No WebAssembly at all.
    #[error(
        "it is not a WebAssembly component: it does not start with the bytes of one (is the file complete, and binary rather than text or base64?)"
    )]
    NotWasm,
    /// A core module.
    #[error(
        "it is a core WebAssembly module, not a component; make one of it with `stoker plugin build` or `wasm-tools component new`"
    )]
    CoreModule,
    /// The engine refuses it.
    #[error("it is not a valid WebAssembly component, or uses what plugins may not")]
    Invalid(#[source] wasmtime::Error),
    /// The compiler took too long.
    #[error("compiling it took longer than {limit:?}; build it smaller, with size optimisation")]
    CompileTimedOut {
        /// The time it had.
        limit: Duration,
    },
    /// The compiler fell over.
    #[error("compiling it failed; the file is damaged, or this is a fault of the compiler")]
    CompilerPanic,
    /// No detector among the exports.
    #[error(
        "it was built for another world: it exports {found}, and not stoker:detect/detector@0.1.0"
    )]
    WrongWorld {
        /// What it exports instead.
        found: String,
    },
    /// A detector of a version that this host does not speak.
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
        /// Where it usually comes from.
        hint: &'static str,
    },
    /// Its types are not the ones of the released WIT.
    #[error(
        "its types are not those of stoker:detect@0.1.0; build it again with the WIT of this version"
    )]
    WrongTypes(#[source] wasmtime::Error),
    /// It cannot even begin.
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
    /// `describe` said something that cannot be used.
    #[error("its description cannot be used: {why}")]
    Descriptor {
        /// What is wrong.
        why: String,
    },
    /// Another drop-in came first.
    #[error("the name {name:?} is taken by {by}, which comes first")]
    Duplicate {
        /// The name.
        name: String,
        /// Who has it.
        by: String,
    },
}

/// Why one call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It ran longer than it may.
    #[error("it did not answer within {limit:?}")]
    TimedOut {
        /// The time it had.
        limit: Duration,
    },
    /// It asked for more memory than it may have.
    #[error("it asked for more than {limit} bytes of memory")]
    OutOfMemory {
        /// The memory it may have.
        limit: usize,
        /// Whether it did so before any of its code ran.
        at_start: bool,
    },
    /// It stopped by itself: a panic, an access outside of its memory, a full stack.
    #[error("it stopped with a trap: {what}")]
    Trapped {
        /// The kind of trap, in the engine's words.
        what: String,
    },
    /// It held on to the request.
    #[error(
        "it did not give the request back; in C, call stoker_detect_payload_request_drop_borrow before `detect` returns"
    )]
    BorrowKept,
    /// It handed over too much.
    #[error("it handed over more than {limit} bytes")]
    TransferTooLarge {
        /// The bytes that it may hand over.
        limit: usize,
    },
    /// What it handed over is not what the interface says.
    #[error("what it handed over was refused")]
    Refused(#[source] wasmtime::Error),
    /// It announced something that cannot be used.
    #[error("it answered {what}")]
    Answer {
        /// What it answered.
        what: String,
    },
    /// It announced something that git would not take; the sender's text is at fault as well.
    #[error("it found a ref that cannot be used: {0}")]
    Ref(#[from] WordError),
    /// All instances, or those that the plugin may have, are busy.
    #[error("it has no free instance")]
    Busy,
    /// It failed too often of late, and is not asked for a while.
    #[error("it failed repeatedly, and is asked again in {again_in:?}")]
    Benched {
        /// When it may be asked again.
        again_in: Duration,
    },
}

impl CallError {
    /// Every word of [`Self::label`].
    pub(super) const LABELS: [&str; 10] = [
        "timeout", "memory", "trap", "borrow", "transfer", "refused", "answer", "ref", "busy",
        "benched",
    ];

    /// A stable word for metrics and logs.
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
            Self::Busy => "busy",
            Self::Benched { .. } => "benched",
        }
    }
}
