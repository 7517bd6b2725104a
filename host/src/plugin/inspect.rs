//! Inspects a file without compiling it.
//!
//! The compiler can be interrupted neither when it takes too long nor when it takes too much memory. Therefore a file
//! is refused here first if its bytes show that it is unusable: if it is not a component (`file_kind`), targets another
//! world (`world`), makes too many instances (`instances`), or would take too much time or memory to compile (`cost`).

mod adapters;
mod cost;
mod file_kind;
mod instances;
mod world;

use wasmparser::{Parser, ValidPayload, Validator};

pub(super) use self::cost::CompileCost;
use self::cost::CostModel;
use self::instances::Instances;
use self::world::World;
use super::error::LoadError;

/// The result of inspecting a component that may be compiled.
#[derive(Debug, Clone)]
pub(super) struct Inspected {
    /// The cost of compiling it.
    pub(super) cost: CompileCost,
    /// The interfaces of the host that it imports, by their full names.
    pub(super) imports: Vec<String>,
}

/// Validates a file and refuses it if it cannot be a plugin. This takes time and memory in proportion to the size of
/// the file.
pub(super) fn inspect(bytes: &[u8]) -> Result<Inspected, LoadError> {
    file_kind::check_header(bytes)?;
    let mut validator = Validator::new();
    let mut world = World::default();
    let mut instances = Instances::default();
    let mut cost = CostModel::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let invalid = |error| file_kind::invalid(bytes, error);
        let payload = payload.map_err(invalid)?;
        match validator.payload(&payload).map_err(invalid)? {
            ValidPayload::Func(function, body) => {
                cost.add_function(function, &body).map_err(invalid)?;
            }
            ValidPayload::Ok | ValidPayload::Parser(_) | ValidPayload::End(_) => {}
        }
        cost.add_section(&payload)?;
        let types = validator.types(0);
        instances.add(&payload, types)?;
        if instances.is_outermost() {
            world.add(&payload, types);
        }
    }
    let imports = world.check()?;
    let cost = cost.total(bytes.len(), instances.total());
    cost.check()?;
    Ok(Inspected { cost, imports })
}
