//! The libraries and modules that each module of the host and of the agent may name, as in the borders of
//! ARCHITECTURE.md. Cargo enforces the borders between crates.

mod agent;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, UseTree};

/// A library, and the modules (files or folders below `host/src`) that may name it.
const OWNERS: [(&str, &[&str]); 25] = [
    (
        "axum",
        &[
            "admission/handler",
            "admission/serving",
            "app/tasks",
            "operations",
            "receiver",
        ],
    ),
    ("clap", &["cli", "main"]),
    ("der", &["server/certificate"]),
    ("hyper", &["server"]),
    ("hyper_util", &["server"]),
    ("ipnet", &["receiver/source"]),
    (
        "k8s_openapi",
        &[
            "admission",
            "app/demo",
            "app/local_gateway",
            "controller",
            "events",
            "leader",
            "plugin_maps",
            "secret_store",
        ],
    ),
    (
        "kube",
        &[
            "admission",
            "app",
            "controller",
            "events",
            "fake_client",
            "leader",
            "plugin_maps",
            "request",
            "secret_store",
            "single_try",
            "watch_backoff",
            "written",
        ],
    ),
    ("notify", &["plugin/watch"]),
    ("rayon", &["plugin/background"]),
    ("rcgen", &["admission/certificate"]),
    ("regex", &["request/rules"]),
    (
        "reqwest",
        &[
            "app/demo",
            "app/plugin_commands/list",
            "app/send",
            "github_app",
        ],
    ),
    // `server/tls` names the module of rustls with this name.
    ("ring", &["github_app/key", "server/tls"]),
    ("rustix", &["plugin/background", "plugin/lane", "server"]),
    ("rustls_pki_types", &["github_app/key"]),
    ("semver", &["request/rules"]),
    ("stoker_agent", &["app/local_gateway"]),
    ("stoker_author", &["app/plugin_commands"]),
    ("stoker_builtin", &["app/demo", "plugin"]),
    ("stoker_engine", &["plugin"]),
    ("stoker_local_cluster", &["app"]),
    ("tokio_rustls", &["server/tls"]),
    ("wasmparser", &["plugin"]),
    ("wasmtime", &["plugin"]),
];

/// A module, and the other modules that it may name. A module without a row is part of the composition root or names
/// no other module.
const NEIGHBOURS: [(&str, &[&str]); 22] = [
    ("admission", &["server"]),
    ("auth", &["delivery", "payload", "secrets"]),
    ("cli", &["telemetry"]),
    (
        "controller",
        &[
            "events",
            "github_app",
            "lookups",
            "recent",
            "watch_backoff",
            "written",
        ],
    ),
    ("delivery", &[]),
    ("events", &[]),
    ("github_app", &[]),
    ("leader", &[]),
    ("lookups", &["request"]),
    ("operations", &["auth", "metrics", "plugin", "request"]),
    ("payload", &[]),
    ("plugin", &["auth", "delivery", "payload"]),
    ("plugin_maps", &["plugin", "watch_backoff"]),
    ("reason", &[]),
    (
        "receiver",
        &[
            "auth", "delivery", "payload", "plugin", "reason", "recent", "request", "sampling",
            "server",
        ],
    ),
    ("recent", &[]),
    (
        "request",
        &["delivery", "events", "reason", "watch_backoff", "written"],
    ),
    ("sampling", &[]),
    ("secret_store", &["secrets"]),
    ("secrets", &["recent"]),
    ("server", &["sampling"]),
    ("telemetry", &[]),
];

/// A program whose modules have borders.
struct Program {
    root: &'static str,
    owners: &'static [(&'static str, &'static [&'static str])],
    neighbours: &'static [(&'static str, &'static [&'static str])],
}

const HOST: Program = Program {
    root: "../host/src",
    owners: &OWNERS,
    neighbours: &NEIGHBOURS,
};

const AGENT: Program = Program {
    root: "../host/agent/src",
    owners: agent::OWNERS,
    neighbours: agent::NEIGHBOURS,
};

/// A source file: its path below the root without the extension, and the first two segments of the paths in it.
struct Source {
    module: String,
    paths: BTreeSet<(String, String)>,
    calls_verified: bool,
    asks_time: bool,
}

impl Source {
    fn is_in(&self, module: &str) -> bool {
        let rest = self.module.strip_prefix(module);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Collects the paths of a file, except those of its tests.
#[derive(Default)]
struct Collector {
    paths: BTreeSet<(String, String)>,
    calls_verified: bool,
    /// Whether a path ends with `now`.
    asks_time: bool,
}

impl Collector {
    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let mut path = before.to_vec();
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.add_tree(&part.tree, &path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, &path);
                }
            }
            UseTree::Name(name) => {
                path.push(name.ident.to_string());
                self.add(&path);
            }
            UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                self.add(&path);
            }
            UseTree::Glob(_) => self.add(&path),
        }
    }

    fn add(&mut self, path: &[String]) {
        let segment = |index: usize| path.get(index).cloned().unwrap_or_default();
        self.paths.insert((segment(0), segment(1)));
        self.asks_time |= path.last().is_some_and(|name| name == "now");
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|name| name == "test")
    })
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test(&item.attrs) {
            self.add_tree(&item.tree, &[]);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if names.len() > 1 {
            self.add(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func {
            self.calls_verified |= function.path.is_ident("Verified");
        }
        visit::visit_expr_call(self, call);
    }
}

fn sources(program: &Program) -> Vec<Source> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(program.root);
    let mut files = Vec::new();
    walk(&root, &mut files);
    let read = |path: PathBuf| {
        let mut collector = Collector::default();
        collector.visit_file(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
        let module = path.strip_prefix(&root).unwrap().with_extension("");
        Source {
            module: module.display().to_string(),
            paths: collector.paths,
            calls_verified: collector.calls_verified,
            asks_time: collector.asks_time,
        }
    };
    let is_test_file = |source: &Source| source.module.split('/').any(|part| part == "tests");
    let sources: Vec<_> = files
        .into_iter()
        .map(read)
        .filter(|source| !is_test_file(source))
        .collect();
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

#[test]
fn a_library_is_named_only_by_the_modules_that_own_it() {
    let mut violations = Vec::new();
    for program in [HOST, AGENT] {
        for source in sources(&program) {
            for (library, owners) in program.owners {
                let is_named = source.paths.iter().any(|(first, _)| first == library);
                if is_named && !owners.iter().any(|owner| source.is_in(owner)) {
                    violations.push(format!(
                        "{} names {library}, which only {owners:?} may",
                        source.module
                    ));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn a_module_names_only_its_neighbours() {
    let mut violations = Vec::new();
    for program in [HOST, AGENT] {
        let sources = sources(&program);
        let modules: BTreeSet<_> = sources
            .iter()
            .filter_map(|source| source.module.split('/').next())
            .collect();
        for source in &sources {
            let mut rows = program.neighbours.iter();
            let Some((module, neighbours)) = rows.find(|(module, _)| source.is_in(module)) else {
                continue;
            };
            for (_, other) in source.paths.iter().filter(|(first, _)| first == "crate") {
                let other = other.as_str();
                if modules.contains(other) && other != *module && !neighbours.contains(&other) {
                    violations.push(format!("{} names {other}", source.module));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn a_module_without_a_clock_does_not_ask_for_the_time() {
    let asking: Vec<_> = sources(&AGENT)
        .into_iter()
        .filter(|source| source.asks_time)
        .collect();
    assert!(
        asking.iter().any(|source| source.module == "agent"),
        "the calls were not found"
    );
    for module in agent::WITHOUT_CLOCK {
        let violation = asking.iter().find(|source| source.is_in(module));
        assert!(violation.is_none(), "{module}");
    }
}

#[test]
fn every_row_names_a_module_that_exists() {
    for program in [HOST, AGENT] {
        let sources = sources(&program);
        let exists = |module: &str| sources.iter().any(|source| source.is_in(module));
        for (library, owners) in program.owners {
            for owner in *owners {
                assert!(exists(owner), "{owner}, an owner of {library}");
            }
        }
        for (module, neighbours) in program.neighbours {
            assert!(exists(module), "{module}");
            for neighbour in *neighbours {
                assert!(exists(neighbour), "{neighbour}, a neighbour of {module}");
            }
        }
    }
}

#[test]
fn what_proves_a_verification_is_made_in_one_place() {
    let makers: Vec<_> = sources(&HOST)
        .into_iter()
        .filter(|source| source.calls_verified)
        .map(|source| source.module)
        .collect();
    assert_eq!(makers, ["auth"]);
}

#[test]
fn grouped_imports_and_nested_modules_are_seen() {
    let code = "use crate::{auth, plugin::{self, Detector}}; mod inner { use wasmtime::Engine; } \
                #[cfg(test)] mod tests { use axum::Router; } fn f() { kube::Client::new(); }";
    let mut collector = Collector::default();
    collector.visit_file(&syn::parse_file(code).unwrap());
    let names = |first: &str| collector.paths.iter().any(|(name, _)| name == first);
    assert!(names("wasmtime") && names("kube") && !names("axum"));
    let crate_paths = ["auth", "plugin"].map(|module| ("crate".to_owned(), module.to_owned()));
    assert!(
        crate_paths
            .iter()
            .all(|path| collector.paths.contains(path))
    );
}

#[test]
fn every_file_of_tests_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(
            name == "main" || main.contains(&format!("mod {name};")),
            "{name} is not part of main.rs"
        );
    }
}
