//! Builds the plugins that are part of the binary, and compiles them to machine code.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use stoker_engine::Allocation;
use stoker_guest_build::{Guests, workspace_of};
use wasmtime::Engine;

/// The plugins, in the order in which they are called. `gitea` is before `github`, because Gitea also sends the headers
/// of GitHub. `generic` is last, because many senders have a top-level `ref` with another meaning.
const BUILT_IN: [&str; 11] = [
    "gitea",
    "github",
    "gitlab",
    "bitbucket",
    "azure-devops",
    "codecommit",
    "registry",
    "cloudevents",
    "argocd",
    "kargo",
    "generic",
];
/// The plugin that `stoker demo` adds while it runs.
const EXAMPLE: &str = "shipit";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    // Read at run time: the script may have been compiled for a checkout that has moved since.
    let workspace = workspace_of(&directory("CARGO_MANIFEST_DIR"));
    let out = directory("OUT_DIR");
    let example = env::var_os("CARGO_FEATURE_EXAMPLE").map(|_| EXAMPLE);
    let names = BUILT_IN.iter().copied().chain(example);
    let packages: Vec<_> = names.map(|name| format!("stoker-plugin-{name}")).collect();
    let packages: Vec<_> = packages.iter().map(String::as_str).collect();
    let guests = Guests {
        workspace: &workspace,
        packages: &packages,
        out: &out,
    };
    guests.build().map_err(|error| error.to_string())?;
    let engine = engine()?;
    let mut table = String::from("[\n");
    for name in BUILT_IN {
        let component = out.join(format!("{name}.wasm"));
        let code = out.join(format!("{name}.cwasm"));
        compile(engine.as_ref(), &component, &code)?;
        // Writing to a string does not fail.
        writeln!(
            table,
            "Builtin {{ name: {name:?}, component: {}, code: {} }},",
            include(name, "wasm"),
            include(name, "cwasm")
        )
        .ok();
    }
    table.push(']');
    write(&out.join("table.rs"), table.as_bytes())
}

/// Returns the expression for the bytes of an output file. It contains no path, so a moved checkout stays valid.
fn include(name: &str, extension: &str) -> String {
    format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.{extension}\"))")
}

/// Returns the engine that compiles for the target, with the instructions that every processor of its architecture has.
/// Returns `None` if this build has no compiler for the target.
fn engine() -> Result<Option<Engine>, String> {
    let of = |name: &str| env::var(name).unwrap_or_default();
    let is_cross = of("CARGO_CFG_TARGET_ARCH") != env::consts::ARCH;
    if is_cross && env::var_os("CARGO_FEATURE_CROSS").is_none() {
        println!(
            "cargo::warning=the built-in plugins are compiled at each start, because the feature `cross` is off"
        );
        return Ok(None);
    }
    // The number of instances does not change the code.
    let mut config = stoker_engine::config(Allocation::Pooled { instances: 1 });
    let engine = config
        .target(&of("TARGET"))
        .and_then(|config| Engine::new(config));
    engine
        .map(Some)
        .map_err(|error| format!("cannot compile for {}: {error:#}", of("TARGET")))
}

fn compile(engine: Option<&Engine>, component: &Path, code: &Path) -> Result<(), String> {
    let bytes = std::fs::read(component).map_err(|error| failure(component, &error))?;
    let compiled = match engine {
        Some(engine) => engine
            .precompile_component(&bytes)
            .map_err(|error| failure(component, &format!("{error:#}")))?,
        None => Vec::new(),
    };
    write(code, &compiled)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| failure(path, &error))
}

fn failure(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn directory(variable: &str) -> PathBuf {
    env::var_os(variable).map(PathBuf::from).unwrap_or_default()
}
