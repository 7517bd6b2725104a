//! Reads the body of a delivery, bounded in bytes and time.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Version, header};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use super::answer::{Answer, Reason};
use super::budget::{Lost, Share};
use super::buffer::Buffer;
use super::limits::{Bounds, Limits};

/// The maximum time for reading and discarding the rest of a refused delivery's body.
const DISCARD_TIME: Duration = Duration::from_secs(1);
/// The time limit for the first byte of a body whose sender may wait for the status 100 over HTTP/2. The HTTP library does
/// not send it there. Most clients send the body after a second without an answer.
const CONTINUE_TIME: Duration = Duration::from_secs(2);
/// The number of bytes for which a body gets a second more. A body of 25 MiB over a line of 2 MiB/s takes longer than the
/// time for small ones.
const SECOND_BYTES: usize = 1 << 20;
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

/// A body, and its share of the memory for bodies. An empty one has none.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) share: Option<Share>,
}

/// Reads a body within its bounds, into one buffer.
pub(super) async fn read(
    request: &Parts,
    mut body: Body,
    source: Option<IpAddr>,
    limits: &Limits,
) -> Result<Received, Answer> {
    let mut reader = Reader {
        limits,
        source,
        announced: announced(&request.headers).and_then(|length| usize::try_from(length).ok()),
        buffer: Buffer::default(),
        parts: 0,
        is_http2: request.version == Version::HTTP_2,
        expects_continue: expects_continue(request),
        share: None,
        started: Instant::now(),
        waited: Duration::ZERO,
    };
    match reader.read(&mut body).await {
        Ok(()) => Ok(Received {
            bytes: reader.buffer.into(),
            share: reader.share,
        }),
        Err(answer) => {
            if answer.is(Reason::Overloaded) {
                discard(body);
            }
            Err(answer)
        }
    }
}

struct Reader<'b> {
    limits: &'b Limits,
    source: Option<IpAddr>,
    /// The length by the headers.
    announced: Option<usize>,
    buffer: Buffer,
    /// The number of parts that arrived.
    parts: usize,
    is_http2: bool,
    /// Whether the sender may wait for a status that it does not get.
    expects_continue: bool,
    /// The share of the memory, if a part has arrived.
    share: Option<Share>,
    started: Instant,
    /// How long the body waited for memory, and not for the sender.
    waited: Duration,
}

impl Reader<'_> {
    async fn read(&mut self, body: &mut Body) -> Result<(), Answer> {
        while let Some(part) = self.part(body).await? {
            self.append(&part).await?;
            self.check_parts()?;
        }
        match &mut self.share {
            Some(share) => share
                .complete(self.buffer.len())
                .map_err(|Lost| self.limits.no_memory()),
            None => Ok(()),
        }
    }

    /// Waits for the next part of the body.
    async fn part(&self, body: &mut Body) -> Result<Option<Bytes>, Answer> {
        let mut deadline = self.deadline(self.buffer.len());
        if self.awaits_continue() {
            deadline = deadline.min(self.started + CONTINUE_TIME);
        }
        loop {
            let frame = tokio::select! {
                // What has arrived is used, even if this task is late.
                biased;
                frame = tokio::time::timeout_at(deadline + self.waited, body.frame()) => frame,
                Lost = self.lost() => return Err(self.limits.no_memory()),
            };
            let frame = frame.map_err(|_| self.late(deadline))?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| self.broken(&error))?;
            // Trailers are not used.
            if let Ok(part) = frame.into_data() {
                return Ok(Some(part));
            }
        }
    }

    /// Returns the answer to a body that has not arrived at its deadline.
    fn late(&self, deadline: Instant) -> Answer {
        if self.awaits_continue() {
            let error = "the status 100 is not sent over HTTP/2: send the webhook without the header Expect";
            return Answer::refused(Reason::ExpectationFailed, error);
        }
        let time = deadline - self.started;
        let error = format!("the body did not arrive within {time:?}");
        Answer::refused(Reason::BodyTimeout, error)
    }

    /// Returns the answer to a body that cannot be read to its end.
    fn broken(&self, error: &axum::Error) -> Answer {
        let (reason, error) = if is_malformed(error) {
            (
                Reason::InvalidChunks,
                "the chunks of the body are not valid HTTP",
            )
        } else if self.announced.is_some() {
            (
                Reason::BodyIncomplete,
                "the body ended before its announced length",
            )
        } else {
            (
                Reason::BodyIncomplete,
                "the body ended before its last part",
            )
        };
        let answer = Answer::refused(reason, error);
        // The rest of the connection cannot be read. A stream of HTTP/2 ends alone.
        if self.is_http2 {
            answer
        } else {
            answer.closing()
        }
    }

    /// Returns whether the sender may not have sent the body because it waits for the status 100.
    fn awaits_continue(&self) -> bool {
        self.expects_continue && self.parts == 0
    }

    /// Returns when this many bytes must have arrived, and the latest time at which a body of this size gets its memory.
    /// A large body may take longer.
    fn deadline(&self, bytes: usize) -> Instant {
        let more = Duration::from_secs((bytes / SECOND_BYTES) as u64);
        self.started + self.limits.bounds.body_time + more
    }

    async fn append(&mut self, part: &[u8]) -> Result<(), Answer> {
        let length = self.buffer.len() + part.len();
        if length > self.limits.bounds.body_bytes {
            return Err(too_large(&self.limits.bounds));
        }
        let bytes = self.reserve(length).await?;
        self.buffer
            .append(part, bytes)
            .map_err(|_| self.limits.no_memory())
    }

    /// Takes memory for a body of which this many bytes have arrived, and returns how large the body may become.
    async fn reserve(&mut self, arrived: usize) -> Result<usize, Answer> {
        if let Some(share) = &self.share
            && arrived <= share.bytes()
        {
            share.arrived(arrived - self.buffer.len());
            return Ok(share.bytes());
        }
        let largest = self.limits.bounds.body_bytes;
        let bodies = &self.limits.bodies;
        let bytes = match self.announced {
            Some(announced) if arrived <= announced => announced,
            _ => bodies.room(arrived).min(largest),
        };
        let asked = Instant::now();
        let reserved = bodies.reserve(self.source, bytes);
        let reserved = tokio::select! {
            reserved = tokio::time::timeout_at(self.deadline(bytes), reserved) => reserved,
            // A body without an announced length may have a small share already.
            Lost = self.lost() => Ok(Err(Lost)),
        };
        let Ok(Ok(share)) = reserved else {
            return Err(self.limits.no_memory());
        };
        self.waited += asked.elapsed();
        self.share = Some(share);
        Ok(bytes)
    }

    /// Waits until the share was taken away.
    async fn lost(&self) -> Lost {
        match &self.share {
            Some(share) => share.lost().await,
            None => std::future::pending().await,
        }
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

/// Returns whether a sender may wait for the status 100 (RFC 9110 §10.1.1). In HTTP/1.1, the HTTP library sends it.
fn expects_continue(request: &Parts) -> bool {
    let expected = request.headers.get(header::EXPECT);
    request.version == Version::HTTP_2
        && expected.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Returns whether a body cannot be read because it breaks the rules of HTTP, and not because the connection ended.
fn is_malformed(error: &axum::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::InvalidData
            );
        }
        source = error.source();
    }
    false
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
