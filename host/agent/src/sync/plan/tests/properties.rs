//! What holds for any repository, profile and gateway.

use proptest::prelude::*;
use serde_json::json;

use crate::sync::testing::{Node, Repository, Tree, file, make_plan, profile, read, write};
use crate::sync::{Applied, Operation, Outcome, apply};

/// A tree of files whose names overlap often. A path that is a file and a directory at once is left out.
fn tree() -> impl Strategy<Value = Tree> {
    let name = prop::sample::select(vec!["a", "b", "c", ".resources"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|parts| parts.join("/"));
    let node = prop_oneof![
        8 => (prop::sample::select(vec!["", "1", "2", "33"]), any::<bool>())
            .prop_map(|(content, is_executable)| Node::File(content.as_bytes().to_vec(), is_executable)),
        1 => prop::sample::select(vec!["a", "../b", "/tmp", "nowhere"]).prop_map(|target| Node::Link(target.to_owned())),
    ];
    prop::collection::btree_map(path, node, 0..12).prop_map(|tree| {
        let is_parent = |path: &String| {
            let prefix = format!("{path}/");
            tree.keys().any(|other| other.starts_with(&prefix))
        };
        let kept = tree.iter().filter(|(path, _)| !is_parent(path));
        kept.map(|(path, node)| (path.clone(), node.clone()))
            .collect()
    })
}

/// A source and a destination with its spelling.
fn mapping() -> impl Strategy<Value = (&'static str, &'static str, &'static str)> {
    let source = prop::sample::select(vec![".", "a", "b", "a/b", "c"]);
    let spellings = vec!["", "", "", "/", "/."];
    (
        source,
        prop::sample::select(vec!["a", "b", "d", "a/b", "d/a"]),
        prop::sample::select(spellings),
    )
}

/// The path of a file at a destination, or `None` if it is not below the source.
fn destination(path: &str, source: &str, destination: &str) -> Option<String> {
    if source == "." {
        return Some(format!("{destination}/{path}"));
    }
    let rest = path.strip_prefix(source)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| format!("{destination}{rest}"))
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_sync_does_what_the_profile_says(repo in tree(), live in tree(), mappings in prop::collection::vec(mapping(), 1..4)) {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path();
        write(&live, data);
        let before = read(data);
        let fields: Vec<_> = mappings.iter().map(|(source, destination, spelling)| {
            json!({"source": source, "destination": format!("{destination}{spelling}")})
        }).collect();
        let profile = profile(&json!({"mappings": fields}));
        let source = Repository(repo.clone());
        let Ok(plan) = make_plan(&source, &profile, data, &Applied::default()) else {
            prop_assert_eq!(read(data), before);
            return Ok(());
        };
        // The same inputs make the same plan.
        let again = make_plan(&source, &profile, data, &Applied::default()).unwrap();
        prop_assert_eq!(plan.operations(), again.operations());
        for operation in plan.operations() {
            let path = operation.path();
            prop_assert!(mappings.iter().any(|(_, destination, _)| is_below(path, destination)), "{path} is outside");
            prop_assert!(!path.split('/').any(|part| part == ".resources"), "{path} is the gateway's");
            if !matches!(operation, Operation::Write { .. } | Operation::SetMode { .. }) {
                let is_managed = mappings.iter().any(|(_, destination, spelling)| spelling.is_empty() && is_below(path, destination));
                prop_assert!(is_managed, "{path} is not managed");
            }
        }
        let Outcome { applied, operations, .. } = apply(plan, &source, data, true).unwrap();
        let after = read(data);
        // The last mapping that has a file for a path decides. Links on the gateway can lead two paths to one file.
        let has_links = live.values().any(|node| matches!(node, Node::Link(_)));
        let mut expected = Tree::new();
        for (source, to, spelling) in &mappings {
            for (path, node) in &repo {
                let is_file = matches!(node, Node::File(..));
                let is_copied = is_file && !path.split('/').any(|part| part == ".resources");
                if let Some(path) = destination(path, source, to).filter(|_| is_copied) {
                    prop_assert!(spelling.is_empty() || !path.ends_with('/'));
                    expected.insert(path, node.clone());
                }
            }
        }
        if !has_links {
            for (path, node) in &expected {
                prop_assert_eq!(after.get(path), Some(node), "{}", path);
            }
        }
        prop_assert_eq!(applied.len(), expected.len());
        // Everything else is as before, or was deleted by the plan.
        for (path, node) in &before {
            let is_changed = operations.iter().any(|operation| operation.path() == path);
            if !expected.contains_key(path) && !is_changed && *node != Node::Directory && !has_links {
                prop_assert_eq!(after.get(path), Some(node), "{}", path);
            }
        }
        if !has_links {
            for record in [&applied, &Applied::default()] {
                let second = make_plan(&source, &profile, data, record).unwrap();
                prop_assert_eq!(second.operations(), &[]);
            }
        }
    }

    #[test]
    fn no_path_leads_out_of_the_directory(
        parts in prop::collection::vec(prop::sample::select(vec!["..", ".", "", "a", "l", "up", "{{.Vars.up}}"]), 1..7),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("x/data");
        std::fs::create_dir_all(&data).unwrap();
        let live = [("l", Node::Link("../..".to_owned())), ("up", Node::Link("a/../..".to_owned())), ("a/old", file("9"))];
        write(&live.map(|(path, node)| (path.to_owned(), node)).into(), &data);
        let outside = |directory: &std::path::Path| {
            let mut tree = read(directory);
            tree.retain(|path, _| !path.starts_with("x/data/"));
            tree
        };
        let before = outside(directory.path());
        let profile = profile(&json!({
            "mappings": [{"source": "s", "destination": parts.join("/")}], "vars": {"up": "../.."},
        }));
        let source = Repository([("s/f".to_owned(), file("1"))].into());
        if let Ok(plan) = make_plan(&source, &profile, &data, &Applied::default()) {
            drop(apply(plan, &source, &data, true));
        }
        prop_assert_eq!(outside(directory.path()), before);
    }
}
