//! From bytes to a plugin: checked, compiled, linked, and asked once what it is.

use std::fmt;
use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::bindings::v0_1::{self, Detector};
use super::call::{self, CallReport, Question};
use super::descriptor::Descriptor;
use super::error::{CallError, LoadError};
use super::metrics::PluginMetrics;
use super::reply::{self, Reply};
use super::sandbox::Sandbox;

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Part of this binary.
    Builtin(&'static str),
    /// A file in a plugin directory, by its file name.
    File(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(out, "built-in {name}"),
            Self::File(name) => out.write_str(name),
        }
    }
}

/// A component that can be asked.
pub struct Plugin {
    origin: Origin,
    label: Arc<str>,
    descriptor: Descriptor,
    imports: Vec<String>,
    detector: Detector,
    calls: super::metrics::PluginCalls,
}

impl Plugin {
    /// Compiles a component, links it, and runs its `describe` once under the limits of a call.
    pub async fn load(
        sandbox: &Sandbox,
        metrics: &PluginMetrics,
        origin: Origin,
        bytes: Vec<u8>,
    ) -> Result<Self, LoadError> {
        check_size(bytes.len() as u64, sandbox.limits().component_bytes)?;
        check_header(&bytes)?;
        let engine = sandbox.engine().clone();
        // On a thread of its own: compiling takes milliseconds, and a panic in there must not end more than this.
        let (detector, imports) = tokio::task::spawn_blocking(move || link(&engine, &bytes))
            .await
            .map_err(|_| LoadError::CompilerPanic)??;
        let label: Arc<str> = origin.to_string().into();
        let raw = call::describe(sandbox, &detector, &label)
            .await
            .map_err(probe_error)?;
        let descriptor = Descriptor::try_from(raw)?;
        let calls = metrics.calls(&origin);
        Ok(Self {
            origin,
            label,
            descriptor,
            imports,
            detector,
            calls,
        })
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What it says of itself.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The world that it targets.
    #[must_use]
    pub fn world(&self) -> &'static str {
        v0_1::WORLD
    }

    /// The interfaces of the host that it uses, by their full names.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Whether its pre-filter lets the question through.
    #[must_use]
    pub fn wants(&self, question: &Question) -> bool {
        let Descriptor {
            headers, pointers, ..
        } = &self.descriptor;
        (headers.is_empty() && pointers.is_empty())
            || headers
                .iter()
                .any(|name| question.headers().contains_key(name))
            || pointers
                .iter()
                .any(|pointer| question.document().has(pointer))
    }

    /// Asks a fresh instance, whatever the pre-filter says.
    pub async fn ask(
        &self,
        sandbox: &Sandbox,
        question: &Arc<Question>,
    ) -> (Result<Reply, CallError>, CallReport) {
        let (said, report) = call::detect(sandbox, &self.detector, &self.label, question).await;
        let reply = said.and_then(|raw| reply::check(raw, sandbox.limits()));
        self.calls.record(&reply, report.duration);
        (reply, report)
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Plugin")
            .field("origin", &self.origin)
            .field("descriptor", &self.descriptor)
            .finish_non_exhaustive()
    }
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

fn link(engine: &wasmtime::Engine, bytes: &[u8]) -> Result<(Detector, Vec<String>), LoadError> {
    let component = Component::from_binary(engine, bytes).map_err(LoadError::Invalid)?;
    let imports = check_world(engine, &component)?;
    let detector = Detector::link(engine, &component).map_err(LoadError::WrongTypes)?;
    Ok((detector, imports))
}

/// Tells by names what does not fit, since the linker's own words are about instances and types. Gives the interfaces
/// that the component imports.
fn check_world(engine: &wasmtime::Engine, component: &Component) -> Result<Vec<String>, LoadError> {
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
        "; plugins have no WASI: build Rust for wasm32-unknown-unknown, JavaScript with every WASI feature off, Python with --stub-wasi"
    } else if import.starts_with("stoker:detect/") {
        "; build it with the WIT of this version"
    } else {
        ""
    }
}

/// The types of exports are compared only when an instance is made, so a mismatch shows in the first call.
fn probe_error(error: CallError) -> LoadError {
    match error {
        CallError::Refused(source) => LoadError::WrongTypes(source),
        other => LoadError::Describe(other),
    }
}
