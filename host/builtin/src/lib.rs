//! The plugins that are part of the binary.
//!
//! The build script compiles each of them to machine code, so that a start neither takes the time of a compiler nor
//! keeps its memory.

use wasmtime::Engine;
use wasmtime::component::Component;

/// The plugins, in the order in which they are called.
pub const BUILTINS: &[Builtin] = &include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The example of a site's own format, which `stoker demo` adds while it runs.
#[cfg(feature = "example")]
pub const EXAMPLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/shipit.wasm"));

/// One plugin.
pub struct Builtin {
    /// The name of the plugin.
    pub name: &'static str,
    /// The component, as a drop-in plugin is stored in a file.
    pub component: &'static [u8],
    /// The machine code of the component, or nothing if it was not compiled for this architecture.
    code: &'static [u8],
}

impl Builtin {
    /// Loads the machine code. Returns `None` if it does not fit the engine, because the engine has other settings or
    /// the processor another architecture.
    #[must_use]
    pub fn load(&self, engine: &Engine) -> Option<Component> {
        #[expect(
            unsafe_code,
            reason = "machine code cannot be checked, and this code is part of the program like any other"
        )]
        // SAFETY: The bytes are the output of `Engine::precompile_component` in the build script of this crate. The
        // field is private and set only in its table.
        let loaded = unsafe { Component::deserialize(engine, self.code) };
        loaded.ok()
    }
}

#[cfg(test)]
mod tests {
    use stoker_engine::{Allocation, config};

    use super::*;

    #[test]
    fn the_machine_code_fits_an_engine_with_a_pool() {
        let engine = Engine::new(&config(Allocation::Pooled { instances: 4 })).unwrap();
        for builtin in BUILTINS {
            assert!(builtin.load(&engine).is_some(), "{}", builtin.name);
        }
    }

    #[test]
    fn the_machine_code_does_not_fit_an_engine_without_a_pool() {
        let reservation = 16 << 20;
        let engine = Engine::new(&config(Allocation::OnDemand { reservation })).unwrap();
        assert!(
            BUILTINS
                .iter()
                .all(|builtin| builtin.load(&engine).is_none())
        );
    }
}
