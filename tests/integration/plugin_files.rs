//! Plugin files: the accepted ones, the errors of the others, and the delay that compiling causes for other files.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use stoker::app::EXAMPLE_PLUGIN;
use stoker::metrics::Metrics;
use stoker::plugin::{Capacity, Catalog, Chain, PluginState, Sandbox, SettingsSource, Supply};
use tempfile::TempDir;
use wasm_encoder::{
    CodeSection, ComponentSection as _, Encode as _, Function, FunctionSection, Module,
    ModuleSection, TypeSection, ValType,
};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{ManglingAndAbi, Resolve};

/// A plugin of a dozen lines.
pub(crate) const DOZEN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/dozen.wasm"));
const DESCRIBE_TRAPS: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/guests/hostile-describe.wasm"));
const WIT: &str = include_str!("../../wit/v0.1.0/detect.wit");

/// Returns a component of the world in a WIT text. Each of its functions traps.
fn component(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("world.wit", wit).unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = wit_component::dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .validate(true)
        .encode()
        .unwrap()
}

/// Returns a component that exports the whole interface and has one additional import.
fn importing(import: &str, package: &str) -> Vec<u8> {
    let wit = WIT.replace(
        "  import payload;",
        &format!("  import payload;\n  import {import};"),
    );
    component(&format!("{wit}\n{package}"))
}

/// Returns the plugins of a directory, as a host loads them.
pub(crate) async fn open(directory: &TempDir) -> Arc<Chain> {
    Arc::clone(catalog(directory).await.chain())
}

pub(crate) async fn catalog(directory: &TempDir) -> Catalog {
    let sandbox = Sandbox::new(Capacity::default()).unwrap();
    let chain = Arc::new(Chain::new(sandbox.into()));
    let supplies = vec![Supply::Directory(directory.path().to_owned())];
    let metrics = Metrics::new().plugin;
    let settings = SettingsSource {
        file: Some(directory.path().join("settings.yaml")).filter(|file| file.exists()),
        ..SettingsSource::default()
    };
    Catalog::open(chain, metrics, supplies, settings)
        .await
        .unwrap()
}

async fn refusal(bytes: &[u8]) -> String {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("x.wasm"), bytes).unwrap();
    let status = open(&directory).await.status();
    let file = status.into_iter().find(|plugin| plugin.from == "x.wasm");
    match file.unwrap().state {
        PluginState::Refused { why } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_is_no_component_is_reported() {
    assert!(refusal(b"").await.contains("not a WebAssembly component"));
    assert!(refusal(b"AGFzbQ0AAQA=").await.contains("base64"));
    assert!(
        refusal(b"\0asm\x01\0\0\0")
            .await
            .contains("core WebAssembly module")
    );
    assert!(
        refusal(&EXAMPLE_PLUGIN[..EXAMPLE_PLUGIN.len() / 2])
            .await
            .contains("not a valid WebAssembly component")
    );
}

#[tokio::test]
async fn another_world_is_reported() {
    let other = component("package a:b@1.0.0; interface i { f: func(); } world w { export i; }");
    let why = refusal(&other).await;
    assert!(
        why.contains("another world") && why.contains("a:b/i@1.0.0"),
        "{why}"
    );
}

#[tokio::test]
async fn another_version_is_reported() {
    let why = refusal(&component(
        &WIT.replace("@0.1.0", "@0.2.0")
            .replace("version = 0.1.0", "version = 0.2.0"),
    ))
    .await;
    assert!(
        why.contains("version 0.2.0") && why.contains("speaks 0.1"),
        "{why}"
    );
}

/// The interface in a later version, in which an import has one more function.
fn later(added: &str) -> String {
    let wit = WIT.replace("@0.1.0", "@0.1.1");
    let get = "  get: func(key: string) -> option<string>;\n";
    assert!(wit.contains(get));
    wit.replace(get, &format!("{get}{added}"))
}

#[tokio::test]
async fn a_later_version_is_linked_where_it_needs_nothing_new() {
    // The component is linked, so the failure is in its `describe`, which traps.
    let why = refusal(&component(&later(""))).await;
    assert!(why.contains("`describe` failed"), "{why}");
}

#[tokio::test]
async fn build_metadata_does_not_make_another_version() {
    let why = refusal(&component(&WIT.replace("@0.1.0", "@0.1.0+b1"))).await;
    assert!(why.contains("`describe` failed"), "{why}");
}

#[tokio::test]
async fn an_import_of_types_alone_needs_nothing() {
    let package = "package acme:x@1.0.0 { interface types { record r { a: u32 } } }";
    let why = refusal(&importing("acme:x/types@1.0.0", package)).await;
    assert!(why.contains("`describe` failed"), "{why}");
    let package = "package acme:x@1.0.0 { interface types { resource r; } }";
    let why = refusal(&importing("acme:x/types@1.0.0", package)).await;
    assert!(why.contains("it imports acme:x/types@1.0.0"), "{why}");
}

#[tokio::test]
async fn what_a_later_version_needs_is_named() {
    let added = "  @since(version = 0.1.1)\n  names: func() -> list<string>;\n";
    let why = refusal(&component(&later(added))).await;
    assert!(
        why.contains("function names of stoker:detect/settings@0.1.1"),
        "{why}"
    );

    let wit = later("").replace("  import payload;", "  import clock;\n  import payload;");
    let wit = wit.replace(
        "/// What a component exports.",
        "@since(version = 0.1.1)\ninterface clock { now: func() -> u64; }\n\n/// What a component exports.",
    );
    let why = refusal(&component(&wit)).await;
    assert!(why.contains("stoker:detect/clock@0.1.1"), "{why}");
}

#[tokio::test]
async fn other_types_under_the_same_version_are_reported() {
    let changed = WIT.replace(
        "    name: string,\n",
        "    name: string,\n    title: string,\n",
    );
    assert_ne!(changed, WIT);
    let why = refusal(&component(&changed)).await;
    assert!(why.contains("its types are not those"), "{why}");
}

#[tokio::test]
async fn an_import_that_plugins_do_not_get_is_named() {
    let wasi = importing(
        "wasi:cli/environment@0.2.6",
        "package wasi:cli@0.2.6 { interface environment { initial-cwd: func() -> option<string>; } }",
    );
    let why = refusal(&wasi).await;
    assert!(
        why.contains("wasi:cli/environment@0.2.6") && why.contains("wasm32-unknown-unknown"),
        "{why}"
    );
}

#[tokio::test]
async fn a_trap_in_describe_is_reported() {
    assert!(refusal(&component(WIT)).await.contains("`describe` failed"));
    assert!(refusal(DESCRIBE_TRAPS).await.contains("`describe` failed"));
}

#[tokio::test]
async fn a_description_that_breaks_the_rules_is_reported_as_any_answer_that_does() {
    let name = DOZEN
        .windows(5)
        .position(|bytes| bytes == b"dozen")
        .unwrap();
    let mut latin_1 = DOZEN.to_vec();
    latin_1[name + 4] = 0xe9;
    let why = refusal(&latin_1).await;
    assert!(
        why.contains("`describe` failed") && why.contains("was refused") && why.contains("utf-8"),
        "{why}"
    );
}

/// Returns a component with one more module. The component does not use this module, but the host compiles it. The
/// module has `functions` functions, each of which makes `additions` additions to a local.
fn with_module(component: &[u8], functions: u32, additions: u32) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..functions {
        declared.function(0);
        let mut function = Function::new([(1, ValType::I32)]);
        for addition in 0..additions {
            function
                .instructions()
                .local_get(0)
                .i32_const(addition.cast_signed())
                .i32_mul()
                .local_set(0);
        }
        function.instructions().end();
        code.function(&function);
    }
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&code);
    let mut bytes = component.to_vec();
    bytes.push(ModuleSection(&module).id());
    ModuleSection(&module).encode(&mut bytes);
    bytes
}

#[tokio::test]
async fn a_file_that_takes_too_much_to_compile_is_reported() {
    // A hundred thousand functions without a body, in 400 KB, would need 600 MB.
    let why = refusal(&with_module(EXAMPLE_PLUGIN, 100_000, 0)).await;
    assert!(why.contains("compiling it would take about"), "{why}");
}

#[tokio::test]
async fn what_needs_no_compiling_does_not_wait_for_the_compiler() -> Result<()> {
    let directory = TempDir::new()?;
    let file = |name: &str| directory.path().join(name);
    std::fs::write(file("settings.yaml"), "plugins: {}")?;
    std::fs::write(file("gone.wasm"), EXAMPLE_PLUGIN)?;
    let catalog = catalog(&directory).await;
    let chain = Arc::clone(catalog.chain());
    let until = async |from: &str, is_true: &dyn Fn(Option<&PluginState>) -> bool| {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            let status = chain.status();
            let entry = status.iter().find(|plugin| plugin.from == from);
            if is_true(entry.map(|entry| &entry.state)) {
                return;
            }
            tick.tick().await;
        }
    };
    let steps = async {
        // The component has 1.5 MB and compiles for seconds.
        let part = file(".part");
        std::fs::write(&part, with_module(EXAMPLE_PLUGIN, 8000, 25))?;
        std::fs::rename(&part, file("large.wasm"))?;
        let is_loading = |state: Option<&PluginState>| state == Some(&PluginState::Loading);
        until("large.wasm", &is_loading).await;

        // A file with the same plugin name is being loaded, so this one stays until then.
        std::fs::remove_file(file("gone.wasm"))?;
        std::fs::write(&part, "plugins: {generic: {enabled: false}}")?;
        std::fs::rename(&part, file("settings.yaml"))?;
        let is_off = |state: Option<&PluginState>| state == Some(&PluginState::Disabled);
        until("built-in generic", &is_off).await;
        std::fs::write(&part, DOZEN)?;
        std::fs::rename(&part, file("small.wasm"))?;
        let is_serving = |state: Option<&PluginState>| state == Some(&PluginState::Serving);
        until("small.wasm", &is_serving).await;
        std::fs::write(&part, b"broken")?;
        std::fs::rename(&part, file("broken.wasm"))?;
        let is_refused =
            |state: Option<&PluginState>| matches!(state, Some(PluginState::Refused { .. }));
        until("broken.wasm", &is_refused).await;

        let state = |from: &str| {
            let status = chain.status();
            let plugin = status.into_iter().find(|plugin| plugin.from == from);
            plugin.map(|plugin| plugin.state)
        };
        assert_eq!(state("large.wasm"), Some(PluginState::Loading));
        assert_eq!(state("gone.wasm"), Some(PluginState::Serving));
        until("large.wasm", &is_serving).await;
        assert_eq!(state("gone.wasm"), None);
        std::fs::remove_file(file("small.wasm"))?;
        until("small.wasm", &|state| state.is_none()).await;
        anyhow::Ok(())
    };
    tokio::select! {
        () = stoker::plugin::watch(catalog) => unreachable!("it has no end"),
        done = tokio::time::timeout(Duration::from_mins(2), steps) => done?,
    }
}

#[tokio::test]
async fn a_component_that_is_too_large_is_reported() {
    let why = refusal(&vec![0; (4 << 20) + 1]).await;
    assert!(
        why.contains("4194305 bytes") && why.contains("4194304"),
        "{why}"
    );
}
