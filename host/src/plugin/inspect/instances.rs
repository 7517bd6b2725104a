//! Counts the instances that a component makes.

use stoker_engine::{CORE_INSTANCES, MEMORIES, TABLES};
use wasmparser::types::TypesRef;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentCanonicalSectionReader,
    ComponentExportSectionReader, ComponentExternalKind, ComponentInstance,
    ComponentInstanceSectionReader, ComponentOuterAliasKind, ComponentTypeRef, Encoding, Instance,
    InstanceSectionReader, Payload,
};

use super::super::error::LoadError;
use super::adapters::Translations;

/// Counts the instances that instantiating a component makes, and the functions that they lower. The compiler generates
/// code for each of them, and nested components that each instantiate the inner one twice double the numbers at each
/// level.
#[derive(Debug, Default)]
pub(super) struct Instances {
    /// The modules and components that are being read, outermost first.
    open: Vec<Scope>,
    translations: Translations,
    total: Total,
}

/// What the outermost component makes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Total {
    /// The instances of modules and components, and the functions that these lower.
    pub(super) made: Made,
    /// Whether components are among the instances.
    pub(super) is_composed: bool,
}

/// What one instance of a component makes, together with the components that it instantiates.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Made {
    /// The number of instances, including the instance itself.
    pub(super) instances: u64,
    /// The number of functions that are lowered for core modules. If such a function belongs to another component, the
    /// compiler generates an adapter for it.
    pub(super) lowered: u64,
    /// The bytes of memory for the translation of the values of these functions.
    pub(super) translations: u64,
    /// The number of parts of the types of components: fields, cases, parameters. The adapters share what copies them.
    pub(super) type_parts: u64,
}

impl Made {
    /// A component whose index is not known.
    const UNKNOWN: Self = Self {
        instances: u64::MAX,
        lowered: u64::MAX,
        translations: u64::MAX,
        type_parts: u64::MAX,
    };

    fn and(self, other: Self) -> Self {
        Self {
            instances: self.instances.saturating_add(other.instances),
            lowered: self.lowered.saturating_add(other.lowered),
            translations: self.translations.saturating_add(other.translations),
            type_parts: self.type_parts.saturating_add(other.type_parts),
        }
    }
}

/// A module or a component that is being read.
#[derive(Debug, Default)]
struct Scope {
    is_module: bool,
    made: Made,
    /// The same for each component that it can instantiate, by index.
    components: Vec<Made>,
}

impl Instances {
    /// Reads one part of the file. `types` are those of the module or component that the part belongs to.
    pub(super) fn add(
        &mut self,
        payload: &Payload<'_>,
        types: Option<TypesRef<'_>>,
    ) -> Result<(), LoadError> {
        match payload {
            Payload::Version { encoding, .. } => self.open.push(Scope {
                is_module: *encoding == Encoding::Module,
                made: Made {
                    instances: 1,
                    ..Made::default()
                },
                ..Scope::default()
            }),
            Payload::End(_) => self.close(),
            Payload::MemorySection(section) => {
                check_count("memories", section.count(), MEMORIES)?;
            }
            Payload::TableSection(section) => check_count("tables", section.count(), TABLES)?,
            Payload::InstanceSection(section) => self.add_instances(section)?,
            Payload::ComponentCanonicalSection(section) => self.add_lowered(section, types)?,
            Payload::ComponentTypeSection(section) => {
                // Each part of a type takes at least one byte.
                let type_parts = section.range().len() as u64;
                self.count(Made {
                    type_parts,
                    ..Made::default()
                })?;
            }
            Payload::ComponentInstanceSection(section) => self.add_component_instances(section)?,
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone().into_iter().flatten() {
                    self.alias(&alias)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                let mut imports = section.clone().into_iter().flatten();
                if imports.any(|import| matches!(import.ty, ComponentTypeRef::Component(_))) {
                    return Err(LoadError::ComponentArgument);
                }
            }
            Payload::ComponentExportSection(section) => self.add_exports(section),
            _ => {}
        }
        Ok(())
    }

    /// Counts the instances of modules.
    fn add_instances(&mut self, section: &InstanceSectionReader<'_>) -> Result<(), LoadError> {
        let made = section.clone().into_iter().flatten();
        let made = made.filter(|instance| matches!(instance, Instance::Instantiate { .. }));
        let instances = made.count() as u64;
        self.count(Made {
            instances,
            ..Made::default()
        })
    }

    /// Counts the functions that are lowered.
    fn add_lowered(
        &mut self,
        section: &ComponentCanonicalSectionReader<'_>,
        types: Option<TypesRef<'_>>,
    ) -> Result<(), LoadError> {
        for function in section.clone().into_iter().flatten() {
            let CanonicalFunction::Lower { func_index, .. } = function else {
                continue;
            };
            let translations = types.map_or(u64::MAX, |types| {
                self.translations.of_function(func_index, types)
            });
            self.count(Made {
                lowered: 1,
                translations,
                ..Made::default()
            })?;
        }
        Ok(())
    }

    /// Counts what the instances of components make.
    fn add_component_instances(
        &mut self,
        section: &ComponentInstanceSectionReader<'_>,
    ) -> Result<(), LoadError> {
        for instance in section.clone().into_iter().flatten() {
            if let ComponentInstance::Instantiate {
                component_index, ..
            } = instance
            {
                let made = self.of_component(component_index);
                self.total.is_composed = true;
                self.count(made)?;
            }
        }
        Ok(())
    }

    /// Defines the components that are exported: an export defines a new index for the exported item.
    fn add_exports(&mut self, section: &ComponentExportSectionReader<'_>) {
        for export in section.clone().into_iter().flatten() {
            if export.kind == ComponentExternalKind::Component {
                let made = self.of_component(export.index);
                self.define(made);
            }
        }
    }

    /// Whether the part that is being read belongs directly to the outermost component.
    pub(super) fn is_outermost(&self) -> bool {
        self.open.len() == 1
    }

    /// What the outermost component makes.
    pub(super) fn total(&self) -> Total {
        self.total
    }

    fn close(&mut self) {
        let Some(closed) = self.open.pop() else {
            return;
        };
        self.total.made = closed.made;
        if !closed.is_module {
            self.define(closed.made);
        }
    }

    fn define(&mut self, made: Made) {
        if let Some(scope) = self.open.last_mut() {
            scope.components.push(made);
        }
    }

    fn count(&mut self, made: Made) -> Result<(), LoadError> {
        let limit = u64::from(CORE_INSTANCES);
        if let Some(scope) = self.open.last_mut() {
            scope.made = scope.made.and(made);
            if scope.made.instances > limit {
                return Err(LoadError::TooManyInstances { limit });
            }
        }
        Ok(())
    }

    fn of_component(&self, index: u32) -> Made {
        let components = self.open.last().map(|scope| &scope.components);
        let made = components.and_then(|components| components.get(index as usize));
        made.copied().unwrap_or(Made::UNKNOWN)
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), LoadError> {
        match alias {
            ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::Component,
                count,
                index,
            } => {
                let scope = self.open.iter().rev().nth(*count as usize);
                let made = scope.and_then(|scope| scope.components.get(*index as usize));
                let made = made.copied().unwrap_or(Made::UNKNOWN);
                self.define(made);
            }
            ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::Type,
                count,
                ..
            } => {
                // It may be the largest of the types there.
                let scope = self.open.iter().rev().nth(*count as usize);
                let type_parts = scope.map_or(u64::MAX, |scope| scope.made.type_parts);
                self.count(Made {
                    type_parts,
                    ..Made::default()
                })?;
            }
            // The component depends on the instance. No tool creates such an alias.
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Component,
                ..
            } => return Err(LoadError::ComponentArgument),
            _ => {}
        }
        Ok(())
    }
}

/// Refuses a module with too many memories or tables.
fn check_count(what: &'static str, count: u32, limit: u32) -> Result<(), LoadError> {
    if count > limit {
        Err(LoadError::TooManyInModule { what, count, limit })
    } else {
        Ok(())
    }
}
