use stoker_engine::CORE_INSTANCES;
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, Instance, Payload,
};

use super::super::error::LoadError;

/// Counts the instances that instantiating a component makes. The compiler generates code for each of them, and nested
/// components that each instantiate the inner one twice double the number at each level.
#[derive(Debug, Default)]
pub(super) struct Instances {
    /// The modules and components that are being read, outermost first.
    open: Vec<Scope>,
    total: Total,
}

/// The instances that the outermost component makes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Total {
    /// The number of instances, including the component itself.
    pub(super) count: u64,
    /// Whether components are among them.
    pub(super) is_composed: bool,
}

/// A module or a component that is being read.
#[derive(Debug, Default)]
struct Scope {
    is_module: bool,
    /// The number of instances that one instance of this component makes, including itself.
    instances: u64,
    /// The same number for each component that it can instantiate, by index.
    components: Vec<u64>,
}

impl Instances {
    /// Reads one part of the file.
    pub(super) fn add(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::Version { encoding, .. } => self.open.push(Scope {
                is_module: *encoding == Encoding::Module,
                instances: 1,
                ..Scope::default()
            }),
            Payload::End(_) => self.close(),
            Payload::InstanceSection(section) => {
                let made = section.clone().into_iter().flatten();
                let made = made.filter(|instance| matches!(instance, Instance::Instantiate { .. }));
                self.count(made.count() as u64)?;
            }
            Payload::ComponentInstanceSection(section) => {
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
            }
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
            Payload::ComponentExportSection(section) => {
                // An export defines a new index for the exported item.
                for export in section.clone().into_iter().flatten() {
                    if export.kind == ComponentExternalKind::Component {
                        let made = self.of_component(export.index);
                        self.define(made);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the part that is being read belongs directly to the outermost component.
    pub(super) fn is_outermost(&self) -> bool {
        self.open.len() == 1
    }

    /// The instances that the outermost component makes.
    pub(super) fn total(&self) -> Total {
        self.total
    }

    fn close(&mut self) {
        let Some(closed) = self.open.pop() else {
            return;
        };
        self.total.count = closed.instances;
        if !closed.is_module {
            self.define(closed.instances);
        }
    }

    fn define(&mut self, instances: u64) {
        if let Some(scope) = self.open.last_mut() {
            scope.components.push(instances);
        }
    }

    fn count(&mut self, made: u64) -> Result<(), LoadError> {
        let limit = u64::from(CORE_INSTANCES);
        if let Some(scope) = self.open.last_mut() {
            scope.instances = scope.instances.saturating_add(made);
            if scope.instances > limit {
                return Err(LoadError::TooManyInstances { limit });
            }
        }
        Ok(())
    }

    fn of_component(&self, index: u32) -> u64 {
        let components = self.open.last().map(|scope| &scope.components);
        let instances = components.and_then(|components| components.get(index as usize));
        instances.copied().unwrap_or(u64::MAX)
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
                let made = made.copied().unwrap_or(u64::MAX);
                self.define(made);
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
