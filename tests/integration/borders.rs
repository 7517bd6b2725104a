//! Which room may name which library: the borders that ARCHITECTURE.md draws.

use std::fs;
use std::path::{Path, PathBuf};

/// A library, and the rooms (files or folders below `host/src`) that may name it.
const OWNERS: [(&str, &[&str]); 12] = [
    ("wasmtime", &["plugin"]),
    ("axum", &["webhook", "sandbox/git_server"]),
    ("hyper", &["webhook/server"]),
    (
        "kube",
        &[
            "api",
            "app",
            "controller",
            "leader",
            "plugin_maps",
            "request",
            "sandbox",
        ],
    ),
    (
        "k8s_openapi",
        &[
            "api",
            "app/demo",
            "controller",
            "leader",
            "plugin_maps",
            "request",
        ],
    ),
    (
        "reqwest",
        &["git", "app/send", "app/demo", "app/plugin_commands/list"],
    ),
    ("clap", &["cli", "main"]),
    ("notify", &["plugin/watch"]),
    ("rayon", &["plugin/background"]),
    ("rustix", &["plugin/background", "plugin/lane"]),
    ("stoker_apiserver", &["sandbox"]),
    ("stoker_author", &["app/plugin_commands"]),
];

/// A room, and the rooms that it may know. Who is not named here is the composition root or knows nobody.
const NEIGHBOURS: [(&str, &[&str]); 10] = [
    ("detection", &[]),
    ("delivery", &[]),
    ("payload", &[]),
    ("auth", &["delivery"]),
    (
        "plugin",
        &["auth", "delivery", "detection", "payload", "report"],
    ),
    ("plugin_maps", &["api", "plugin", "report"]),
    ("request", &["api", "detection", "report"]),
    ("git", &["detection", "report"]),
    ("leader", &["report"]),
    (
        "webhook",
        &[
            "auth",
            "delivery",
            "detection",
            "metrics",
            "payload",
            "plugin",
            "report",
            "request",
        ],
    ),
];

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else {
                into.push(path);
            }
        }
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let mut files = Vec::new();
    walk(&source, &mut files);
    let read = |path: PathBuf| {
        let room = path
            .strip_prefix(&source)
            .unwrap()
            .with_extension("")
            .display()
            .to_string();
        (room, code(&fs::read_to_string(&path).unwrap()))
    };
    files
        .into_iter()
        .map(read)
        .filter(|(room, _)| !room.split('/').any(|part| part == "tests"))
        .collect()
}

/// The code without comments, and without the tests at its end: what a test names is no dependency of a room.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_in(file: &str, room: &str) -> bool {
    file == room
        || file
            .strip_prefix(room)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a path of this crate or room is used: `name::…` that does not continue a longer name or path.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        let starts = before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':'));
        starts && after.starts_with("::")
    })
}

#[test]
fn every_library_is_named_only_by_the_rooms_that_own_it() {
    let mut trespassers = Vec::new();
    for (file, code) in sources() {
        for (library, owners) in OWNERS {
            if names(&code, library) && !owners.iter().any(|owner| is_in(&file, owner)) {
                trespassers.push(format!("{file} names {library}, which only {owners:?} may"));
            }
        }
    }
    assert!(trespassers.is_empty(), "{trespassers:#?}");
}

#[test]
fn rooms_know_only_their_neighbours() {
    let rooms: Vec<String> = {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
        let names = fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        names
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect()
    };
    let mut trespassers = Vec::new();
    for (file, code) in sources() {
        let Some((room, neighbours)) = NEIGHBOURS.iter().find(|(room, _)| is_in(&file, room))
        else {
            continue;
        };
        for other in rooms
            .iter()
            .filter(|other| other != room && !neighbours.contains(&other.as_str()))
        {
            if code.contains(&format!("crate::{other}")) {
                trespassers.push(format!("{file} knows {other}"));
            }
        }
    }
    assert!(trespassers.is_empty(), "{trespassers:#?}");
}

#[test]
fn what_proves_a_verification_is_made_in_one_place() {
    let makers: Vec<_> = sources()
        .into_iter()
        .filter(|(_, code)| code.contains("Verified("))
        .collect();
    assert_eq!(
        makers
            .iter()
            .map(|(file, _)| file.as_str())
            .collect::<Vec<_>>(),
        ["auth"]
    );
}

#[test]
fn every_file_of_tests_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry
            .unwrap()
            .path()
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            name == "main" || main.contains(&format!("mod {name};")),
            "{name} is not part of main.rs"
        );
    }
}
