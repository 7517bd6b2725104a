mod copies;

use std::io;
use std::path::Path;

use serde_json::json;

use super::super::testing::{Node, Repository, Tree, file, make_plan, profile, read, sync, write};
use super::super::{Applied, Change, Profile, drift};
use super::disk::Step;
use super::{ApplyError, apply, apply_with};

fn tree(nodes: &[(&str, Node)]) -> Tree {
    let nodes = nodes.iter();
    nodes
        .map(|(path, node)| ((*path).to_owned(), node.clone()))
        .collect()
}

/// A sync with every kind of change.
fn scenario() -> (Repository, Profile, Tree) {
    let repository = tree(&[
        ("a/new/deep/x", file("new")),
        ("a/changed", file("after, and longer than before")),
        ("a/mode", Node::File(b"same".to_vec(), true)),
        ("a/same", file("same")),
        ("a/was-file/x", file("1")),
        ("a/was-directory", file("2")),
        ("a/was-link", file("3")),
        ("a/large", file(&"l".repeat(100_000))),
        ("t.json", file(r#"{"a":"{{.GatewayName}}"}"#)),
    ]);
    let live = tree(&[
        ("d/changed", file("before")),
        ("d/mode", file("same")),
        ("d/same", file("same")),
        ("d/was-file", file("old")),
        ("d/was-directory/b/old", file("old")),
        ("d/was-directory/old", file("old")),
        ("d/was-link", Node::Link("same".to_owned())),
        ("d/gone/deep/old", file("old")),
        ("d/gone/old", file("old")),
        ("e/t.json", file("{}")),
        ("e/other", file("other")),
        (".sync-staging/7", file("half")),
    ]);
    let profile = profile(&json!({"mappings": [
        {"source": "a", "destination": "d"},
        {"source": "t.json", "destination": "e/t.json", "template": true, "patches": [{"set": {"b": "1"}}]},
    ]}));
    (Repository(repository), profile, live)
}

/// Interrupts the sync at each of its changes. `is_killed` makes all later changes fail, too.
fn interrupt(is_killed: bool) {
    let (source, profile, live) = scenario();
    let complete = {
        let directory = tempfile::tempdir().unwrap();
        write(&live, directory.path());
        sync(&source, &profile, directory.path(), &mut Applied::default()).unwrap();
        read(directory.path())
    };
    assert!(!complete.contains_key(".sync-staging/7"));
    let mut interrupted = 0;
    let mut seen = Vec::new();
    loop {
        let directory = tempfile::tempdir().unwrap();
        write(&live, directory.path());
        let before = read(directory.path());
        let mut applied = record_of(&live, directory.path());
        let plan = make_plan(&source, &profile, directory.path(), &applied).unwrap();
        let mut count = 0;
        let mut fail = |step| {
            seen.push(step);
            count += 1;
            let fails = count == interrupted + 1 || (is_killed && count > interrupted);
            if fails {
                Err(io::Error::other("interrupted"))
            } else {
                Ok(())
            }
        };
        let result = apply_with(plan, &source, directory.path(), true, &mut fail);
        let after = read(directory.path());
        if count <= interrupted {
            result.unwrap();
            assert_eq!(after, complete);
            break;
        }
        result.unwrap_err();
        each_is_before_or_after(&before, &after, &complete);
        // The next sync completes it.
        sync(&source, &profile, directory.path(), &mut applied).unwrap();
        assert_eq!(
            read(directory.path()),
            complete,
            "after the interruption {interrupted}"
        );
        assert_eq!(drift(applied.files().iter().cloned(), directory.path()), []);
        interrupted += 1;
    }
    for step in [
        Step::CreateDirectory,
        Step::CreateFile,
        Step::WriteFile,
        Step::SetMode,
        Step::Flush,
        Step::Rename,
        Step::Delete,
        Step::RemoveDirectory,
    ] {
        assert!(seen.contains(&step), "{step:?} was never interrupted");
    }
}

/// Returns the record of a sync that has left the files of the gateway there.
fn record_of(live: &Tree, data: &Path) -> Applied {
    let files = live
        .iter()
        .filter(|(path, node)| path.starts_with("d/") && matches!(node, Node::File(..)));
    let source = Repository(
        files
            .map(|(path, node)| (path.clone(), node.clone()))
            .collect(),
    );
    let profile = profile(&json!({"mappings": [{"source": ".", "destination": "."}]}));
    let plan = make_plan(&source, &profile, data, &Applied::default()).unwrap();
    assert_eq!(plan.operations(), []);
    let outcome = apply(plan, &source, data, false).unwrap();
    std::fs::create_dir(data.join(".sync-staging")).unwrap();
    std::fs::write(data.join(".sync-staging/7"), "half").unwrap();
    outcome.applied
}

/// Checks every path outside the staging directory.
fn each_is_before_or_after(before: &Tree, after: &Tree, complete: &Tree) {
    let paths = before.keys().chain(after.keys()).chain(complete.keys());
    for path in paths.filter(|path| !path.starts_with(".sync-staging")) {
        let found = after.get(path);
        // A directory can be there without the files that follow, or after its files are gone.
        let is_directory = found == Some(&Node::Directory);
        let is_known = found == before.get(path) || found == complete.get(path);
        assert!(is_known || is_directory, "{path}: {found:?}");
    }
}

#[test]
fn a_failure_at_any_change_leaves_each_file_before_or_after() {
    interrupt(false);
}

#[test]
fn an_end_of_the_process_at_any_change_leaves_each_file_before_or_after() {
    interrupt(true);
}

#[test]
fn a_failure_while_staging_changes_nothing() {
    let (source, profile, live) = scenario();
    let directory = tempfile::tempdir().unwrap();
    write(&live, directory.path());
    let mut before = read(directory.path());
    before.retain(|path, _| !path.starts_with(".sync-staging"));
    let plan = make_plan(&source, &profile, directory.path(), &Applied::default()).unwrap();
    let mut full_disk = |step| {
        let is_write = step == Step::WriteFile;
        if is_write {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    };
    let result = apply_with(plan, &source, directory.path(), true, &mut full_disk);
    // The error names the file, and not its name in the staging directory.
    let error = result.unwrap_err();
    assert!(matches!(error, ApplyError::Root(_)));
    assert!(error.to_string().starts_with("d/changed: "), "{error}");
    assert_eq!(read(directory.path()), before);
}

#[test]
fn many_deletions_need_the_confirmation() {
    let (source, _, live) = scenario();
    let profile =
        profile(&json!({"maxDeletes": 0, "mappings": [{"source": "a", "destination": "d"}]}));
    let directory = tempfile::tempdir().unwrap();
    write(&live, directory.path());
    let before = read(directory.path());
    let plan = || make_plan(&source, &profile, directory.path(), &Applied::default()).unwrap();
    let result = apply(plan(), &source, directory.path(), false);
    assert!(matches!(result, Err(ApplyError::Unconfirmed(_))));
    assert_eq!(read(directory.path()), before);
    apply(plan(), &source, directory.path(), true).unwrap();
    assert!(!read(directory.path()).contains_key("d/gone/old"));
}

#[test]
fn the_outcome_lists_all_projects() {
    let directory = tempfile::tempdir().unwrap();
    let live = [
        ("projects/other/x", file("1")),
        ("projects/file", file("1")),
        ("projects/l", Node::Link("other".to_owned())),
    ];
    write(&tree(&live), directory.path());
    let source = Repository(tree(&[("p/x", file("1"))]));
    let profile = profile(&json!({"mappings": [{"source": "p", "destination": "projects/p"}]}));
    let outcome = sync(&source, &profile, directory.path(), &mut Applied::default()).unwrap();
    assert_eq!(outcome.projects, ["other", "p"]);
    assert_eq!(outcome.operations.len(), 1);
    assert_eq!(
        crate::sync::projects(directory.path()).unwrap(),
        ["other", "p"]
    );
}

fn changes(applied: &Applied, data: &Path) -> Vec<(String, Change)> {
    drift(applied.files().iter().cloned(), data)
        .into_iter()
        .map(|drifted| (drifted.path, drifted.change))
        .collect()
}

#[test]
fn drift_is_what_was_changed_since_the_last_sync() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let names = ["content", "gone", "kind", "mode", "same", "size", "touched"];
    let source = Repository(
        names
            .iter()
            .map(|name| (format!("a/{name}"), file("1")))
            .collect(),
    );
    let profile = profile(&json!({"mappings": [{"source": "a", "destination": "d"}]}));
    let mut applied = Applied::default();
    sync(&source, &profile, data, &mut applied).unwrap();
    assert_eq!(changes(&applied, data), []);
    std::fs::write(data.join("d/content"), "2").unwrap();
    std::fs::write(data.join("d/size"), "22").unwrap();
    std::fs::write(data.join("d/touched"), "1").unwrap();
    std::fs::write(data.join("d/other"), "1").unwrap();
    std::fs::remove_file(data.join("d/gone")).unwrap();
    std::fs::remove_file(data.join("d/kind")).unwrap();
    std::fs::create_dir(data.join("d/kind")).unwrap();
    std::fs::set_permissions(data.join("d/mode"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let expected = [
        ("d/content", Change::Content),
        ("d/gone", Change::Missing),
        ("d/kind", Change::Kind),
        ("d/mode", Change::Mode),
        ("d/size", Change::Content),
    ];
    let expected = expected.map(|(path, change)| (path.to_owned(), change));
    assert_eq!(changes(&applied, data), expected);
    // A sync of the same commit repairs it.
    std::fs::remove_dir(data.join("d/kind")).unwrap();
    let outcome = sync(&source, &profile, data, &mut applied).unwrap();
    assert_eq!(
        (
            outcome.counts.added,
            outcome.counts.modified,
            outcome.counts.deleted
        ),
        (2, 3, 1)
    );
    assert_eq!(changes(&applied, data), []);
}

#[test]
fn permissions_that_the_system_refuses_do_not_fail_the_sync() {
    let (source, profile, live) = scenario();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    write(&live, data);
    let plan = make_plan(&source, &profile, data, &Applied::default()).unwrap();
    let mut refuse = |step| {
        if step == Step::SetMode {
            Err(io::Error::from_raw_os_error(
                rustix::io::Errno::PERM.raw_os_error(),
            ))
        } else {
            Ok(())
        }
    };
    let outcome = apply_with(plan, &source, data, true, &mut refuse).unwrap();
    let [message] = outcome.messages.as_slice() else {
        panic!("{:?}", outcome.messages)
    };
    let expected = "permissions of files cannot be set, such as d/";
    assert!(message.starts_with(expected), "{message}");
    let after = read(data);
    assert_eq!(after["d/mode"], file("same"));
    assert!(!after.contains_key("d/gone/old"));
    // The next sync does not try it again.
    let plan = make_plan(&source, &profile, data, &outcome.applied).unwrap();
    assert_eq!(plan.operations(), []);
    assert_eq!(changes(&outcome.applied, data), []);
}

#[test]
fn a_group_that_may_write_is_no_change() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let source = Repository(tree(&[
        ("a/x", file("1")),
        ("a/y", Node::File(b"2".to_vec(), true)),
    ]));
    let profile = profile(&json!({"mappings": [{"source": "a", "destination": "d"}]}));
    let mut applied = Applied::default();
    sync(&source, &profile, data, &mut applied).unwrap();
    let mut set = |x, y, is_right: bool| {
        for (name, mode) in [("d/x", x), ("d/y", y)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(data.join(name), permissions).unwrap();
        }
        let found = changes(&applied, data).len();
        let plan = make_plan(&source, &profile, data, &applied).unwrap();
        let operations = plan.operations().len();
        let expected = if is_right { 0 } else { 2 };
        assert_eq!((found, operations), (expected, expected), "{x:o} {y:o}");
        sync(&source, &profile, data, &mut applied).unwrap();
    };
    set(0o664, 0o775, true);
    set(0o755, 0o644, false);
    set(0o666, 0o777, false);
    set(0o660, 0o770, false);
    set(0o4644, 0o2755, false);
    set(0o664, 0o775, true);
}

#[test]
fn the_second_of_two_files_that_are_one_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let source = Repository(tree(&[("a/K", file("1")), ("a/k", file("2"))]));
    let profile = profile(&json!({"mappings": [{"source": "a", "destination": "d"}]}));
    let plan = make_plan(&source, &profile, data, &Applied::default()).unwrap();
    // On such a volume, the first file has the other name too as soon as it is written.
    let mut renames = 0;
    let mut fold = |step| {
        if step == Step::Rename {
            renames += 1;
            std::fs::write(data.join("d/k"), "1")?;
        }
        Ok(())
    };
    let result = apply_with(plan, &source, data, false, &mut fold);
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with("d/k and d/K are one file"), "{error}");
    assert_eq!(renames, 1);
}

#[test]
fn a_file_that_is_a_mount_is_named_as_one() {
    let source = Repository(tree(&[("a/x", file("1"))]));
    let profile = profile(&json!({"mappings": [{"source": "a", "destination": "d"}]}));
    for (step, path) in [(Step::Delete, "d/old"), (Step::Rename, "d/x")] {
        let directory = tempfile::tempdir().unwrap();
        write(&tree(&[("d/old", file("9"))]), directory.path());
        let plan = make_plan(&source, &profile, directory.path(), &Applied::default()).unwrap();
        // The system answers so if a file is the place of a mount.
        let mut busy = |now| {
            if now == step {
                return Err(rustix::io::Errno::BUSY.into());
            }
            Ok(())
        };
        let result = apply_with(plan, &source, directory.path(), true, &mut busy);
        let error = result.unwrap_err().to_string();
        let expected =
            format!("{path}: it is a mount, which cannot be deleted or replaced; exclude it");
        assert!(error.contains(&expected), "{error}");
    }
}
