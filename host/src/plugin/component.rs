//! From bytes to a linked component: what is wrong with one is told by names, before the engine tells it in types.

use std::sync::Arc;

use tokio::sync::oneshot;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::background;
use super::bindings::v0_1::{self, Detector};
use super::error::LoadError;
use super::reply;
use super::sandbox::Sandbox;

/// A component that was compiled and linked.
pub(super) struct Linked {
    pub(super) detector: Detector,
    /// The interfaces of the host that it uses, by their full names.
    pub(super) imports: Arc<[String]>,
}

/// Compiles and links a component, on a thread of its own: that takes milliseconds to seconds, and a panic in there
/// must not end more than this.
pub(super) async fn link(sandbox: &Sandbox, bytes: Vec<u8>) -> Result<Linked, LoadError> {
    check_header(&bytes)?;
    let engine = sandbox.engine().clone();
    let compiler = Arc::clone(sandbox.compiler());
    let limit = sandbox.capacity().compile_time;
    // Before the time is taken: to wait for another's end is not its fault.
    let turn = compiler.acquire_owned().await;
    // A compilation cannot be interrupted. One that takes too long is not waited for, but the next one waits for its
    // end, so that there is never more than one.
    let (sender, linked) = oneshot::channel();
    let compile = move || {
        let _turn = turn;
        // Nobody listens any more where it took too long.
        let (Ok(()) | Err(_)) = sender.send(background::in_parallel(|| link_now(&engine, &bytes)));
    };
    background::spawn("plugin-compiler", compile)?;
    tokio::time::timeout(limit, linked)
        .await
        .map_err(|_| LoadError::CompileTimedOut { limit })?
        .map_err(|_| LoadError::CompilerPanic)?
}

/// Refuses a component over the limit, before it is read where its size is known.
pub(super) fn check_size(bytes: u64, limit: u64) -> Result<(), LoadError> {
    if bytes > limit {
        Err(LoadError::TooLarge { bytes, limit })
    } else {
        Ok(())
    }
}

/// Tells what is not a component at all, in plainer words than the compiler has. The first eight bytes are the magic
/// number, a version, and a layer: 0 for a core module, 1 for a component (component model, binary format).
fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => Err(LoadError::CoreModule),
        _ => Err(LoadError::NotWasm),
    }
}

fn link_now(engine: &Engine, bytes: &[u8]) -> Result<Linked, LoadError> {
    let component = Component::from_binary(engine, bytes).map_err(LoadError::Invalid)?;
    let imports = check_world(engine, &component)?;
    let detector = Detector::link(engine, &component).map_err(LoadError::WrongTypes)?;
    Ok(Linked {
        detector,
        imports: imports.into(),
    })
}

/// Tells by names what does not fit, since the linker's own words are about instances and types. Gives the interfaces
/// that the component imports.
fn check_world(engine: &Engine, component: &Component) -> Result<Vec<String>, LoadError> {
    let world = component.component_type();
    let mut exports = world
        .exports(engine)
        .map(|(name, _)| name.to_owned())
        .collect::<Vec<_>>();
    if !exports.iter().any(|name| name == v0_1::DETECTOR) {
        let other = exports
            .iter()
            .find_map(|name| name.strip_prefix("stoker:detect/detector@"));
        if let Some(version) = other {
            return Err(LoadError::WrongVersion {
                version: reply::printable(version, 32),
            });
        }
        exports.truncate(8);
        let found = if exports.is_empty() {
            "nothing".to_owned()
        } else {
            exports.join(", ")
        };
        return Err(LoadError::WrongWorld {
            found: reply::printable(&found, 512),
        });
    }
    let mut imports = Vec::new();
    for (name, item) in world.imports(engine) {
        // A component may import types by themselves; only instances, functions and modules give it anything.
        if matches!(item.ty, ComponentItem::Type(_)) {
            continue;
        }
        if is_offered(name) {
            imports.push(name.to_owned());
            continue;
        }
        return Err(LoadError::UnknownImport {
            name: reply::printable(name, 128),
            hint: import_hint(name),
        });
    }
    Ok(imports)
}

fn is_offered(import: &str) -> bool {
    let interface = import
        .split_once('@')
        .map_or(import, |(interface, _)| interface);
    matches!(
        interface,
        "stoker:detect/payload" | "stoker:detect/settings" | "stoker:detect/diagnostics"
    )
}

fn import_hint(import: &str) -> &'static str {
    if import.starts_with("wasi:") {
        "; plugins have no WASI, which the standard library of most languages asks for: build Rust for wasm32-unknown-unknown, C for wasm32-freestanding, JavaScript with every WASI feature off, Python with --stub-wasi, and make the component with `stoker plugin build`"
    } else if import.starts_with("stoker:detect/") {
        "; build it with the WIT of this version"
    } else {
        ""
    }
}
