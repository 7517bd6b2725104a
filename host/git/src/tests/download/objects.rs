//! Tests of objects that are made to do harm.

use super::made::{Object, commit_id, pack, store_pack};
use super::*;

/// Stores a commit with this tree, whose parts are in the pack too, and returns the outcome of listing its files.
fn listed(tree: &Object, others: &[&Object]) -> Result<Vec<TreeEntry>, StoreError> {
    let stored = Stored::new();
    let commit = Object::commit(tree);
    let mut objects = vec![commit.clone(), tree.clone()];
    objects.extend(others.iter().map(|object| (*object).clone()));
    let is_whole = store_pack(&stored.store, &commit_id(&commit), pack(&objects)).unwrap();
    assert!(is_whole);
    stored.store.tree(&commit_id(&commit)).unwrap().entries()
}

#[test]
fn names_that_no_checkout_may_have_are_refused() {
    let blob = Object::blob(b"x");
    let long = "n".repeat(4097);
    for (name, why) in [
        (&b".."[..], "has a part . or .."),
        (b".", "has a part . or .."),
        (b".git", "contains the name .git"),
        (b".GiT", "contains the name .git"),
        (b"git~1", "contains the name .git"),
        (".g\u{200c}it".as_bytes(), "contains the name .git"),
        (b".git ", "contains the name .git"),
        (b"a/b", "has a part with a separator"),
        (b"/etc", "has a part with a separator"),
        (b"", "has an empty part"),
        (b"\xff/x", "has a part with a separator"),
        (long.as_bytes(), "is too long"),
    ] {
        let inner = Object::tree(&[("100644", name, &blob)]);
        let outer = Object::tree(&[("40000", b"directory", &inner)]);
        for error in [
            listed(&inner, &[&blob]).unwrap_err().to_string(),
            listed(&outer, &[&inner, &blob]).unwrap_err().to_string(),
        ] {
            assert!(error.starts_with("the commit has the path \""), "{error}");
            assert!(error.contains(why), "{name:?}: {error}");
        }
    }
    let error = listed(
        &Object::tree(&[("40000", b"a", &Object::tree(&[("100644", b".git", &blob)]))]),
        &[&Object::tree(&[("100644", b".git", &blob)]), &blob],
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("\"a/.git\""), "{error}");
    for name in [
        &b".gitignore"[..],
        b"...",
        b"git",
        b"a b",
        b"con",
        b"a\\b",
        "ä".as_bytes(),
    ] {
        let tree = Object::tree(&[("100644", name, &blob)]);
        assert_eq!(listed(&tree, &[&blob]).unwrap().len(), 1, "{name:?}");
    }
}

#[test]
fn a_name_that_is_not_utf_8_is_listed_without_what_is_below_it() {
    let blob = Object::blob(b"x");
    let inner = Object::tree(&[("100644", b"f", &blob)]);
    let tree = Object::tree(&[
        ("100644", b"a\xff", &blob),
        ("40000", b"b\xfe", &inner),
        ("100644", b"c", &blob),
    ]);
    let found = listed(&tree, &[&inner, &blob]).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|entry| (entry.path.as_str(), entry.kind))
        .collect();
    let expected = [
        ("a\u{fffd}", TreeEntryKind::NotUtf8),
        ("b\u{fffd}", TreeEntryKind::NotUtf8),
        ("c", TreeEntryKind::File),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_path_exists_once_and_the_order_is_that_of_the_bytes() {
    let blob = Object::blob(b"x");
    let inner = Object::tree(&[("100644", b"f", &blob)]);
    let twice = Object::tree(&[("100644", b"a", &blob), ("40000", b"a", &inner)]);
    let error = listed(&twice, &[&inner, &blob]).unwrap_err().to_string();
    assert_eq!(error, "the commit has the path \"a\", which exists twice");
    let unsorted = Object::tree(&[
        ("100644", b"b", &blob),
        ("40000", b"a", &inner),
        ("100644", b"a-", &blob),
        ("100644", b"a0", &blob),
    ]);
    let paths: Vec<_> = listed(&unsorted, &[&inner, &blob])
        .unwrap()
        .into_iter()
        .map(|entry| entry.path)
        .collect();
    assert_eq!(paths, ["a-", "a/f", "a0", "b"]);
}

#[test]
fn trees_that_stand_for_too_many_files_or_directories_are_refused() {
    let blob = Object::blob(b"x");
    let mut trees = vec![Object::tree(&[("100644", b"f", &blob)])];
    for _ in 0..257 {
        let tree = Object::tree(&[("40000", b"d", trees.last().unwrap())]);
        trees.push(tree);
    }
    let mut parts: Vec<_> = trees.iter().collect();
    parts.push(&blob);
    let deep = parts.remove(trees.len() - 1);
    let error = listed(deep, &parts).unwrap_err().to_string();
    assert!(
        error.ends_with("which is in more than 256 directories"),
        "{error}"
    );
    let names: Vec<_> = (0..10).map(|index| index.to_string()).collect();
    let mut wide = vec![Object::tree(&[("100644", b"f", &blob)])];
    for _ in 0..7 {
        let inner = wide.last().unwrap();
        let entries: Vec<_> = names
            .iter()
            .map(|name| ("40000", name.as_bytes(), inner))
            .collect();
        let tree = Object::tree(&entries);
        wide.push(tree);
    }
    let top = wide.pop().unwrap();
    let mut parts: Vec<_> = wide.iter().collect();
    parts.push(&blob);
    let error = listed(&top, &parts).unwrap_err();
    assert!(
        matches!(error, StoreError::TooManyFiles { limit: 1_000_000 }),
        "{error}"
    );
}

#[test]
fn an_object_of_another_type_is_not_read() {
    let blob = Object::blob(b"x");
    let as_tree = Object::tree(&[("40000", b"a", &blob)]);
    let stored = Stored::new();
    let commit = Object::commit(&as_tree);
    let objects = pack(&[commit.clone(), as_tree, blob.clone()]);
    let outcome = store_pack(&stored.store, &commit_id(&commit), objects);
    assert!(outcome.is_err(), "{outcome:?}");
    let inner = Object::tree(&[]);
    let tree = Object::tree(&[("100644", b"a", &inner)]);
    let commit = Object::commit(&tree);
    let objects = pack(&[commit.clone(), tree, inner]);
    assert!(store_pack(&stored.store, &commit_id(&commit), objects).unwrap());
    let tree = stored.store.tree(&commit_id(&commit)).unwrap();
    let error = tree.read(&tree.entries().unwrap()[0]).unwrap_err();
    assert!(error.to_string().ends_with("is not a file"), "{error}");
}

#[test]
fn a_commit_whose_header_has_another_form_than_that_of_git_is_kept() {
    const BOTH: &str = "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n";
    for rest in [
        BOTH.to_owned(),
        format!("{BOTH}encoding\n\nText\n"),
        format!("{BOTH}HG:extra\n\nText\n"),
        format!("author B <b@c> 1 +0000\n{BOTH}\nText\n"),
        "author A 1500000000 +0000\ncommitter A 1500000000 +0000\n\nText\n".to_owned(),
        "\nText\n".to_owned(),
        String::new(),
    ] {
        let blob = Object::blob(b"text");
        let tree = Object::tree(&[("100644", b"file", &blob)]);
        let commit = Object::commit_with(&tree, &rest);
        let id = commit_id(&commit);
        let stored = Stored::new();
        assert!(store_pack(&stored.store, &id, pack(&[commit, tree, blob])).unwrap());
        stored.store.commit(&id).unwrap().unwrap();
        assert_eq!(checked_out(&stored.store, &id).len(), 1, "{rest}");
    }
}
