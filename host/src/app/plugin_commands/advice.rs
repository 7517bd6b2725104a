//! Advice for authors on why a component cannot be used and how to fix it. It is longer than a log line may be.

use crate::plugin::{CallError, LoadError};

/// Returns advice on an error, or `None` if the text of the error is sufficient.
pub(super) fn on(error: &LoadError) -> Option<&'static str> {
    Some(match error {
        LoadError::UnknownImport { name, .. } if name.starts_with("wasi:") => WASI,
        LoadError::UnknownImport { name, .. } if name.starts_with("stoker:detect/") => VERSION,
        LoadError::WrongVersion { .. }
        | LoadError::WrongTypes(_)
        | LoadError::MissingInterface { .. }
        | LoadError::MissingFunction { .. } => VERSION,
        LoadError::UnknownImport { .. } => IMPORT,
        LoadError::TooLarge { .. } => SIZE,
        LoadError::CoreModule => CORE,
        LoadError::WrongWorld { .. } => WORLD,
        LoadError::InitialMemory { .. } | LoadError::Describe(CallError::OutOfMemory { .. }) => {
            MEMORY
        }
        LoadError::Describe(CallError::TimedOut { .. }) => DESCRIBE_TIME,
        LoadError::Describe(CallError::Trapped { .. }) => DESCRIBE_TRAP,
        _ => return None,
    })
}

const WASI: &str = "\
Plugins have no WASI: no files, no environment, no clock, no randomness. The import usually comes from
  Rust:        the target wasm32-wasip1 or wasm32-wasip2; build for wasm32-unknown-unknown, as `stoker plugin build` does
  C, C++:      a C library for WASI, such as wasi-sdk; compile for wasm32-unknown-unknown with -nostdlib
  JavaScript:  componentize-js with its features enabled; disable random, stdio, clocks, http and fetch-event
  Python:      componentize-py without --stub-wasi
  Go, TinyGo:  the runtime; build a core module for wasip1, and let `stoker plugin build` replace WASI by stubs
`stoker plugin new` creates a project with these settings for each of them.";

const VERSION: &str = "\
The bindings were generated from another WIT than the released one: from a changed copy, or from a version that this
Stoker does not support. Take wit/detect.wit from a project of `stoker plugin new`, generate the bindings again, and
build the component again.";

const IMPORT: &str = "\
A plugin may import only stoker:detect/payload, stoker:detect/settings and stoker:detect/diagnostics: its WIT must not
include another world or import another interface. In Rust and C, the import may also be a function that is declared
but not defined.";

const SIZE: &str = "\
A component of Rust or C has between a few and a few hundred kilobytes: build it in release mode, with opt-level = \"z\",
lto and strip, or with -Oz and -s. A component of JavaScript or Python holds an interpreter and has 12 to 20 million
bytes: raise the limit, here with --max-size, in a cluster with `stoker run --plugin-max-size`.";

const CORE: &str = "\
Compilers make core modules; a component wraps such a module in the types of its interface. `stoker plugin build` does
both, in a project.";

const WORLD: &str = "\
The bindings were generated for another world. The world is payload-detector of stoker:detect@0.1.0, in wit/detect.wit of
a project of `stoker plugin new`. In Rust, nothing is exported without the macro call export!(…).";

const MEMORY: &str = "\
The causes are a stack of many megabytes, which zig cc reserves by default (link with -Wl,-z,stack-size=65536), large
static arrays, or an interpreter. If the memory is needed, raise the limit: here with --memory, in a cluster with
`memory` in the plugin settings.";

const DESCRIBE_TIME: &str = "\
`describe` is called in a fresh instance, so the time that the language needs to start counts too. Return constants from
`describe`.";

const DESCRIBE_TRAP: &str = "\
The causes are a panic, an uncaught exception, or an access outside of the component's memory. Run the native tests
first. In C, everything that is returned must be on the heap, because the bindings free it.";
