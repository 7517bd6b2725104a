//! Where a refusal usually comes from, and what to change: for authors, longer than a log line may be.

use crate::plugin::{CallError, LoadError};

/// Some lines on a refusal; none where its own text says all that can be said.
pub(super) fn on(error: &LoadError) -> Option<&'static str> {
    Some(match error {
        LoadError::UnknownImport { name, .. } if name.starts_with("wasi:") => WASI,
        LoadError::UnknownImport { name, .. } if name.starts_with("stoker:detect/") => VERSION,
        LoadError::WrongVersion { .. } | LoadError::WrongTypes(_) => VERSION,
        LoadError::UnknownImport { .. } => IMPORT,
        LoadError::TooLarge { .. } | LoadError::CompileTimedOut { .. } => SIZE,
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
Plugins get no WASI: no files, no environment, no clock, no randomness. The import usually comes from
  Rust:        the target wasm32-wasip2 (or wasip1); build for wasm32-unknown-unknown, as `stoker plugin build` does
  C:           a libc for WASI (wasi-sdk); compile for wasm32-unknown-unknown with -nostdlib
  JavaScript:  componentize-js with its features on; disable all: random, stdio, clocks, http, fetch-event
  Python:      componentize-py without --stub-wasi
  Go, TinyGo:  the runtime itself; `stoker plugin build` puts stubs in its place
`stoker plugin new` has a project for each, set up this way.";

const VERSION: &str = "\
The bindings were made from another WIT than the released one: a changed copy, or a version that this Stoker does not
speak. Take wit/detect.wit from a project of `stoker plugin new`, and make the bindings and the component again.";

const IMPORT: &str = "\
A plugin may import stoker:detect/payload, settings and diagnostics, and nothing else: its WIT must not include another
world or import another interface. In Rust and C it may also be a function that is declared and defined nowhere.";

const SIZE: &str = "\
A component of Rust or C has some kilobytes to some hundred: build it for release, with opt-level = \"z\", lto and strip,
or -Oz and -s. One of JavaScript or Python holds an interpreter, 12 to 20 million bytes: raise the limit, here with
--max-size, in a cluster with `stoker run --plugin-max-size`.";

const CORE: &str = "\
Compilers make core modules; a component is such a module wrapped in the types of its interface. In its project,
`stoker plugin build` does both.";

const WORLD: &str = "\
The bindings were made for another world. The world is payload-detector of stoker:detect@0.1.0, in wit/detect.wit of a
project of `stoker plugin new`; in Rust, export!(…) must be there too, or nothing is exported.";

const MEMORY: &str = "\
A stack of many megabytes, which zig cc reserves by default (link with -Wl,-z,stack-size=65536), large static arrays,
or an interpreter. Where it must be: --memory here, `memory` in the plugin settings of a cluster.";

const DESCRIBE_TIME: &str = "\
`describe` is asked in a fresh instance, so whatever the language does at its start counts too. Return constants there;
what is computed for them, or read from settings, must take a part of the time of one call.";

const DESCRIBE_TRAP: &str = "\
A panic, an exception that nobody caught, or memory that is not the component's own, before it could say what it is.
Try its native tests first; in C, everything that is returned must live on the heap, for the host frees it.";
