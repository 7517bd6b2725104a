//! Tests of objects and packs that are made to do harm.

use std::io::Cursor;
use std::sync::atomic::AtomicBool;

use gix_hash::{Kind, ObjectId};

use super::super::super::store::{Basis, IndexError, PackLimits, index};
use super::*;

/// An object, and its entry in a pack.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) id: ObjectId,
    kind: u8,
    content: Vec<u8>,
}

impl Object {
    fn new(kind: gix_object::Kind, content: Vec<u8>) -> Self {
        Self {
            id: gix_object::compute_hash(Kind::Sha1, kind, &content).unwrap(),
            kind: match kind {
                gix_object::Kind::Commit => 1,
                gix_object::Kind::Tree => 2,
                gix_object::Kind::Blob => 3,
                gix_object::Kind::Tag => 4,
            },
            content,
        }
    }

    pub(super) fn blob(content: &[u8]) -> Self {
        Self::new(gix_object::Kind::Blob, content.to_vec())
    }

    pub(super) fn tree(entries: &[(&str, &[u8], &Self)]) -> Self {
        let mut content = Vec::new();
        for (mode, name, object) in entries {
            content.extend_from_slice(mode.as_bytes());
            content.push(b' ');
            content.extend_from_slice(name);
            content.push(0);
            content.extend_from_slice(object.id.as_slice());
        }
        Self::new(gix_object::Kind::Tree, content)
    }

    pub(super) fn commit(tree: &Self) -> Self {
        Self::commit_with(
            tree,
            "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nText\n",
        )
    }

    /// Returns a commit whose text follows the line with its tree.
    pub(super) fn commit_with(tree: &Self, rest: &str) -> Self {
        let text = format!("tree {}\n{rest}", tree.id);
        Self::new(gix_object::Kind::Commit, text.into_bytes())
    }

    fn entry(&self) -> Vec<u8> {
        let mut entry = header(self.kind, self.content.len());
        entry.extend(zlib(&self.content));
        entry
    }
}

/// Returns the header of an entry (gitformat-pack).
fn header(kind: u8, size: usize) -> Vec<u8> {
    let mut rest = size >> 4;
    let mut byte = kind << 4 | u8::try_from(size & 15).unwrap();
    let mut out = Vec::new();
    while rest > 0 {
        out.push(byte | 0x80);
        byte = u8::try_from(rest & 0x7f).unwrap();
        rest >>= 7;
    }
    out.push(byte);
    out
}

/// Returns a number in the form of a delta's header.
fn delta_size(size: usize) -> Vec<u8> {
    let mut rest = size;
    let mut out = Vec::new();
    loop {
        let byte = u8::try_from(rest & 0x7f).unwrap();
        rest >>= 7;
        if rest == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

/// Returns data in zlib's format, without compression (RFC 1950, RFC 1951).
fn zlib(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let length = u16::try_from(data.len()).unwrap();
    out.push(1);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    out.extend_from_slice(data);
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend_from_slice(&(b << 16 | a).to_be_bytes());
    out
}

fn pack_of(count: u32, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend_from_slice(&count.to_be_bytes());
    pack.extend(entries.concat());
    let mut hasher = gix_hash::hasher(Kind::Sha1);
    hasher.update(&pack);
    pack.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
    pack
}

/// Returns a pack of whole objects.
pub(super) fn pack(objects: &[Object]) -> Vec<u8> {
    let entries: Vec<_> = objects.iter().map(Object::entry).collect();
    pack_of(u32::try_from(entries.len()).unwrap(), &entries)
}

fn commit_id(object: &Object) -> CommitId {
    CommitId::parse(&object.id.to_string()).unwrap()
}

/// Stores a pack of a commit, and returns whether it was whole.
fn store_pack(store: &ObjectStore, commit: &CommitId, pack: Vec<u8>) -> Result<bool, IndexError> {
    let limits = PackLimits {
        objects: 1000,
        object_bytes: 1024 * 1024,
    };
    let stop = AtomicBool::new(false);
    let folder = store.incoming()?;
    let indexed = index(Cursor::new(pack), folder, Kind::Sha1, None, limits, &stop)?;
    Ok(store.install(commit, indexed, &Basis::default())?)
}

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
        let outer = Object::tree(&[("40000", b"folder", &inner)]);
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
        error.ends_with("which is in too many directories"),
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

#[test]
fn packs_that_are_made_to_do_harm_are_refused() {
    let base = Object::blob(&[b'x'; 100]);
    let reference = |base: &ObjectId, delta: &[u8]| {
        let mut entry = header(7, delta.len());
        entry.extend_from_slice(base.as_slice());
        entry.extend(zlib(delta));
        entry
    };
    let huge = 600 * 1024 * 1024;
    // Copies the base's first byte, and claims to become 600 MiB.
    let bomb = [delta_size(100), delta_size(huge), vec![0x90, 1]].concat();
    let (a, b) = (ObjectId::null(Kind::Sha1), base.id);
    let delta = [delta_size(1), delta_size(1), vec![1, b'x']].concat();
    let mut announced = header(3, huge);
    announced.extend(zlib(b"x"));
    let mut outside = header(6, delta.len());
    outside.extend_from_slice(&[0x86, 0x80, 0x00]);
    outside.extend(zlib(&delta));
    for (what, pack) in [
        ("a large object", pack_of(1, &[announced])),
        (
            "a delta with a large result",
            pack_of(2, &[base.entry(), reference(&b, &bomb)]),
        ),
        (
            "deltas in a circle",
            pack_of(2, &[reference(&a, &delta), reference(&a, &delta)]),
        ),
        (
            "a delta without its base",
            pack_of(1, &[reference(&b, &delta)]),
        ),
        ("a base before the pack", pack_of(1, &[outside])),
        ("more objects than there are", pack_of(9, &[base.entry()])),
        (
            "fewer objects than there are",
            pack_of(1, &[base.entry(), base.entry()]),
        ),
        (
            "an unknown type",
            pack_of(1, &[[header(5, 1), zlib(b"x")].concat()]),
        ),
        (
            "another version",
            [b"PACK\0\0\0\x09\0\0\0\x01", &[0; 40][..]].concat(),
        ),
        ("no pack", b"<html>not a pack</html>".to_vec()),
    ] {
        let stored = Stored::new();
        let outcome = store_pack(&stored.store, &id('a'), pack);
        let is_refused = match &outcome {
            Err(IndexError::ObjectTooLarge) => what == "a delta with a large result",
            Err(IndexError::Damaged(_)) => what != "a delta with a large result",
            _ => false,
        };
        assert!(is_refused, "{what}: {outcome:?}");
        assert!(stored.files().is_empty(), "{what}");
    }
    let stored = Stored::new();
    let many = pack_of(u32::MAX, &[base.entry()]);
    let outcome = store_pack(&stored.store, &id('a'), many);
    assert!(
        matches!(outcome, Err(IndexError::TooManyObjects { .. })),
        "{outcome:?}"
    );
    let outcome = store_pack(&stored.store, &id('a'), pack_of(0, &[]));
    assert!(matches!(outcome, Ok(false)), "{outcome:?}");
}

/// Returns blobs that are all different, and their ids.
fn many_blobs(count: u32) -> Vec<Object> {
    let contents = (0..count).map(|index| format!("{index:0100}"));
    contents
        .map(|content| Object::blob(content.as_bytes()))
        .collect()
}

/// Returns a delta against a blob of 100 bytes, which repeats it.
fn repeating(base: &Object, times: usize) -> Vec<u8> {
    let copies = [0x90, 100].repeat(times);
    let delta = [delta_size(100), delta_size(100 * times), copies].concat();
    let mut entry = header(7, delta.len());
    entry.extend_from_slice(base.id.as_slice());
    entry.extend(zlib(&delta));
    entry
}

#[test]
fn the_limit_of_an_object_does_not_grow_with_the_number_of_objects() {
    let stop = AtomicBool::new(false);
    let limits = PackLimits {
        objects: 1000,
        object_bytes: 200,
    };
    for is_thin in [false, true] {
        for (times, is_refused) in [(2, false), (3, true), (50, true)] {
            let stored = Stored::new();
            let blobs = many_blobs(200);
            let (base, others) = blobs.split_first().unwrap();
            let mut entries: Vec<_> = others.iter().map(Object::entry).collect();
            let mut earlier = None;
            if is_thin {
                let tree = Object::tree(&[("100644", b"a", base)]);
                let commit = Object::commit(&tree);
                let objects = pack(&[base.clone(), tree, commit.clone()]);
                assert!(store_pack(&stored.store, &commit_id(&commit), objects).unwrap());
                earlier = stored.store.basis(&id('a')).unwrap();
            } else {
                entries.push(base.entry());
            }
            entries.push(repeating(base, times));
            let count = u32::try_from(entries.len()).unwrap();
            let outcome = index(
                Cursor::new(pack_of(count, &entries)),
                stored.store.incoming().unwrap(),
                Kind::Sha1,
                earlier.as_ref().map(|basis| &*basis.packs),
                limits,
                &stop,
            );
            let is_right = match &outcome {
                Ok(Some(_)) => !is_refused,
                Err(IndexError::ObjectTooLarge) => is_refused,
                _ => false,
            };
            assert!(is_right, "thin: {is_thin}, {times} times: {outcome:?}");
        }
    }
}

#[test]
fn the_size_of_a_file_is_known_without_reading_it() {
    let blob = Object::blob(&[b'x'; 100]);
    let large = Object::blob(&[b'x'; 300]);
    let tree = Object::tree(&[("100644", b"a", &blob), ("100644", b"b", &large)]);
    let commit = Object::commit(&tree);
    let entries = [
        commit.entry(),
        tree.entry(),
        blob.entry(),
        repeating(&blob, 3),
    ];
    let stored = Stored::new();
    let id = commit_id(&commit);
    assert!(store_pack(&stored.store, &id, pack_of(4, &entries)).unwrap());
    let tree = stored.store.tree(&id).unwrap();
    let mut entries = tree.entries().unwrap();
    let sizes: Vec<_> = entries
        .iter()
        .map(|entry| tree.size(entry).unwrap())
        .collect();
    assert_eq!(sizes, [100, 300]);
    entries[0].id = ObjectId::from_hex("1".repeat(40).as_bytes()).unwrap();
    let error = tree.size(&entries[0]).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
}

#[test]
fn a_stopped_fetch_ends() {
    let stored = Stored::new();
    let stop = AtomicBool::new(true);
    let folder = stored.store.incoming().unwrap();
    let limits = PackLimits {
        objects: 1000,
        object_bytes: 1024 * 1024,
    };
    let whole = pack(&[Object::blob(b"x")]);
    let outcome = index(Cursor::new(whole), folder, Kind::Sha1, None, limits, &stop);
    assert!(outcome.is_err());
    assert!(stored.files().is_empty());
}
