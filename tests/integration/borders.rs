//! The libraries and modules that each module of the host and of the agent may name, as in the borders of
//! ARCHITECTURE.md. Cargo enforces the borders between crates.

mod agent;
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use self::sources::{Source, leads_to, sources};

/// A library, and the modules (files or directories below `host/src`) that may name it.
const OWNERS: &[(&str, &[&str])] = &[
    ("anyhow", &["app"]),
    (
        "axum",
        &[
            "app/tasks",
            "injection/handler",
            "injection/serving",
            "operations",
            "receiver",
        ],
    ),
    ("clap", &["cli"]),
    ("der", &["server/certificate"]),
    ("hmac", &["auth/mac"]),
    ("hyper", &["server"]),
    ("hyper_util", &["server"]),
    ("ipnet", &["receiver/source"]),
    (
        "k8s_openapi",
        &[
            "app/demo",
            "app/local_gateway",
            "cluster",
            "controller",
            "injection",
        ],
    ),
    (
        "kube",
        &["app", "cluster", "controller", "injection", "request"],
    ),
    ("memchr", &["payload/sns"]),
    ("memmap2", &["receiver/buffer"]),
    ("notify", &["plugin/watch"]),
    ("rayon", &["plugin/background"]),
    ("rcgen", &["injection/certificate"]),
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
    ("ring", &["github_app/key"]),
    ("rustix", &["plugin/background", "plugin/lane", "server"]),
    ("rustls_pki_types", &["github_app/key"]),
    ("semver", &["request/rules"]),
    ("socket2", &["server/listener"]),
    ("stoker_agent", &["app/local_gateway"]),
    ("stoker_author", &["app/plugin_commands"]),
    ("stoker_builtin", &["app/demo", "plugin"]),
    ("stoker_engine", &["plugin"]),
    ("stoker_kubeconfig", &["app/kubeconfig"]),
    ("stoker_local_cluster", &["app"]),
    ("subtle", &["auth/keys"]),
    ("tokio_rustls", &["server/tls"]),
    ("tracing_appender", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("wasmparser", &["plugin"]),
    ("wasmtime", &["plugin"]),
];

/// A module, and the other modules that it may name.
const NEIGHBOURS: &[(&str, &[&str])] = &[
    ("auth", &["delivery", "payload", "secrets"]),
    ("cli", &["auth", "telemetry"]),
    ("cluster", &[]),
    ("cluster/api_errors", &[]),
    ("cluster/events", &[]),
    ("cluster/leader", &[]),
    ("cluster/plugin_maps", &["cluster/watch_backoff", "plugin"]),
    ("cluster/secret_store", &["secrets"]),
    ("cluster/single_try", &[]),
    ("cluster/watch_backoff", &["cluster/api_errors"]),
    ("cluster/written", &[]),
    (
        "config",
        &[
            "auth",
            "cli",
            "controller",
            "plugin",
            "receiver",
            "secrets",
            "server",
        ],
    ),
    (
        "controller",
        &[
            "cluster/events",
            "cluster/watch_backoff",
            "cluster/written",
            "github_app",
            "lookups",
            "recent",
        ],
    ),
    ("delivery", &[]),
    ("github_app", &[]),
    ("injection", &["sampling", "server"]),
    ("lookups", &[]),
    ("operations", &["auth", "metrics", "plugin", "request"]),
    ("payload", &[]),
    ("plugin", &["auth", "delivery", "payload"]),
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
        &[
            "cluster/events",
            "cluster/watch_backoff",
            "cluster/written",
            "delivery",
            "reason",
        ],
    ),
    ("sampling", &[]),
    ("secrets", &["recent"]),
    ("server", &["sampling"]),
    ("telemetry", &[]),
];

/// The modules that put the others together. They may name every module.
const COMPOSITION: &[&str] = &["app", "lib", "main", "metrics"];

/// A program whose modules have borders.
struct Program {
    root: &'static str,
    owners: &'static [(&'static str, &'static [&'static str])],
    neighbours: &'static [(&'static str, &'static [&'static str])],
    composition: &'static [&'static str],
}

impl Program {
    fn composes(&self, source: &Source) -> bool {
        self.composition.iter().any(|module| source.is_in(module))
    }

    /// Returns the row of a source: of the modules with a row that it is in, the innermost one.
    fn row(&self, source: &Source) -> Option<(&'static str, &'static [&'static str])> {
        let rows = self.neighbours.iter().copied();
        rows.filter(|(module, _)| source.is_in(module))
            .max_by_key(|(module, _)| module.len())
    }
}

const HOST: Program = Program {
    root: "../host/src",
    owners: OWNERS,
    neighbours: NEIGHBOURS,
    composition: COMPOSITION,
};

const AGENT: Program = Program {
    root: "../host/agent/src",
    owners: agent::OWNERS,
    neighbours: agent::NEIGHBOURS,
    composition: agent::COMPOSITION,
};

#[test]
fn a_library_is_named_only_by_the_modules_that_own_it() {
    let mut violations = Vec::new();
    for program in [HOST, AGENT] {
        for source in sources(program.root) {
            for (library, owners) in program.owners {
                if source.names_library(library) && !owners.iter().any(|owner| source.is_in(owner))
                {
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
        let sources = sources(program.root);
        let modules: BTreeSet<_> = sources
            .iter()
            .filter_map(|source| source.module.split('/').next())
            .collect();
        for source in &sources {
            if program.composes(source) {
                continue;
            }
            let Some((module, neighbours)) = program.row(source) else {
                violations.push(format!("{} has no row", source.module));
                continue;
            };
            for path in source.paths.iter().filter(|path| path.len() > 1) {
                let is_allowed = |other: &&str| leads_to(path, other);
                if path[0] == "crate"
                    && modules.contains(path[1].as_str())
                    && !neighbours.iter().chain([&module]).any(is_allowed)
                {
                    violations.push(format!("{} names {}", source.module, path.join("::")));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn every_permission_is_used() {
    let mut unused = Vec::new();
    for program in [HOST, AGENT] {
        let sources = sources(program.root);
        let any_in = |module: &str, names: &dyn Fn(&Source) -> bool| {
            sources
                .iter()
                .any(|source| source.is_in(module) && names(source))
        };
        for (library, owners) in program.owners {
            for owner in *owners {
                if !any_in(owner, &|source| source.names_library(library)) {
                    unused.push(format!("{owner} does not name {library}"));
                }
            }
        }
        for (module, neighbours) in program.neighbours {
            for neighbour in *neighbours {
                if !any_in(module, &|source| source.names_module(neighbour)) {
                    unused.push(format!("{module} does not name {neighbour}"));
                }
            }
        }
        let rows = program.neighbours.iter().map(|(module, _)| module);
        for module in rows.chain(program.composition) {
            if !any_in(module, &|_| true) {
                unused.push(format!("{module} does not exist"));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn a_module_without_a_clock_does_not_ask_for_the_time() {
    let asking: Vec<_> = sources(AGENT.root)
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
fn what_proves_a_verification_is_made_in_one_place() {
    let makers: Vec<_> = sources(HOST.root)
        .into_iter()
        .filter(|source| source.calls_verified)
        .map(|source| source.module)
        .collect();
    assert_eq!(makers, ["auth"]);
}

/// The rows of a table of ARCHITECTURE.md whose first cells are modules of a program: the modules, and the libraries.
fn documented(program: &Program) -> Vec<(Vec<String>, Vec<String>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    let page = fs::read_to_string(page).unwrap();
    let directory = program.root.trim_start_matches("../");
    let heading = format!("The modules of `{directory}/`");
    let table = page.split(&heading).nth(1).unwrap();
    let lines = table.lines().skip_while(|line| !line.starts_with('|'));
    let names = |cell: Option<&str>| {
        let parts = cell.unwrap_or_default().split('`').skip(1).step_by(2);
        parts
            .map(|name| name.trim_end_matches('/').to_owned())
            .collect()
    };
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').collect();
        (names(cells.get(1).copied()), names(cells.get(3).copied()))
    };
    lines
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(row)
        .collect()
}

#[test]
fn the_tables_of_the_modules_are_complete() {
    let mut faults = Vec::new();
    for program in [HOST, AGENT] {
        let rows = documented(&program);
        for source in sources(program.root) {
            let is_listed = rows
                .iter()
                .flat_map(|(modules, _)| modules)
                .any(|module| source.is_in(module));
            if !is_listed && source.module != "lib" {
                faults.push(format!("no row has {}", source.module));
            }
        }
    }
    for (modules, shown) in documented(&HOST) {
        let is_here = |owner: &str| {
            let first =
                |module: &String| owner == module || owner.starts_with(&format!("{module}/"));
            modules.iter().any(first)
        };
        let owned: Vec<_> = OWNERS
            .iter()
            .filter(|(_, owners)| owners.iter().any(|owner| is_here(owner)))
            .map(|(library, _)| (*library).to_owned())
            .collect();
        if shown != owned {
            faults.push(format!("the libraries of {modules:?} are {owned:?}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_file_of_tests_is_run() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration");
    let main = fs::read_to_string(directory.join("main.rs")).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(
            name == "main" || main.contains(&format!("mod {name};")),
            "{name} is not part of main.rs"
        );
    }
}
