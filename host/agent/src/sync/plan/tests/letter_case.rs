//! Plans on volumes that do not distinguish upper and lower case.

use std::path::Path;

use serde_json::json;

use super::super::super::root::split;
use super::super::super::testing::{Repository, context, profile, read, sync};
use super::super::super::{Applied, Live, Operation, Plan, PlanError, Profile};
use super::repository;

/// Plans as on such a volume: after the lists are read, each path gets a second name that they do not have.
fn plan_folded(
    source: &Repository,
    profile: &Profile,
    data: &Path,
    names: &[(&str, &str)],
) -> Result<Plan, PlanError> {
    let live = Live::read(data, Applied::default()).unwrap();
    for (listed, second) in names {
        live.list(split(listed).0).unwrap();
        let (path, second_path) = (data.join(listed), data.join(second));
        if path.is_dir() {
            // A link stands for the second name of a directory.
            std::os::unix::fs::symlink(path, second_path).unwrap();
            for name in [listed, second] {
                live.list(name).unwrap();
            }
            live.add_unlisted(listed, second);
        } else {
            std::fs::hard_link(path, second_path).unwrap();
        }
    }
    super::super::plan(source, profile, &context(), live)
}

/// Writes files with the content `1`.
fn write(data: &Path, paths: &[&str]) {
    for path in paths {
        let path = data.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "1").unwrap();
    }
}

fn clear(path: &str) -> Operation {
    Operation::Clear {
        path: path.into(),
        is_directory: false,
    }
}

fn add(path: &str) -> Operation {
    Operation::Write {
        path: path.into(),
        replaces: false,
    }
}

fn delete(path: &str) -> Operation {
    Operation::Delete { path: path.into() }
}

#[test]
fn a_file_whose_name_changes_in_case_is_deleted_directly_before_it_is_written() {
    let profile = profile(&json!({"mappings": [{"source": "a", "destination": "d"}]}));
    for content in ["1", "2"] {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &["d/k", "d/m"]);
        let source = repository(&[("a/K", content), ("a/L", "3"), ("a/M", content)]);
        let names = [("d/k", "d/K"), ("d/m", "d/M")];
        let plan = plan_folded(&source, &profile, directory.path(), &names).unwrap();
        assert_eq!(
            plan.operations(),
            [
                clear("d/k"),
                add("d/K"),
                add("d/L"),
                clear("d/m"),
                add("d/M")
            ]
        );
        assert_eq!((plan.counts().added, plan.counts().deleted), (3, 2));
    }
}

#[test]
fn a_file_whose_directory_changes_in_case_is_not_deleted() {
    let profile = profile(&json!({"mappings": [{"source": "a", "destination": "d"}]}));
    for (content, operations) in [("1", 0), ("2", 1)] {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &["d/low/x"]);
        let source = repository(&[("a/Low/x", content)]);
        let names = [("d/low", "d/Low")];
        let plan = plan_folded(&source, &profile, directory.path(), &names).unwrap();
        let found = plan.operations();
        let is_write = |operation: &Operation| matches!(operation, Operation::Write { .. });
        assert!(found.iter().all(is_write), "{found:?}");
        assert_eq!(found.len(), operations, "{found:?}");
    }
}

#[test]
fn a_directory_above_the_renamed_files_stays_and_an_empty_one_does_not() {
    let profile = profile(&json!({"mappings": [{"source": "a", "destination": "d"}]}));
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        &["d/low/in/x", "d/low/out/y", "d/low-2/z"],
    );
    let source = repository(&[("a/Low/in/x", "1")]);
    let names = [("d/low", "d/Low")];
    let plan = plan_folded(&source, &profile, directory.path(), &names).unwrap();
    let remove = |path: &str| Operation::RemoveDirectory { path: path.into() };
    assert_eq!(
        plan.operations(),
        [
            delete("d/low-2/z"),
            delete("d/low/out/y"),
            remove("d/low/out"),
            remove("d/low-2"),
        ]
    );
}

#[test]
fn a_destination_that_changes_in_case_is_managed() {
    for (from, to) in [("projects/Site", "projects/site"), ("Top/site", "top/site")] {
        let profile = profile(&json!({"mappings": [{"source": "a", "destination": to}]}));
        let directory = tempfile::tempdir().unwrap();
        let names = ["k", "old", "same"].map(|name| format!("{from}/{name}"));
        write(directory.path(), &names.each_ref().map(String::as_str));
        let source = repository(&[("a/K", "1"), ("a/same", "1")]);
        let of = |name: &str| format!("{to}/{name}");
        let changed = match from {
            "Top/site" => ("Top", "top"),
            _ => (from, to),
        };
        let names = [changed, (&*of("k"), &*of("K"))];
        let plan = plan_folded(&source, &profile, directory.path(), &names).unwrap();
        let expected = [clear(&of("k")), add(&of("K")), delete(&of("old"))];
        assert_eq!(plan.operations(), expected, "{to}");
    }
}

#[test]
fn two_destinations_that_are_one_directory_do_not_delete_each_other_s_files() {
    let profile = profile(&json!({"mappings": [
        {"source": "a", "destination": "d/A"},
        {"source": "b", "destination": "d/a"},
    ]}));
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &["d/A/k", "d/A/x", "d/A/y"]);
    let source = repository(&[("a/K", "1"), ("a/x", "1"), ("b/y", "1")]);
    let names = [("d/A", "d/a"), ("d/A/k", "d/A/K")];
    let plan = plan_folded(&source, &profile, directory.path(), &names).unwrap();
    assert_eq!(plan.operations(), [clear("d/A/k"), add("d/A/K")]);
}

#[test]
fn a_single_file_whose_name_changes_in_case_keeps_its_name() {
    let mapping = json!({"source": "App", "destination": "d/App"});
    let profile = profile(&json!({ "mappings": [mapping] }));
    for (content, expected) in [("1", None), ("2", Some(true))] {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), &["d/app"]);
        let source = repository(&[("App", content)]);
        let names = [("d/app", "d/App")];
        let plan = plan_folded(&source, &profile, directory.path(), &names).unwrap();
        let expected = expected.map(|replaces| Operation::Write {
            path: "d/App".into(),
            replaces,
        });
        assert_eq!(plan.operations(), expected.as_slice());
    }
}

#[test]
fn the_volume_is_asked_once_for_a_second_name() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &["d/low"]);
    let live = Live::read(directory.path(), Applied::default()).unwrap();
    live.list("d").unwrap();
    write(directory.path(), &["d/Low"]);
    assert!(live.has_unlisted("d", "Low").unwrap());
    std::fs::remove_file(directory.path().join("d/Low")).unwrap();
    assert!(live.has_unlisted("d", "Low").unwrap());
}

#[test]
fn two_files_that_are_one_on_the_volume_are_an_error() {
    let profile = profile(&json!({"mappings": [{"source": "a", "destination": "d"}]}));
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("d")).unwrap();
    std::fs::write(directory.path().join("d/k"), "1").unwrap();
    let source = repository(&[("a/K", "1"), ("a/k", "2")]);
    let error = plan_folded(&source, &profile, directory.path(), &[("d/k", "d/K")])
        .err()
        .unwrap();
    let error = error.to_string();
    assert!(
        error.starts_with("d/K and d/k are one file on the gateway's volume"),
        "{error}"
    );
    // Both are written where they are two.
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        sync(&source, &profile, directory.path(), &mut Applied::default()).unwrap();
        let expected = repository(&[("d/K", "1"), ("d/k", "2")]).0;
        assert_eq!(read(directory.path()), expected);
    }
    // A file with the other name is deleted there after the new one is written.
    let source = repository(&[("a/K", "3")]);
    let outcome = sync(&source, &profile, directory.path(), &mut Applied::default()).unwrap();
    assert!(matches!(
        outcome.operations.as_slice(),
        [Operation::Write { .. }, Operation::Delete { .. }]
    ));
    assert_eq!(read(directory.path()), repository(&[("d/K", "3")]).0);
}
