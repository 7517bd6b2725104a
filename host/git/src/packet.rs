//! Packet lines, the frames of git's protocol: read from any source of bytes, and written for questions.
//!
//! It knows no transport, and no meaning of a line except that one with `ERR` is a refusal.

use bytes::{Buf as _, Bytes, BytesMut};
use gix_packetline::PacketLineRef;
use gix_packetline::decode::{Stream, streaming};

use super::error::{GitError, plain};

/// Where packets come from.
pub(super) trait Incoming: Send {
    /// Adds some bytes to the buffer and tells how many; none at the end.
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
    /// The border between two parts of a list.
    Delimiter,
}

/// The bytes of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line(Bytes);

impl Line {
    /// As they came.
    pub(super) fn data(&self) -> &[u8] {
        &self.0
    }

    /// Without the newline at the end, which senders may leave out.
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

impl<S: Incoming> Packets<S> {
    /// Reads no more than `limit` bytes from the source.
    pub(super) fn new(source: S, limit: usize) -> Self {
        Self {
            source,
            buffer: BytesMut::new(),
            taken: 0,
            limit,
        }
    }

    /// The source, for the next question. What was read beyond the last answer is dropped.
    pub(super) fn source(&mut self) -> &mut S {
        self.buffer.clear();
        &mut self.source
    }

    /// The next packet. A refusal is an error, and so is the end of the source.
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
            let added = self.source.read(&mut self.buffer).await?;
            if added == 0 {
                return Err(GitError::Truncated);
            }
            self.taken = self.taken.saturating_add(added);
            if self.taken > self.limit {
                return Err(GitError::TooLarge { limit: self.limit });
            }
        }
    }

    /// The next packet if it is in the buffer as a whole.
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

/// The digits before each packet, which tell its length.
const PREFIX: usize = 4;

/// A question of version 2: a command, what the client says of itself, and the command's arguments.
pub(super) fn question(command: &str, capabilities: &[String], arguments: &[String]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    put_line(&mut out, &format!("command={command}"));
    for capability in capabilities {
        put_line(&mut out, capability);
    }
    out.extend_from_slice(b"0001");
    for argument in arguments {
        put_line(&mut out, argument);
    }
    out.extend_from_slice(b"0000");
    out
}

fn put_line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(format!("{:04x}{text}\n", PREFIX + text.len() + 1).as_bytes());
}

/// One packet with these bytes, and no newline.
pub(super) fn frame(data: &[u8]) -> Vec<u8> {
    let mut out = format!("{:04x}", PREFIX + data.len()).into_bytes();
    out.extend_from_slice(data);
    out
}
