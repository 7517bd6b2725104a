//! Makes a component of a core module.

use std::fmt::Display;
use std::path::Path;

use wasmparser::{BinaryReaderError, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::{strip, wasip1};

/// The names of custom sections with the type of a module start with this word. Languages append to it.
const TYPE_SECTION: &str = "component-type";

/// The reason why a module cannot be made a component. The text states the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The bytes are not a module.
    #[error("it is not a WebAssembly module: {0}")]
    Module(String),
    /// The WIT cannot be read.
    #[error("the interface in {path} cannot be read: {why}")]
    Wit {
        /// The directory or file of the WIT.
        path: String,
        /// The cause.
        why: String,
    },
    /// The module does not contain its type, and there is no WIT.
    #[error(
        "the module does not carry its type, and there is no directory `wit` beside it; put the WIT of stoker:detect there"
    )]
    NoType,
    /// The module imports an item of WASI preview 1 that is not a function of integers.
    #[error("it imports {0} from wasi_snapshot_preview1, which WASI does not define")]
    Wasi(String),
    /// The module does not match its interface.
    #[error("the module does not match its interface: {0}")]
    Misfit(String),
}

impl ComponentError {
    /// Keeps the causes, because the outermost text alone is not sufficient.
    fn misfit(error: impl Display) -> Self {
        Self::Misfit(format!("{error:#}"))
    }
}

impl From<BinaryReaderError> for ComponentError {
    fn from(error: BinaryReaderError) -> Self {
        Self::Module(error.message().to_owned())
    }
}

/// The inputs, in addition to a module, that are needed to make a component.
#[derive(Debug, Default, Clone, Copy)]
pub struct Recipe<'a> {
    /// The WIT and the world in it, for modules that do not contain their type.
    pub world: Option<(&'a Path, &'a str)>,
    /// A core module that implements WASI preview 1. If it is missing, stubs are used.
    pub adapter: Option<&'a [u8]>,
}

/// A component that was made of a module.
#[derive(Debug)]
pub struct Component {
    /// The bytes of the component, without custom sections.
    pub bytes: Vec<u8>,
    /// The functions of WASI that stubs replace.
    pub stubs: Vec<String>,
}

/// Makes a component of a core module.
pub fn componentize(module: &[u8], recipe: Recipe<'_>) -> Result<Component, ComponentError> {
    let mut module = module.to_vec();
    if !is_typed(&module)? {
        let (path, world) = recipe.world.ok_or(ComponentError::NoType)?;
        embed(&mut module, path, world)?;
    }
    let mut encoder = ComponentEncoder::default()
        .module(&module)
        .map_err(ComponentError::misfit)?
        .validate(true);
    let wasi = wasip1::imports(&module)?;
    let mut stubs = Vec::new();
    if !wasi.is_empty() {
        let adapter = match recipe.adapter {
            Some(adapter) => adapter.to_vec(),
            None => wasip1::adapter(&wasi),
        };
        encoder = encoder
            .adapter(wasip1::MODULE, &adapter)
            .map_err(ComponentError::misfit)?;
        if recipe.adapter.is_none() {
            stubs = wasi.into_iter().map(|(name, ..)| name).collect();
        }
    }
    let component = encoder.encode().map_err(ComponentError::misfit)?;
    let bytes = strip::custom_sections(&component)
        .ok_or_else(|| ComponentError::misfit("its sections cannot be read"))?;
    Ok(Component { bytes, stubs })
}

/// Reports whether a module contains the type of its interface.
fn is_typed(module: &[u8]) -> Result<bool, ComponentError> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CustomSection(section) = payload?
            && section.name().starts_with(TYPE_SECTION)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the type of its interface into a module.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty core module.
    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    fn released() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/v0.1.0")
    }

    #[test]
    fn a_module_without_a_type_gets_one_from_its_wit() {
        let bare = componentize(EMPTY, Recipe::default());
        assert!(matches!(bare, Err(ComponentError::NoType)));
        let wit = released();
        let with = |path, world| {
            let recipe = Recipe {
                world: Some((path, world)),
                adapter: None,
            };
            componentize(EMPTY, recipe)
        };
        // The module now has its type, and lacks the exports of its interface.
        let typed = with(&wit, "payload-detector");
        assert!(matches!(typed, Err(ComponentError::Misfit(_))), "{typed:?}");
        let nowhere = with(Path::new("/nowhere"), "payload-detector");
        assert!(matches!(nowhere, Err(ComponentError::Wit { .. })));
        let other = with(&wit, "other");
        assert!(matches!(other, Err(ComponentError::Wit { .. })));
    }

    #[test]
    fn bytes_that_are_not_a_module_are_refused() {
        let broken = componentize(b"\0asm\x01\0\0\0\x01", Recipe::default());
        assert!(matches!(broken, Err(ComponentError::Module(_))));
    }
}
