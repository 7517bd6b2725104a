//! Reads objects from packs. Each pack has the bases of all its deltas.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use gix_hash::{ObjectId, oid};
use gix_object::Kind;
use gix_pack::cache::Never;
use gix_pack::data::decode::header::ResolvedBase;
use gix_pack::{Bundle, data, index};

use super::contents::PackName;
use super::{MAX_OBJECT, StoreError};
use crate::error::Cause;

/// The memory that decoding one object may use: two versions of the object, and its deltas.
const MAX_DECODING: usize = 3 * MAX_OBJECT;

/// Several packs. The bytes of a pack are mapped, and do not have to be in memory.
#[derive(Default, Clone)]
pub(crate) struct Packs(Vec<Arc<Pack>>);

struct Pack {
    name: PackName,
    bundle: Bundle,
}

impl fmt::Debug for Packs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.names()).finish()
    }
}

impl Packs {
    /// Opens packs of a directory. A pack whose size is not that of its name is damaged.
    pub(super) fn open(
        directory: &Path,
        names: &[PackName],
        format: gix_hash::Kind,
    ) -> Result<Self, StoreError> {
        let packs = names.iter().map(|name| open(directory, name, format));
        packs.collect::<Result<_, _>>().map(Self)
    }

    /// Returns these packs followed by others.
    pub(super) fn and(&self, others: &Self) -> Self {
        Self(self.0.iter().chain(&others.0).cloned().collect())
    }

    /// Returns the names of the packs.
    pub(super) fn names(&self) -> Vec<PackName> {
        self.0.iter().map(|pack| pack.name.clone()).collect()
    }

    /// Returns whether the packs have an object. The object is not read.
    pub(super) fn contain(&self, id: &oid) -> bool {
        self.0
            .iter()
            .any(|pack| pack.bundle.index.lookup(id).is_some())
    }

    /// Reads an object of a type, and checks its content by its id.
    pub(super) fn read(&self, id: &oid, expected: Kind) -> Result<Vec<u8>, StoreError> {
        let mut data = Vec::new();
        let found = self.decode(id, &mut data)?;
        if found != expected {
            return Err(StoreError::Unexpected {
                id: id.to_string(),
                expected: match expected {
                    Kind::Commit => "a commit",
                    Kind::Tree => "a directory",
                    Kind::Blob => "a file",
                    Kind::Tag => "a tag",
                },
            });
        }
        let is_intact = gix_object::compute_hash(id.kind(), expected, &data)
            .is_ok_and(|computed: ObjectId| *computed == *id);
        is_intact
            .then_some(data)
            .ok_or_else(|| StoreError::Unreadable {
                id: id.to_string(),
                source: "its content has changed".into(),
            })
    }

    /// Returns the size of an object. Only the beginning of its entry is read.
    pub(super) fn size(&self, id: &oid) -> Result<u64, StoreError> {
        for pack in &self.0 {
            if let Some(index) = pack.bundle.index.lookup(id) {
                let offset = pack.bundle.index.pack_offset_at_index(index);
                return pack.size(offset).map_err(|error| StoreError::Unreadable {
                    id: id.to_string(),
                    source: error.into(),
                });
            }
        }
        Err(StoreError::missing(id))
    }

    /// Returns whether an object of the packs is larger than this. Only the beginning of each entry is read.
    pub(super) fn have_larger(&self, limit: u64) -> Result<bool, StoreError> {
        for pack in &self.0 {
            for entry in pack.bundle.index.iter() {
                let size = pack.size(entry.pack_offset);
                let size = size.map_err(|error| StoreError::Unreadable {
                    id: entry.oid.to_string(),
                    source: error.into(),
                })?;
                if size > limit {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Decodes an object of any type into a buffer, and returns the type.
    fn decode(&self, id: &oid, data: &mut Vec<u8>) -> Result<Kind, StoreError> {
        let unreadable = |source: Cause| StoreError::Unreadable {
            id: id.to_string(),
            source,
        };
        #[expect(
            clippy::default_trait_access,
            reason = "the type is one of a library that this crate does not depend on"
        )]
        let mut inflate = Default::default();
        for pack in &self.0 {
            let decoded = pack
                .bundle
                .find(id, data, &mut inflate, &mut Never)
                .map_err(|error| unreadable(error.into()))?;
            if let Some((object, _)) = decoded {
                let (kind, length) = (object.kind, object.data.len());
                data.truncate(length);
                return Ok(kind);
            }
        }
        Err(StoreError::missing(id))
    }
}

impl Pack {
    /// Returns the size of the object at an offset.
    fn size(&self, offset: data::Offset) -> gix_error::Result<u64> {
        #[expect(
            clippy::default_trait_access,
            reason = "the type is one of a library that this crate does not depend on"
        )]
        let mut inflate = Default::default();
        let Bundle { pack, index } = &self.bundle;
        let base = |id: &oid| {
            let found = index.lookup(id);
            let entry = found.map(|found| pack.entry(index.pack_offset_at_index(found)));
            entry
                .transpose()
                .map(|entry| entry.map(ResolvedBase::InPack))
        };
        let header = pack.decode_header(pack.entry(offset)?, &mut inflate, &base)?;
        Ok(header.object_size)
    }
}

impl gix_object::Find for &Packs {
    fn try_find<'a>(
        &self,
        id: &oid,
        buffer: &'a mut Vec<u8>,
    ) -> gix_error::Result<Option<gix_object::Data<'a>>> {
        match self.decode(id, buffer) {
            Ok(kind) => Ok(Some(gix_object::Data {
                kind,
                data: buffer,
                object_hash: id.kind(),
            })),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(gix_error::message!("{error}").into()),
        }
    }
}

fn open(
    directory: &Path,
    name: &PackName,
    format: gix_hash::Kind,
) -> Result<Arc<Pack>, StoreError> {
    let [pack, index] = name.files().map(|file| directory.join(file));
    let bytes = fs::metadata(&pack).map_err(|error| cannot_open(&pack, error))?;
    if bytes.len() != name.bytes() {
        return Err(damaged(&pack, "it has another size than it had"));
    }
    let bundle = Bundle {
        index: index::File::at(&index, format).map_err(|error| unusable(&index, error))?,
        pack: data::File::at(&pack, format)
            .map_err(|error| unusable(&pack, error))?
            .with_alloc_limit_bytes(Some(MAX_DECODING)),
    };
    Ok(Arc::new(Pack {
        name: name.clone(),
        bundle,
    }))
}

/// Returns the error about a file that the library cannot use. Its error does not tell whether the file can be opened.
fn unusable(path: &Path, error: gix_error::Error) -> StoreError {
    match fs::File::open(path) {
        Ok(_) => damaged(path, error),
        Err(error) => cannot_open(path, error),
    }
}

fn cannot_open(path: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => damaged(path, error),
        _ => StoreError::io("read", path)(error),
    }
}

fn damaged(path: &Path, source: impl Into<Cause>) -> StoreError {
    StoreError::Damaged {
        path: path.to_owned(),
        source: source.into(),
    }
}
