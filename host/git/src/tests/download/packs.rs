//! Tests of packs that are made to do harm.

use std::io::Cursor;
use std::sync::atomic::AtomicBool;

use gix_hash::Kind;

use super::super::super::store::{IndexError, PackLimits, index};
use super::made::{Object, commit_id, delta_size, header, pack, pack_of, store_pack, zlib};
use super::*;

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
    let directory = stored.store.incoming().unwrap();
    let limits = PackLimits {
        objects: 1000,
        object_bytes: 1024 * 1024,
    };
    let whole = pack(&[Object::blob(b"x")]);
    let outcome = index(
        Cursor::new(whole),
        directory,
        Kind::Sha1,
        None,
        limits,
        &stop,
    );
    assert!(outcome.is_err());
    assert!(stored.files().is_empty());
}
