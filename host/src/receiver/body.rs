use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::BodyExt as _;

use super::answer::{Answer, Reason};
use super::budget::Share;
use super::buffer::Buffer;
use super::limits::{Bounds, Limits};

/// The maximum time for reading and discarding the rest of a refused delivery's body.
const DISCARD_TIME: Duration = Duration::from_secs(1);
/// The number of parts of a body whose size does not matter.
const FREE_PARTS: usize = 1024;
/// The minimum of the average size of the other parts in bytes.
const PART_BYTES: usize = 64;

/// Refuses a body whose announced length exceeds the limit, before the body is read.
pub(super) fn check_length(headers: &HeaderMap, bounds: &Bounds) -> Result<(), Answer> {
    if announced(headers).is_some_and(|length| length > bounds.body_bytes as u64) {
        Err(too_large(bounds))
    } else {
        Ok(())
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// A body, and its share of the memory for bodies.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) share: Share,
}

/// Reads a body within its bounds, into one buffer.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
) -> Result<Received, Answer> {
    let bounds = &limits.bounds;
    let length = announced(headers).and_then(|length| usize::try_from(length).ok());
    let mut reader = Reader {
        limits,
        // After the first part, the buffer has the maximum size of the body.
        capacity: length.map_or(bounds.body_bytes, |length| length.min(bounds.body_bytes)),
        buffer: Buffer::default(),
        parts: 0,
        share: limits.bodies.share(),
        is_waiting: false,
    };
    match tokio::time::timeout(bounds.body_time, reader.read(body)).await {
        Ok(Ok(())) => Ok(Received {
            bytes: reader.buffer.into(),
            share: reader.share,
        }),
        Ok(Err(answer)) => Err(answer),
        Err(_) if reader.is_waiting => Err(limits.no_memory()),
        Err(_) => Err(too_slow(format!(
            "the body did not arrive within {:?}",
            bounds.body_time
        ))),
    }
}

struct Reader<'b> {
    limits: &'b Limits,
    capacity: usize,
    buffer: Buffer,
    /// The number of parts that arrived.
    parts: usize,
    share: Share,
    /// Whether the body waits for memory, and not for the sender.
    is_waiting: bool,
}

impl Reader<'_> {
    async fn read(&mut self, mut body: Body) -> Result<(), Answer> {
        let bounds = &self.limits.bounds;
        loop {
            let frame = tokio::time::timeout(bounds.body_pause, body.frame()).await;
            let frame = frame.map_err(|_| {
                let pause = bounds.body_pause;
                too_slow(format!("no part of the body arrived within {pause:?}"))
            })?;
            let Some(frame) = frame else {
                return Ok(());
            };
            let frame = frame.map_err(|_| {
                let error = "the body ended before its announced length";
                Answer::refused(Reason::BodyIncomplete, error)
            })?;
            if let Ok(part) = frame.into_data() {
                self.append(&part).await?;
                self.check_parts()?;
            }
        }
    }

    async fn append(&mut self, part: &[u8]) -> Result<(), Answer> {
        let length = self.buffer.len() + part.len();
        if length > self.limits.bounds.body_bytes {
            return Err(too_large(&self.limits.bounds));
        }
        self.is_waiting = true;
        self.share.grow(length).await;
        self.is_waiting = false;
        self.buffer
            .append(part, self.capacity.max(length))
            .map_err(|_| self.limits.no_memory())
    }

    /// Refuses a body in very many tiny parts. Each costs as much processor time as a large one, and no HTTP client
    /// sends them.
    fn check_parts(&mut self) -> Result<(), Answer> {
        self.parts += 1;
        if self.parts > FREE_PARTS && self.buffer.len() / self.parts < PART_BYTES {
            let error = "the body is sent in too small chunks";
            return Err(Answer::refused(Reason::ChunksTooSmall, error));
        }
        Ok(())
    }
}

/// Reads the rest of a refused delivery for a while, and drops it.
///
/// If the connection were closed on a sender that still writes, TCP would reset it, and the sender would lose the
/// answer that says what is wrong.
pub(super) fn discard(mut body: Body) {
    tokio::spawn(async move {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        tokio::time::timeout(DISCARD_TIME, rest).await.ok();
    });
}

fn too_large(bounds: &Bounds) -> Answer {
    let error = format!("the body is larger than {} bytes", bounds.body_bytes);
    Answer::refused(Reason::BodyTooLarge, error)
}

fn too_slow(error: String) -> Answer {
    Answer::refused(Reason::BodyTimeout, error)
}
