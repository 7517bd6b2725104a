//! Compares the imports and exports of a component with those of the interface.

use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::TypesRef;
use wasmparser::{ComponentTypeRef, Payload};

use super::super::bindings::v0_1;
use super::super::error::LoadError;
use super::super::reply::printable;

/// The maximum number of exports that a message names.
const SHOWN_EXPORTS: usize = 8;

/// The names of a component's imports and exports.
#[derive(Debug, Default)]
pub(super) struct World {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl World {
    /// Records the names in a section of the outermost component. `types` are the types that it has defined so far.
    pub(super) fn add(&mut self, payload: &Payload<'_>, types: Option<TypesRef<'_>>) {
        match payload {
            Payload::ComponentImportSection(section) => {
                let imports = section.clone().into_iter().flatten();
                let imports = imports.filter(|import| !is_only_types(import.ty, types));
                self.imports
                    .extend(imports.map(|import| import.name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) => {
                let exports = section.clone().into_iter().flatten();
                self.exports
                    .extend(exports.map(|export| export.name.name.to_owned()));
            }
            _ => {}
        }
    }

    /// Refuses a component of another world. Returns the interfaces of the host that the component imports.
    pub(super) fn check(self) -> Result<Vec<String>, LoadError> {
        // Foreign imports are checked before the exports. They are the likelier cause, because a library or a runtime
        // adds them.
        if let Some(foreign) = self
            .imports
            .iter()
            .find(|name| !name.starts_with("stoker:detect/"))
        {
            return Err(LoadError::UnknownImport {
                name: printable(foreign, 128),
                hint: import_hint(foreign),
            });
        }
        self.check_exports()?;
        match self.imports.iter().find(|name| !is_offered(name)) {
            Some(name) => Err(LoadError::MissingInterface {
                name: printable(name, 128),
            }),
            None => Ok(self.imports),
        }
    }

    fn check_exports(&self) -> Result<(), LoadError> {
        let versions = self
            .exports
            .iter()
            .filter_map(|name| name.strip_prefix("stoker:detect/detector@"));
        let mut versions = versions.peekable();
        if versions.clone().any(is_compatible) {
            return Ok(());
        }
        if let Some(version) = versions.peek() {
            return Err(LoadError::WrongVersion {
                version: printable(version, 32),
            });
        }
        let shown = self.exports.iter().take(SHOWN_EXPORTS);
        let shown = shown.map(String::as_str).collect::<Vec<_>>().join(", ");
        let found = if shown.is_empty() { "nothing" } else { &shown };
        Err(LoadError::WrongWorld {
            found: printable(found, 512),
        })
    }
}

/// Whether an import provides nothing to the component: a type, or an interface of types alone. A resource is more than
/// a type, because the host must define it.
fn is_only_types(import: ComponentTypeRef, types: Option<TypesRef<'_>>) -> bool {
    let (index, types) = match (import, types) {
        (ComponentTypeRef::Type(_), _) => return true,
        (ComponentTypeRef::Instance(index), Some(types)) => (index, types),
        _ => return false,
    };
    let ComponentAnyTypeId::Instance(instance) = types.component_any_type_at(index) else {
        return false;
    };
    let mut exports = types[instance].exports.values().map(|export| export.ty);
    exports.all(|export| match export {
        ComponentEntityType::Type { referenced, .. } => {
            !matches!(referenced, ComponentAnyTypeId::Resource(_))
        }
        _ => false,
    })
}

/// Whether this host links a version of the interface. Within 0.1, later versions only add imports
/// (`docs/wit-versioning.md`). Build metadata (Semantic Versioning, 10) does not matter.
fn is_compatible(version: &str) -> bool {
    let version = version
        .split_once('+')
        .map_or(version, |(version, _)| version);
    let patch = version.strip_prefix("0.1.");
    patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_offered(import: &str) -> bool {
    let offered = import.split_once('@').filter(|(interface, version)| {
        let interface = interface.strip_prefix("stoker:detect/");
        interface.is_some_and(|name| v0_1::IMPORTS.iter().any(|(offered, _)| *offered == name))
            && is_compatible(version)
    });
    offered.is_some()
}

fn import_hint(import: &str) -> &'static str {
    if import.starts_with("wasi:") {
        "; plugins have no WASI, which the standard library of most languages asks for: build Rust for wasm32-unknown-unknown, C for wasm32-freestanding, JavaScript with every WASI feature off, Python with --stub-wasi, and make the component with `stoker plugin build`"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(imports: &[&str], exports: &[&str]) -> Result<Vec<String>, LoadError> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        World {
            imports: owned(imports),
            exports: owned(exports),
        }
        .check()
    }

    #[test]
    fn every_version_within_0_1_is_accepted_and_no_other() {
        for version in ["0.1.0", "0.1.1", "0.1.27", "0.1.0+b1"] {
            let payload = format!("stoker:detect/payload@{version}");
            let detector = format!("stoker:detect/detector@{version}");
            assert!(world(&[&payload], &[&detector]).is_ok(), "{version}");
        }
        for version in [
            "0.2.0",
            "1.0.0",
            "0.1.0-rc.1",
            "0.2.0+0.1.0",
            "0.10.0",
            "0.1.",
            "0.1",
        ] {
            let detector = format!("stoker:detect/detector@{version}");
            let refused = world(&[], &[&detector]);
            assert!(
                matches!(refused, Err(LoadError::WrongVersion { .. })),
                "{version}"
            );
        }
    }

    #[test]
    fn what_a_component_lacks_is_named() {
        let detector = "stoker:detect/detector@0.1.1";
        let refused = world(&["stoker:detect/clock@0.1.1"], &[detector]);
        assert!(
            matches!(refused, Err(LoadError::MissingInterface { name }) if name.contains("clock"))
        );
        let refused = world(&["wasi:io/poll@0.2.6"], &[]);
        assert!(
            matches!(refused, Err(LoadError::UnknownImport { name, .. }) if name.starts_with("wasi:io"))
        );
        let refused = world(&[], &["a:b/c@1.0.0"]);
        assert!(matches!(refused, Err(LoadError::WrongWorld { found }) if found.contains("a:b/c")));
    }
}
