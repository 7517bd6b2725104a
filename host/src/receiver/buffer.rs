//! The buffer of a body, which is contiguous.

use std::io;

use bytes::Bytes;
use memmap2::MmapMut;

/// The size in bytes beyond which a body is in a mapping of its own. A mapping returns its memory to the system at
/// once, and the pages that were not written are only reserved in the address space.
const MAPPED_BYTES: usize = 1 << 20;

/// The bytes of a body that have arrived.
pub(super) enum Buffer {
    Small(Vec<u8>),
    Large(Mapping),
}

/// A mapping, and the number of its bytes that were written.
pub(super) struct Mapping {
    map: MmapMut,
    length: usize,
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.map[..self.length]
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::Small(Vec::new())
    }
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Small(bytes) => bytes.len(),
            Self::Large(mapping) => mapping.length,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large(mapping) => mapping.as_ref(),
        }
    }

    /// Appends a part. `capacity` is the largest size that the body can have. It may be larger than before.
    pub(super) fn append(&mut self, part: &[u8], capacity: usize) -> io::Result<()> {
        let length = self.len() + part.len();
        match self {
            Self::Small(bytes) if length <= MAPPED_BYTES => {
                let most = capacity.min(MAPPED_BYTES);
                bytes.reserve_exact(most.saturating_sub(bytes.len()));
                bytes.extend_from_slice(part);
                return Ok(());
            }
            Self::Large(mapping) if length <= mapping.map.len() => {}
            Self::Small(_) | Self::Large(_) => {
                let mut map = MmapMut::map_anon(capacity.max(length))?;
                let length = self.len();
                map[..length].copy_from_slice(self.bytes());
                *self = Self::Large(Mapping { map, length });
            }
        }
        if let Self::Large(mapping) = self {
            mapping.map[mapping.length..length].copy_from_slice(part);
            mapping.length = length;
        }
        Ok(())
    }
}

impl From<Buffer> for Bytes {
    fn from(buffer: Buffer) -> Self {
        match buffer {
            Buffer::Small(bytes) => bytes.into(),
            Buffer::Large(mapping) => Self::from_owner(mapping),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_in_both_forms() {
        let part: Vec<u8> = (0..=255).cycle().take(300 << 10).collect();
        for count in [1, 3, 4, 9] {
            let mut buffer = Buffer::default();
            for _ in 0..count {
                buffer.append(&part, count * part.len()).unwrap();
            }
            assert_eq!(buffer.len(), count * part.len());
            assert_eq!(Bytes::from(buffer), part.repeat(count));
        }
    }

    #[test]
    fn a_body_may_become_larger_than_was_expected() {
        let part = vec![b'x'; 700 << 10];
        let mut buffer = Buffer::default();
        for count in 1..10 {
            buffer.append(&part, count * part.len()).unwrap();
        }
        assert_eq!(Bytes::from(buffer), part.repeat(9));
    }
}
