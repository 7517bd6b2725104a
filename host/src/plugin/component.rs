//! Compiles and links components.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::background;
use super::bindings::v0_1::{self, Detector};
use super::error::LoadError;
use super::inspect::{CompileCost, Inspected, inspect};
use super::sandbox::Sandbox;

/// Bytes that the rest of the process may take during a compilation.
const RESERVE: u64 = 8 << 20;

/// A component that was compiled and linked.
pub(super) struct Linked {
    pub(super) detector: Detector,
    /// The interfaces of the host that it imports, by their full names.
    pub(super) imports: Arc<[String]>,
    /// The number of slots that an instance takes in the pool of instances.
    pub(super) slots: u32,
}

/// Refuses a component over the limit. If the size is known, this is checked before the component is read.
pub(super) fn check_size(bytes: u64, limit: u64) -> Result<(), LoadError> {
    if bytes > limit {
        Err(LoadError::TooLarge { bytes, limit })
    } else {
        Ok(())
    }
}

/// Inspects, compiles and links a component. `label` names it in the log.
pub(super) async fn link(
    sandbox: &Sandbox,
    label: &str,
    bytes: Vec<u8>,
) -> Result<Linked, LoadError> {
    let inspecting = move || inspect(&bytes).map(|inspected| (inspected, bytes));
    let inspected = tokio::task::spawn_blocking(inspecting).await;
    let (inspected, bytes) = inspected.map_err(std::io::Error::from)??;
    let turn = turn(sandbox, &inspected.cost).await;
    compile(sandbox, label, inspected, bytes, turn).await
}

/// Waits until the component may be compiled. A small component does not wait for a large one.
pub(super) async fn turn(sandbox: &Sandbox, cost: &CompileCost) -> Option<OwnedSemaphorePermit> {
    let compilers = sandbox.compilers();
    let queue: &Arc<Semaphore> = if cost.is_small() {
        &compilers.small
    } else {
        &compilers.large
    };
    // The semaphores are never closed.
    Arc::clone(queue).acquire_owned().await.ok()
}

/// Compiles and links an inspected component, on a separate thread. This takes milliseconds to seconds, and a panic
/// must end only this compilation.
pub(super) async fn compile(
    sandbox: &Sandbox,
    label: &str,
    inspected: Inspected,
    bytes: Vec<u8>,
    turn: Option<OwnedSemaphorePermit>,
) -> Result<Linked, LoadError> {
    let Inspected { cost, imports } = inspected;
    let left = stoker_process::memory_left();
    let available = left.map_or(u64::MAX, |left| left.saturating_sub(RESERVE));
    let threads = cost.threads(available, background::threads());
    let needed_mib = cost.memory(1) >> 20;
    let Some(threads) = threads else {
        return Err(LoadError::NoMemory {
            needed_mib,
            available_mib: available >> 20,
        });
    };
    // This is logged before the compiler runs. If the compiler ends the process after all, this is the last line of the
    // log.
    tracing::info!(
        plugin.file = label,
        bytes = bytes.len(),
        estimated_memory_mib = needed_mib,
        threads,
        "compiling plugin"
    );
    let engine = sandbox.engine().clone();
    let limit = sandbox.capacity().compile_time;
    // A compilation cannot be interrupted. If it takes too long, its caller stops waiting, but the next compilation
    // waits for its end, so that two never run at once.
    let (sender, linked) = oneshot::channel();
    let work = move || {
        let _turn = turn;
        let compiled = background::in_parallel(threads, || link_now(&engine, &bytes, imports));
        // The receiver is gone if the compilation took too long.
        let (Ok(()) | Err(_)) = sender.send(compiled);
    };
    let nice = sandbox.capacity().compiler_nice;
    background::spawn("plugin-compiler", nice, work).map_err(LoadError::NoThread)?;
    tokio::time::timeout(limit, linked)
        .await
        .map_err(|_| LoadError::CompileTimedOut { limit })?
        .map_err(|_| LoadError::CompilerPanic)?
}

fn link_now(engine: &Engine, bytes: &[u8], imports: Vec<String>) -> Result<Linked, LoadError> {
    let component = Component::from_binary(engine, bytes).map_err(|error| {
        if is_about_address_space(&error) {
            LoadError::NoAddressSpace(error)
        } else {
            LoadError::Unsupported(error)
        }
    })?;
    link_component(engine, &component, imports)
}

/// Links a component that was compiled when this program was built.
pub(super) fn link_compiled(engine: &Engine, component: &Component) -> Result<Linked, LoadError> {
    let types = component.component_type();
    let imports = types.imports(engine).map(|(name, _)| name.to_owned());
    link_component(engine, component, imports.collect())
}

fn link_component(
    engine: &Engine,
    component: &Component,
    imports: Vec<String>,
) -> Result<Linked, LoadError> {
    check_functions(engine, component)?;
    let detector = Detector::link(engine, component).map_err(LoadError::WrongTypes)?;
    Ok(Linked {
        detector,
        imports: imports.into(),
        slots: slots(component),
    })
}

/// Whether the operating system refused a mapping.
pub(super) fn is_about_address_space(error: &wasmtime::Error) -> bool {
    let is_memory = |error: &std::io::Error| error.kind() == std::io::ErrorKind::OutOfMemory;
    error
        .chain()
        .any(|cause| cause.downcast_ref().is_some_and(is_memory))
        || format!("{error:#}").contains("Cannot allocate memory")
}

/// The number of slots that an instance takes in the pool. A slot is a memory and two tables. Nearly every component
/// takes one slot. A composed component takes several.
fn slots(component: &Component) -> u32 {
    let required = component.resources_required();
    required.map_or(1, |required| {
        required
            .num_memories
            .max(required.num_tables.div_ceil(2))
            .max(1)
    })
}

/// Names a function that a component imports and this host does not have. The linker's own message is about instances
/// and types.
fn check_functions(engine: &Engine, component: &Component) -> Result<(), LoadError> {
    for (interface, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        let name = interface
            .split_once('@')
            .map_or(interface, |(name, _)| name);
        let offered = v0_1::IMPORTS
            .iter()
            .find(|(offered, _)| name.strip_prefix("stoker:detect/") == Some(*offered));
        let Some((_, functions)) = offered else {
            continue;
        };
        for (function, item) in instance.exports(engine) {
            let is_function = matches!(item.ty, ComponentItem::ComponentFunc(_));
            if is_function && !functions.contains(&function) {
                return Err(LoadError::MissingFunction {
                    function: super::reply::printable(function, 128),
                    interface: super::reply::printable(interface, 128),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::limits::Capacity;
    use super::*;

    /// A component that passes a text to another component. The code between them copies the text from one memory to
    /// the other.
    const COMPOSED: &str = r#"(component
        (component $callee
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 8)
                (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "text" string) (canon lift
                (core func $i "f")
                (memory (core memory $i "memory"))
                (realloc (core func $i "realloc")))))
        (component $caller
            (import "f" (func $f (param "text" string)))
            (core module $memory (memory (export "memory") 1))
            (core instance $i (instantiate $memory))
            (core func $lowered (canon lower (func $f) (memory (core memory $i "memory"))))
            (core module $m (import "" "f" (func (param i32 i32))))
            (core instance (instantiate $m (with "" (instance (export "f" (func $lowered)))))))
        (instance $a (instantiate $callee))
        (instance (instantiate $caller (with "f" (func $a "f")))))"#;

    #[tokio::test]
    async fn a_component_of_components_is_compiled_and_takes_a_place_for_each_memory() {
        let bytes = wat::parse_str(COMPOSED).unwrap();
        let sandbox = Sandbox::new(Capacity::default()).unwrap();
        let component = Component::from_binary(sandbox.engine(), &bytes).unwrap();
        assert_eq!(slots(&component), 2);
    }

    #[tokio::test]
    async fn a_module_may_have_several_memories_and_large_tables() {
        let text = r"(component (core module $m
            (memory 1) (memory 1) (memory 1) (table 13166 funcref) (table 1 funcref))
            (core instance (instantiate $m)))";
        let sandbox = Sandbox::new(Capacity::default()).unwrap();
        let bytes = wat::parse_str(text).unwrap();
        let component = Component::from_binary(sandbox.engine(), &bytes).unwrap();
        assert_eq!(slots(&component), 3);
        let store = &mut wasmtime::Store::new(sandbox.engine(), ());
        let linker = wasmtime::component::Linker::new(sandbox.engine());
        assert!(linker.instantiate_async(store, &component).await.is_ok());
    }

    #[test]
    fn a_module_with_too_many_memories_is_refused_in_words() {
        let memories = "(memory 1)".repeat(9);
        let bytes = wat::parse_str(format!("(component (core module {memories}))")).unwrap();
        let why = inspect(&bytes).unwrap_err().to_string();
        assert!(why.contains("9 memories, more than the 8"), "{why}");
    }
}
