//! From a core module to a component, in this process.

use std::fmt::Display;
use std::path::Path;

use wasmparser::{Parser, Payload, TypeRef};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::strip;

/// The module that toolchains for WASI import, before there were components.
const WASI: &str = "wasi_snapshot_preview1";
/// Custom sections with the type of a module begin with it; languages add something of their own.
const TYPE_SECTION: &str = "component-type";

/// Why a module cannot become a component. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// No module at all.
    #[error("it is not a WebAssembly module: {0}")]
    NotModule(String),
    /// The interface cannot be read.
    #[error("the interface in {path} cannot be read: {why}")]
    Wit {
        /// Where it should be.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The interface of the module is not known.
    #[error(
        "the module does not say which interface it has, and there is no folder `wit` beside it; put the WIT of stoker:detect there"
    )]
    NoType,
    /// The module wants WASI.
    #[error(
        "the module imports {functions} of wasi_snapshot_preview1, and plugins have no WASI; build it without (Rust: wasm32-unknown-unknown, C: -nostdlib), or name an `adapter` in plugin.yaml that answers in WASI's place"
    )]
    Wasi {
        /// What it imports of it.
        functions: String,
    },
    /// The module does not fit its interface.
    #[error("the module does not fit its interface: {0}")]
    Encode(String),
}

/// What a module needs, beside its own bytes, to become a component.
#[derive(Debug, Default, Clone, Copy)]
pub struct Recipe<'a> {
    /// The interface and the world in it, for modules that do not carry their type.
    pub world: Option<(&'a Path, &'a str)>,
    /// A core module that answers in the place of WASI.
    pub adapter: Option<&'a [u8]>,
}

/// Makes a component of a core module, without what nothing runs.
pub fn componentize(module: &[u8], recipe: Recipe<'_>) -> Result<Vec<u8>, ComponentError> {
    let needs = Needs::of(module)?;
    let mut module = module.to_vec();
    if !needs.is_typed {
        let (path, world) = recipe.world.ok_or(ComponentError::NoType)?;
        embed(&mut module, path, world)?;
    }
    let mut encoder = ComponentEncoder::default()
        .module(&module)
        .map_err(misfit)?
        .validate(true);
    if !needs.wasi.is_empty() {
        let adapter = recipe.adapter.ok_or_else(|| ComponentError::Wasi {
            functions: needs.wasi.join(", "),
        })?;
        encoder = encoder.adapter(WASI, adapter).map_err(misfit)?;
    }
    let component = encoder.encode().map_err(misfit)?;
    strip::custom_sections(&component)
        .ok_or_else(|| ComponentError::Encode("its sections cannot be read".to_owned()))
}

/// With its causes, for the outermost text alone says little.
fn misfit(error: impl Display) -> ComponentError {
    ComponentError::Encode(format!("{error:#}"))
}

/// What of its surroundings a module needs.
struct Needs {
    is_typed: bool,
    wasi: Vec<String>,
}

impl Needs {
    fn of(module: &[u8]) -> Result<Self, ComponentError> {
        let refuse = |error: wasmparser::BinaryReaderError| {
            ComponentError::NotModule(error.message().to_owned())
        };
        let mut needs = Self {
            is_typed: false,
            wasi: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(module) {
            match payload.map_err(refuse)? {
                Payload::CustomSection(section) => {
                    needs.is_typed |= section.name().starts_with(TYPE_SECTION);
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import.map_err(refuse)?;
                        if import.module == WASI && matches!(import.ty, TypeRef::Func(_)) {
                            needs.wasi.push(import.name.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(needs)
    }
}

/// Writes into a module which interface it has.
fn embed(module: &mut Vec<u8>, path: &Path, world: &str) -> Result<(), ComponentError> {
    let mut resolve = Resolve::default();
    resolve
        .push_path(path)
        .and_then(|(package, _)| resolve.select_world(&[package], Some(world)))
        .and_then(|world| embed_component_metadata(module, &resolve, world, StringEncoding::UTF8))
        .map_err(|error| ComponentError::Wit {
            path: path.display().to_string(),
            why: format!("{error:#}"),
        })
}
