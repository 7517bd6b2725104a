//! Runs the cases of `host/agent/cases`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sync::testing::{Node, Repository, Tree, make_plan, profile, read, write};
use crate::sync::{Applied, apply, drift};

/// One case.
#[derive(Default)]
struct Case {
    name: String,
    repo: Tree,
    mappings: Vec<Value>,
    excludes: Vec<String>,
    vars: BTreeMap<String, String>,
    max: Option<u32>,
    live: Tree,
    gives: Option<Tree>,
    counts: Option<String>,
    says: Vec<String>,
    error: Option<String>,
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("# ") {
            cases.push(Case {
                name: name.to_owned(),
                ..Case::default()
            });
            continue;
        }
        let case = cases.last_mut().unwrap();
        let (key, value) = line.split_once(':').unwrap();
        let value = value.trim();
        match key {
            "repo" => case.repo = tree(value),
            "live" => case.live = tree(value),
            "gives" => case.gives = Some(tree(value)),
            "map" => case.mappings.push(mapping(value)),
            "exclude" => case.excludes = value.split(' ').map(str::to_owned).collect(),
            "vars" => {
                let pairs = value.split(' ').map(|pair| pair.split_once('=').unwrap());
                case.vars = pairs
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
            }
            "max" => case.max = Some(value.parse().unwrap()),
            "counts" => case.counts = Some(value.to_owned()),
            "says" => case.says.push(value.to_owned()),
            "error" => case.error = Some(value.to_owned()),
            other => panic!("{}: unknown line {other}", case.name),
        }
    }
    cases
}

fn unescape(text: &str) -> String {
    let escapes = [
        ("\\s", " "),
        ("\\n", "\n"),
        ("\\r", "\r"),
        ("\\0", "\0"),
        ("\\e", ""),
    ];
    escapes
        .iter()
        .fold(text.to_owned(), |text, (escape, meaning)| {
            text.replace(escape, meaning)
        })
}

fn tree(text: &str) -> Tree {
    let tokens = text.split(' ').filter(|token| !token.is_empty());
    let nodes = tokens.map(|token| {
        if let Some((path, target)) = token.split_once("->") {
            return (unescape(path), Node::Link(target.to_owned()));
        }
        if let Some(path) = token.strip_suffix('@') {
            return (path.to_owned(), Node::Submodule);
        }
        let Some((path, content)) = token.split_once('=') else {
            return (token.strip_suffix('/').unwrap().to_owned(), Node::Directory);
        };
        let content = unescape(content).into_bytes();
        match path.strip_suffix('*') {
            Some(path) => (unescape(path), Node::File(content, true)),
            None => (unescape(path), Node::File(content, false)),
        }
    });
    nodes.collect()
}

fn mapping(text: &str) -> Value {
    let (source, rest) = text.split_once(" -> ").unwrap();
    let mut words = rest.split(' ');
    let mut mapping =
        json!({"source": unescape(source), "destination": words.next().unwrap(), "patches": []});
    for word in words {
        match word.split_once('=') {
            Some(("type", type_)) => mapping["type"] = type_.into(),
            Some(("patch", patch)) => {
                let parts: Vec<&str> = patch.split('|').collect();
                let patch = json!({"file": parts[0], "set": {parts[1]: parts[2]}});
                mapping["patches"].as_array_mut().unwrap().push(patch);
            }
            _ => mapping[word] = true.into(),
        }
    }
    mapping
}

fn run(case: &Case) {
    let name = &case.name;
    let directory = tempfile::tempdir().unwrap();
    // A link to `..` must not lead to other tests.
    let data = directory.path().join("a/b/data");
    std::fs::create_dir_all(&data).unwrap();
    write(&case.live, &data);
    let before = read(&data);
    let profile = profile(&json!({
        "mappings": case.mappings, "excludePatterns": case.excludes, "vars": case.vars, "maxDeletes": case.max,
    }));
    let source = Repository(case.repo.clone());
    let planned = make_plan(&source, &profile, &data, &Applied::default());
    assert_eq!(read(&data), before, "{name}: a plan changes nothing");
    let planned = planned.inspect(|plan| {
        let counts = plan.counts();
        let counts = format!("{} {} {}", counts.added, counts.modified, counts.deleted);
        let expected = case.counts.clone().unwrap_or_else(|| counts.clone());
        assert_eq!(counts, expected, "{name}");
        for part in &case.says {
            let is_said = plan.messages().iter().any(|message| message.contains(part));
            assert!(is_said, "{name}: {:?}", plan.messages());
        }
    });
    let result = match planned {
        Err(error) => Err(error.to_string()),
        Ok(plan) => {
            let counts = plan.counts();
            let outcome = apply(plan, &source, &data, false);
            let outcome = outcome.map_err(|error| error.to_string());
            outcome.inspect(|outcome| assert_eq!(outcome.counts, counts, "{name}"))
        }
    };
    match (&case.error, result) {
        (None, result) => {
            let outcome = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(
                read(&data),
                *case.gives.as_ref().unwrap_or(&before),
                "{name}"
            );
            for record in [outcome.applied.clone(), Applied::default()] {
                let again = make_plan(&source, &profile, &data, &record).unwrap();
                assert_eq!(
                    again.operations(),
                    [],
                    "{name}: the second sync has nothing to do"
                );
            }
            assert_eq!(
                drift(outcome.applied.files().iter().cloned(), &data),
                [],
                "{name}"
            );
        }
        (Some(expected), result) => {
            assert!(
                case.gives.is_none(),
                "{name}: an error leaves the gateway as it is"
            );
            let error = result.expect_err(name);
            assert!(error.contains(expected), "{name}: {error}");
            assert_eq!(read(&data), before, "{name}: an error changes nothing");
        }
    }
}

#[test]
fn cases() {
    let files = [
        include_str!("../../../../cases/mappings.txt"),
        include_str!("../../../../cases/gateway.txt"),
        include_str!("../../../../cases/content.txt"),
    ];
    let cases: Vec<Case> = files.iter().flat_map(|file| parse(file)).collect();
    assert!(cases.len() > 100);
    let failed = cases
        .iter()
        .filter(|case| std::panic::catch_unwind(|| run(case)).is_err());
    let failed: Vec<&str> = failed.map(|case| case.name.as_str()).collect();
    assert_eq!(failed, [""; 0]);
}
