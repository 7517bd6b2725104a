//! Writes a pack that arrives to a file, verifies it, and writes its index. A thin pack, which has deltas against
//! objects of earlier packs, is completed with these objects.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufRead, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use gix_pack::data::input::{
    BytesToEntriesIter, EntriesToBytesIter, Entry, EntryDataMode, LookupRefDeltaObjectsIter, Mode,
};
use gix_pack::{bundle, data, index as pack_index};
use gix_utils::progress::Discard;
use tempfile::TempDir;

use super::StoreError;
use super::contents::PackName;
use super::pack::Packs;
use crate::error::Cause;

/// The size of a compressed object beyond that of its content: zlib's frame and blocks that cannot be compressed.
const COMPRESSION_OVERHEAD: u64 = 1024 * 1024;
/// The size of the largest allocation for each object of a pack while its index is written, in bytes. The library has one
/// limit for it and for the content of an object.
const MEMORY_PER_OBJECT: usize = 40;
/// The names of the files before the checksum of the pack is known.
const PACK: &str = "pack";
const INDEX: &str = "idx";

/// The limits of a pack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackLimits {
    /// The maximum number of objects.
    pub(crate) objects: usize,
    /// The maximum size of one object, decompressed, in bytes.
    pub(crate) object_bytes: usize,
}

/// The reason why a pack cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    #[error("the store cannot be written")]
    Store(#[from] StoreError),
    #[error("the pack has {count} objects")]
    TooManyObjects { count: usize },
    #[error("an object of the pack is too large")]
    ObjectTooLarge,
    #[error("the pack is damaged")]
    Damaged(#[source] Cause),
}

/// A pack with its index, in a directory that is removed when the value is dropped.
#[derive(Debug)]
pub(crate) struct Indexed {
    directory: TempDir,
    name: PackName,
}

impl Indexed {
    /// Returns the name of the pack.
    pub(super) fn name(&self) -> PackName {
        self.name.clone()
    }

    /// Returns the directory with the files of the pack.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// Reads a pack, and writes it and its index to a directory. Returns `None` if the pack has no objects.
///
/// The checksum of the pack is verified, and the ids of all objects are computed. `earlier` are the packs with the bases
/// of a thin pack. The work ends with an error soon after `stop` is set.
pub(crate) fn index(
    input: impl Read,
    directory: TempDir,
    format: gix_hash::Kind,
    earlier: Option<&Packs>,
    limits: PackLimits,
    stop: &AtomicBool,
) -> Result<Option<Indexed>, IndexError> {
    let path = directory.path().join(PACK);
    let output = Output::create(&path)?;
    let mut input = Input {
        inner: io::BufReader::with_capacity(64 * 1024, input),
        // Where the pack is completed, its entries are written as they become.
        copy: earlier.is_none().then(|| output.clone()),
        object: Rc::new(ObjectSize::new(limits.object_bytes)),
        failure: None,
        stop,
    };
    let object = Rc::clone(&input.object);
    let outcome = index_entries(&mut input, &output, &path, format, earlier, limits, stop);
    let rest = outcome
        .is_ok()
        .then(|| input.fill_buf().map(<[u8]>::is_empty));
    let pack = match (outcome, input.failure, rest) {
        (_, Some(error), _) => return Err(StoreError::io("write", &path)(error).into()),
        _ if object.is_too_large() => return Err(IndexError::ObjectTooLarge),
        (Err(error), ..) => return Err(error),
        (Ok(_), _, Some(Ok(false))) => {
            return Err(IndexError::Damaged("bytes follow its end".into()));
        }
        (Ok(_), _, Some(Err(error))) => return Err(IndexError::Damaged(error.into())),
        (Ok(None), ..) => return Ok(None),
        (Ok(Some(pack)), ..) => pack,
    };
    output.sync().map_err(StoreError::io("write", &path))?;
    let bytes = path
        .metadata()
        .map_err(StoreError::io("read", &path))?
        .len();
    let name = PackName::new(&pack.data_hash, bytes);
    for (from, to) in [PACK, INDEX].into_iter().zip(name.files()) {
        std::fs::rename(directory.path().join(from), directory.path().join(to))
            .map_err(StoreError::io("move", &path))?;
    }
    // The library has refused what is too large, unless its limit had to be a larger one.
    let is_thin = earlier.is_some();
    if indexing_memory(pack.num_objects as usize, is_thin) > limits.object_bytes {
        let packs = Packs::open(directory.path(), std::slice::from_ref(&name), format)?;
        if packs.have_larger(limits.object_bytes as u64)? {
            return Err(IndexError::ObjectTooLarge);
        }
    }
    Ok(Some(Indexed { directory, name }))
}

/// Returns the size of the largest allocation while the index of a pack is written. A thin pack may become one of twice as
/// many objects.
fn indexing_memory(count: usize, is_thin: bool) -> usize {
    count * MEMORY_PER_OBJECT * if is_thin { 2 } else { 1 }
}

fn index_entries(
    input: &mut Input<'_, impl Read>,
    output: &Output,
    path: &Path,
    format: gix_hash::Kind,
    earlier: Option<&Packs>,
    limits: PackLimits,
    stop: &AtomicBool,
) -> Result<Option<pack_index::write::Outcome>, IndexError> {
    let object = Rc::clone(&input.object);
    let kept = match earlier {
        Some(_) => EntryDataMode::KeepAndCrc32,
        None => EntryDataMode::Crc32,
    };
    let entries = BytesToEntriesIter::new_from_header(&mut *input, Mode::Verify, kept, format)
        .map_err(damaged)?;
    let (count, version) = (entries.size_hint().0, entries.version());
    if count > limits.objects {
        return Err(IndexError::TooManyObjects { count });
    }
    if count == 0 {
        drop(entries);
        return skip_checksum(input, format).map(|()| None);
    }
    let entries = entries.inspect(|entry| {
        if let Ok(entry) = entry {
            object.end(entry.decompressed_size);
        }
    });
    let mut entries: Entries<'_> = match earlier {
        None => Box::new(entries),
        Some(packs) => completed(entries, packs, output, version, format),
    };
    let index_path = path.with_file_name(INDEX);
    let create = File::create_new(&index_path).map_err(StoreError::io("write", &index_path))?;
    let mut index = BufWriter::new(create);
    let open = || {
        output.flush()?;
        let pack = data::File::at(path, format).map_err(io::Error::other)?;
        Ok((resolve, pack))
    };
    let indexing = indexing_memory(count, earlier.is_some());
    let written = pack_index::write_data_iter_to_stream(
        pack_index::Version::default(),
        open,
        &mut *entries,
        Some(1),
        &mut Discard,
        &mut index,
        stop,
        format,
        Some(limits.object_bytes.max(indexing)),
        version,
    )
    .map_err(damaged)?;
    sync(index).map_err(StoreError::io("write", &index_path))?;
    Ok(Some(written))
}

fn sync(index: BufWriter<File>) -> io::Result<()> {
    let file = index.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

fn damaged(error: gix_error::Error) -> IndexError {
    if error.is_resource_exhausted() {
        // What a delta makes is too large.
        IndexError::ObjectTooLarge
    } else {
        IndexError::Damaged(error.into())
    }
}

/// Reads the end of a pack without objects, of which only the checksum is left.
fn skip_checksum(
    input: &mut Input<'_, impl Read>,
    format: gix_hash::Kind,
) -> Result<(), IndexError> {
    let mut checksum = vec![0; format.len_in_bytes()];
    let read = input.read_exact(&mut checksum);
    read.map_err(|error| IndexError::Damaged(error.into()))
}

/// The entries of a pack.
type Entries<'a> = Box<dyn Iterator<Item = gix_error::Result<Entry>> + 'a>;

/// Returns the entries of a thin pack with the objects that it lacks, which are written as they are read.
fn completed<'a>(
    entries: impl Iterator<Item = gix_error::Result<Entry>> + 'a,
    earlier: &'a Packs,
    output: &Output,
    version: data::Version,
    format: gix_hash::Kind,
) -> Entries<'a> {
    let compression = bundle::write::Options::default().compression;
    let completed = LookupRefDeltaObjectsIter::new(entries, earlier, compression);
    let output = output.clone();
    Box::new(EntriesToBytesIter::new(completed, output, version, format))
}

fn resolve(range: data::EntryRange, pack: &data::File) -> Option<&[u8]> {
    pack.entry_slice(range)
}

/// The size of the object that is read.
#[derive(Debug)]
struct ObjectSize {
    limit: u64,
    /// The number of compressed bytes so far.
    compressed: Cell<u64>,
    /// Whether the content of an object is larger than the limit.
    is_exceeded: Cell<bool>,
}

impl ObjectSize {
    fn new(limit: usize) -> Self {
        Self {
            limit: limit as u64,
            compressed: Cell::default(),
            is_exceeded: Cell::default(),
        }
    }

    /// Ends an object whose content has this size.
    fn end(&self, bytes: u64) {
        self.compressed.set(0);
        if bytes > self.limit {
            self.is_exceeded.set(true);
        }
    }

    fn add(&self, bytes: usize) {
        let bytes = self.compressed.get().saturating_add(bytes as u64);
        self.compressed.set(bytes);
        if bytes > self.limit + COMPRESSION_OVERHEAD {
            self.is_exceeded.set(true);
        }
    }

    fn is_too_large(&self) -> bool {
        self.is_exceeded.get()
    }
}

/// The arriving pack. What is consumed is written to a copy.
struct Input<'a, R> {
    inner: io::BufReader<R>,
    copy: Option<Output>,
    object: Rc<ObjectSize>,
    /// The error of the copy. A consumer cannot be told.
    failure: Option<io::Error>,
    stop: &'a AtomicBool,
}

impl<R: Read> BufRead for Input<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        // A compressed object is kept in memory until its end, so that it has to be refused before.
        if self.object.is_too_large() || self.failure.is_some() {
            return Err(io::Error::other("an object cannot be stored"));
        }
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the fetch was given up"));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(copy) = &mut self.copy {
            let consumed = self.inner.buffer().get(..amount).unwrap_or_default();
            if let Err(error) = copy.write_all(consumed) {
                self.failure = Some(error);
            }
        }
        self.object.add(amount);
        self.inner.consume(amount);
    }
}

impl<R: Read> Read for Input<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// The file of the pack, which the reader of the pack and the writer of the index share.
#[derive(Debug, Clone)]
struct Output(Rc<RefCell<BufWriter<File>>>);

impl Output {
    fn create(path: &PathBuf) -> Result<Self, StoreError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(StoreError::io("write", path))?;
        Ok(Self(Rc::new(RefCell::new(BufWriter::with_capacity(
            64 * 1024,
            file,
        )))))
    }

    fn flush(&self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }

    fn sync(&self) -> io::Result<()> {
        self.flush()?;
        self.0.borrow().get_ref().sync_all()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::flush(self)
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.0.borrow_mut();
        file.flush()?;
        file.get_mut().read(buffer)
    }
}

impl Seek for Output {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.borrow_mut().seek(to)
    }
}
