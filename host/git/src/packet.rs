//! Reads and writes packet lines, the frames of git's protocol (gitprotocol-common). The packets can come from any
//! source of bytes.
//!
//! This module does not depend on a transport. The only line that it interprets is a line with `ERR`, which is an
//! error.

use bytes::{Buf as _, Bytes, BytesMut};
use gix_packetline::PacketLineRef;
use gix_packetline::decode::{Stream, streaming};

use super::error::{GitError, plain};

/// A source of packets.
pub(super) trait PacketSource: Send {
    /// Appends bytes to the buffer and returns their number, which is 0 at the end.
    fn read(
        &mut self,
        buffer: &mut BytesMut,
    ) -> impl Future<Output = Result<usize, GitError>> + Send;
}

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    /// A line.
    Line(Line),
    /// The end of a list.
    Flush,
    /// The end of one section of a list.
    Delimiter,
}

/// The bytes of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line(Bytes);

impl Line {
    /// Returns all bytes.
    pub(super) fn data(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes after the first ones, without a copy.
    pub(super) fn data_from(&self, start: usize) -> Bytes {
        self.0.slice(start..)
    }

    /// Returns the bytes without the optional newline at the end.
    pub(super) fn text(&self) -> &[u8] {
        self.0.strip_suffix(b"\n").unwrap_or(&self.0)
    }
}

/// The packets of a connection, in order.
#[derive(Debug)]
pub(super) struct Packets<S> {
    source: S,
    buffer: BytesMut,
    taken: usize,
    limit: usize,
}

impl<S: PacketSource> Packets<S> {
    /// Returns the packets of a source. At most `limit` bytes of it are read.
    pub(super) fn new(source: S, limit: usize) -> Self {
        Self {
            source,
            buffer: BytesMut::new(),
            taken: 0,
            limit,
        }
    }

    /// Returns the source, for the next request. The rest of the last answer is dropped.
    pub(super) fn source(&mut self) -> &mut S {
        self.buffer.clear();
        &mut self.source
    }

    /// Continues with another source. The size of its answers counts too.
    pub(super) fn replace_source(&mut self, source: S) {
        self.buffer.clear();
        self.source = source;
    }

    /// Reads the next packet.
    ///
    /// # Errors
    ///
    /// Fails if the packet is an error of the server, or if the source ends.
    pub(super) async fn next(&mut self) -> Result<Packet, GitError> {
        loop {
            if let Some(packet) = self.take()? {
                return match packet {
                    Packet::Line(line) if line.data().starts_with(b"ERR ") => {
                        Err(GitError::Remote {
                            message: plain(&line.data()[4..]),
                        })
                    }
                    packet => Ok(packet),
                };
            }
            if self.fill().await? == 0 {
                return Err(GitError::Truncated);
            }
        }
    }

    /// Reads the next bytes of an answer that does not consist of packets. No bytes are its end.
    pub(super) async fn bytes(&mut self) -> Result<Bytes, GitError> {
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        Ok(self.buffer.split().freeze())
    }

    /// Reads more bytes of the source, and returns their number.
    async fn fill(&mut self) -> Result<usize, GitError> {
        let added = self.source.read(&mut self.buffer).await?;
        self.taken = self.taken.saturating_add(added);
        if self.taken > self.limit {
            return Err(GitError::TooLarge { limit: self.limit });
        }
        Ok(added)
    }

    /// Takes the next packet, if the buffer contains all of it.
    fn take(&mut self) -> Result<Option<Packet>, GitError> {
        let decoded = streaming(&self.buffer).map_err(|_| {
            let start = plain(&self.buffer[..self.buffer.len().min(16)]);
            GitError::malformed(format!("{start:?} is not the start of a packet line"))
        })?;
        let Stream::Complete {
            line,
            bytes_consumed,
        } = decoded
        else {
            return Ok(None);
        };
        let packet = match line {
            PacketLineRef::Flush | PacketLineRef::ResponseEnd => Packet::Flush,
            PacketLineRef::Delimiter => Packet::Delimiter,
            PacketLineRef::Data(_) => {
                let mut frame = self.buffer.split_to(bytes_consumed).freeze();
                frame.advance(PREFIX);
                return Ok(Some(Packet::Line(Line(frame))));
            }
        };
        self.buffer.advance(bytes_consumed);
        Ok(Some(packet))
    }
}

/// The number of hexadecimal digits before each packet, which contain its length.
const PREFIX: usize = 4;

/// Appends a line as one packet.
pub(super) fn put_line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(format!("{:04x}{text}\n", PREFIX + text.len() + 1).as_bytes());
}

/// Returns one packet of these bytes, without a newline.
pub(super) fn frame(data: &[u8]) -> Vec<u8> {
    let mut out = format!("{:04x}", PREFIX + data.len()).into_bytes();
    out.extend_from_slice(data);
    out
}
