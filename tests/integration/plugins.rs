//! Drop-in plugins: which files are accepted, how the others are refused, and what a change does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use stoker::app::EXAMPLE_PLUGIN;
use stoker::metrics::Metrics;
use stoker::plugin::{
    Bundles, Capacity, Catalog, Detector, PluginState, Sandbox, SettingsSource, Supply,
};
use stoker_tests::Stage;
use tempfile::TempDir;
use tokio::sync::watch;
use wasm_encoder::{
    CodeSection, ComponentSection as _, Encode as _, Function, FunctionSection, Module,
    ModuleSection, TypeSection, ValType,
};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{ManglingAndAbi, Resolve};

const DESCRIBE_TRAPS: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/guests/hostile-describe.wasm"));
const DOZEN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/dozen.wasm"));
const DOZEN_STD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/dozen-std.wasm"));
const UNFILTERED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/unfiltered.wasm"));
const WIT: &str = include_str!("../../wit/v0.1.0/detect.wit");

/// A component of any world; each of its functions traps.
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

/// A component that exports the whole interface and imports one thing more.
fn importing(import: &str, package: &str) -> Vec<u8> {
    let wit = WIT.replace(
        "  import payload;",
        &format!("  import payload;\n  import {import};"),
    );
    component(&format!("{wit}\n{package}"))
}

/// The plugins of a directory, as a host would have them.
async fn open(directory: &TempDir) -> Arc<Detector> {
    Arc::clone(catalog(directory).await.detector())
}

async fn catalog(directory: &TempDir) -> Catalog {
    let sandbox = Sandbox::new(Capacity::default()).unwrap();
    let detector = Arc::new(Detector::new(sandbox.into()));
    let supplies = vec![Supply::Directory(directory.path().to_owned())];
    let metrics = Metrics::new().plugin;
    let settings = SettingsSource {
        file: Some(directory.path().join("settings.yaml")).filter(|file| file.exists()),
        ..SettingsSource::default()
    };
    Catalog::open(detector, metrics, supplies, settings)
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

/// The interface in a later version, with a function that was added to an import.
fn later(added: &str) -> String {
    let wit = WIT.replace("@0.1.0", "@0.1.1");
    let get = "  get: func(key: string) -> option<string>;\n";
    assert!(wit.contains(get));
    wit.replace(get, &format!("{get}{added}"))
}

#[tokio::test]
async fn a_later_version_is_linked_where_it_needs_nothing_new() {
    // It is linked, so what fails is its `describe`, which traps.
    let why = refusal(&component(&later(""))).await;
    assert!(why.contains("`describe` failed"), "{why}");
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

/// A component with one more module, which it does not use and which is compiled all the same: so many functions, each
/// of which adds to a local so often.
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
    // A hundred thousand functions without a body, in 400 KB, would take 600 MB.
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
    let detector = Arc::clone(catalog.detector());
    let until = async |from: &str, is_true: &dyn Fn(Option<&PluginState>) -> bool| {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            let status = detector.status();
            let entry = status.iter().find(|plugin| plugin.from == from);
            if is_true(entry.map(|entry| &entry.state)) {
                return;
            }
            tick.tick().await;
        }
    };
    let steps = async {
        // 1.5 MB: it compiles for seconds.
        let part = file(".part");
        std::fs::write(&part, with_module(EXAMPLE_PLUGIN, 8000, 25))?;
        std::fs::rename(&part, file("large.wasm"))?;
        let is_loading = |state: Option<&PluginState>| state == Some(&PluginState::Loading);
        until("large.wasm", &is_loading).await;

        std::fs::remove_file(file("gone.wasm"))?;
        until("gone.wasm", &|state| state.is_none()).await;
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

        let large = detector
            .status()
            .into_iter()
            .find(|plugin| plugin.from == "large.wasm");
        assert_eq!(large.map(|plugin| plugin.state), Some(PluginState::Loading));
        until("large.wasm", &is_serving).await;
        anyhow::Ok(())
    };
    tokio::select! {
        () = stoker::plugin::watch(catalog) => unreachable!("it has no end"),
        done = tokio::time::timeout(Duration::from_mins(2), steps) => done?,
    }
}

#[tokio::test]
async fn a_plugin_without_a_pre_filter_that_fails_costs_no_other_sender_anything() -> Result<()> {
    let mut stage = Stage::set().await?;
    std::fs::write(stage.plugins.path().join("a.wasm"), UNFILTERED)?;
    let settings = stage.plugins.path().join("settings.yaml");
    std::fs::write(&settings, "plugins: {a: {settings: {fails: always}}}")?;
    stage.settings = Some(settings.clone());
    stage.create(json!({})).await?;
    stage.start_signed().await?;
    let failures = || {
        let text = stage.metrics().unwrap();
        let line = "stoker_plugin_calls_total{plugin=\"a.wasm\",outcome=\"trap\"} ";
        let count = text.lines().find_map(|text| text.strip_prefix(line));
        count.map_or(0, |count| count.parse::<u32>().unwrap())
    };
    // The first delivery finds out that it fails, and `generic` takes it. After that the plugin is asked last.
    for _ in 0..8 {
        assert_eq!(stage.send_json(&json!({"ref": "main"})).await?.status, 202);
    }
    assert_eq!(failures(), 1);
    // What no other plugin claims may be its own.
    let own = json!({"unfiltered": "main"});
    for _ in 1..5 {
        assert_eq!(stage.send_json(&own).await?.status, 500);
    }
    assert_eq!(stage.send_json(&own).await?.status, 503);
    assert_eq!(stage.send_json(&json!({"ref": "main"})).await?.status, 202);
    assert_eq!(failures(), 5);

    std::fs::write(&settings, "plugins: {}")?;
    let is_serving = |state: &PluginState| *state == PluginState::Serving;
    stage.until_state("a.wasm", is_serving).await?;
    assert_eq!(stage.send_json(&own).await?.body["plugin"], "unfiltered");
    Ok(())
}

#[test]
fn a_plugin_of_a_dozen_lines_is_small() {
    for (bytes, limit) in [(DOZEN, 8 << 10), (DOZEN_STD, 15 << 10)] {
        assert!(bytes.len() <= limit, "{} of {limit} bytes", bytes.len());
    }
}

#[tokio::test]
async fn a_plugin_of_a_dozen_lines_serves() -> Result<()> {
    let stage = Stage::with_host().await?;
    stage.git.tag("v4").await?;
    let body = json!({"acme": {"tag": "v4"}});
    for (name, bytes) in [("dozen", DOZEN), ("dozen-std", DOZEN_STD)] {
        let file = stage.plugins.path().join("acme.wasm");
        std::fs::write(&file, bytes)?;
        stage.until_plugin(name, "acme.wasm").await?;
        let answer = stage.send_json(&body).await?;
        assert_eq!(answer.body["plugin"].as_str(), Some(name), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_component_that_is_too_large_is_reported() {
    let why = refusal(&vec![0; (4 << 20) + 1]).await;
    assert!(
        why.contains("4194305 bytes") && why.contains("4194304"),
        "{why}"
    );
}

#[tokio::test]
async fn of_two_files_with_one_name_the_first_serves() -> Result<()> {
    let directory = TempDir::new()?;
    std::fs::write(directory.path().join("a.wasm"), EXAMPLE_PLUGIN)?;
    std::fs::write(directory.path().join("b.wasm"), EXAMPLE_PLUGIN)?;
    std::fs::write(directory.path().join("c.txt"), b"not a plugin")?;
    std::fs::write(directory.path().join("..hidden.wasm"), b"not a plugin")?;
    let detector = open(&directory).await;
    let status = detector.status();
    let state = |from: &str| {
        status
            .iter()
            .find(|plugin| plugin.from == from)
            .unwrap()
            .state
            .clone()
    };
    assert_eq!(state("a.wasm"), PluginState::Serving);
    assert!(matches!(state("b.wasm"), PluginState::Refused { why } if why.contains("a.wasm")));
    let names: Vec<_> = detector
        .plugins()
        .iter()
        .map(|plugin| plugin.descriptor().name.clone())
        .collect();
    assert_eq!(
        names,
        [
            "shipit",
            "gitea",
            "github",
            "gitlab",
            "bitbucket",
            "azure-devops",
            "registry",
            "cloudevents",
            "argocd",
            "kargo",
            "generic"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_format_is_rejected_before_and_accepted_after_its_plugin_is_dropped_in() -> Result<()> {
    let stage = Stage::with_host().await?;
    let commit = stage.git.commit("main", "A release").await?;
    stage.git.tag("v3").await?;
    let body = json!({"shipit": {"pipeline": "plant", "at": "2026-03-02T09:00:00Z", "promoted": {
        "version": "v3", "revision": commit.as_str(), "repository": "demo/plant"}}});
    assert_eq!(stage.send_json(&body).await?.status, 400);
    std::fs::write(stage.plugins.path().join("shipit.wasm"), EXAMPLE_PLUGIN)?;
    stage.until_plugin("shipit", "shipit.wasm").await?;
    let answer = stage.send_json(&body).await?;
    assert_eq!(
        (answer.status, answer.body["plugin"].as_str()),
        (202, Some("shipit")),
        "{answer:?}"
    );
    stage.until_resolved(commit.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn a_mounted_config_map_is_followed_through_its_links() -> Result<()> {
    // As kubelet lays it out: files are links through `..data`, which is swapped for a new version.
    let stage = Stage::with_host().await?;
    let root = stage.plugins.path();
    let version = |name: &str| {
        let folder = root.join(name);
        std::fs::create_dir(&folder)?;
        std::fs::write(folder.join("site.wasm"), EXAMPLE_PLUGIN)
    };
    version("..2026_01")?;
    std::os::unix::fs::symlink("..2026_01", root.join("..data"))?;
    std::os::unix::fs::symlink("..data/site.wasm", root.join("site.wasm"))?;
    stage.until_plugin("shipit", "site.wasm").await?;

    std::fs::create_dir(root.join("..2026_02"))?;
    std::fs::write(root.join("..2026_02/site.wasm"), b"broken")?;
    std::os::unix::fs::symlink("..2026_02", root.join("..data_tmp"))?;
    std::fs::rename(root.join("..data_tmp"), root.join("..data"))?;
    // A file whose new version cannot be used keeps the one before.
    let is_previous = |state: &PluginState| matches!(state, PluginState::ServingPrevious { .. });
    stage.until_state("site.wasm", is_previous).await?;
    stage.until_plugin("shipit", "site.wasm").await?;
    Ok(())
}

#[tokio::test]
async fn plugins_are_not_all_known_before_their_supply_is() -> Result<()> {
    let (sender, supply) = watch::channel(None);
    let sandbox = Sandbox::new(Capacity::default())?;
    let detector = Arc::new(Detector::new(sandbox.into()));
    let settings = SettingsSource::default();
    let mut catalog = Catalog::open(
        Arc::clone(&detector),
        Metrics::new().plugin,
        vec![Supply::Bundles(supply)],
        settings,
    )
    .await?;
    assert!(!detector.is_complete());
    sender.send_replace(Some(Bundles::default()));
    catalog.rescan().await;
    assert!(detector.is_complete());
    Ok(())
}

#[tokio::test]
async fn a_file_that_came_before_the_watch_is_taken() -> Result<()> {
    let directory = TempDir::new()?;
    let catalog = catalog(&directory).await;
    std::fs::write(directory.path().join("shipit.wasm"), EXAMPLE_PLUGIN)?;
    let detector = Arc::clone(catalog.detector());
    let taken = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while detector
            .status()
            .iter()
            .all(|file| file.from != "shipit.wasm")
        {
            tick.tick().await;
        }
    };
    tokio::select! {
        () = stoker::plugin::watch(catalog) => unreachable!("it has no end"),
        // Sooner than the periodic scan.
        waited = tokio::time::timeout(Duration::from_secs(20), taken) => Ok(waited?),
    }
}

#[tokio::test]
async fn no_webhook_fails_while_its_plugin_is_replaced() -> Result<()> {
    let stage = Stage::with_host().await?;
    let commit = stage.git.tag("v3").await?;
    let file = stage.plugins.path().join("shipit.wasm");
    std::fs::write(&file, EXAMPLE_PLUGIN)?;
    stage.until_plugin("shipit", "shipit.wasm").await?;
    let body = json!({"shipit": {"promoted": {"version": "v3", "repository": "demo/plant"}}});
    let replaced = async {
        for number in 0..30_u8 {
            // One more custom section: another file, and the same plugin. Between two, one that cannot be used.
            let part = stage.plugins.path().join(".part");
            let section = [0, 3, 1, b'v', number];
            std::fs::write(&part, [EXAMPLE_PLUGIN, &section].concat())?;
            std::fs::rename(&part, &file)?;
            let digest = hex::encode(Sha256::digest(std::fs::read(&file)?));
            stage.until_digest("shipit.wasm", &digest).await?;
            std::fs::write(&part, [EXAMPLE_PLUGIN, &[0, 200]].concat())?;
            std::fs::rename(&part, &file)?;
        }
        anyhow::Ok(())
    };
    let mut replaced = std::pin::pin!(replaced);
    let mut answered = 0;
    loop {
        tokio::select! {
            result = &mut replaced => break result?,
            answer = stage.send_json(&body) => {
                let answer = answer?;
                anyhow::ensure!(answer.body["plugin"] == "shipit" && answer.status == 202, "{answer:?}");
                answered += 1;
            }
        }
    }
    assert!(answered > 0);
    stage.until_resolved(commit.as_str()).await?;
    Ok(())
}
