//! Streams of HTTP/2 (RFC 9113), which a client library would not send.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::list::PATH;

/// The first bytes of a client (§3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest id of a stream (§5.1.1).
const LAST_STREAM: u32 = (1 << 31) - 1;
/// The time limit for the first frame of a server.
const LIMIT: Duration = Duration::from_secs(2);

/// A frame of no settings (§6.5).
pub(super) const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// An answer to a ping that the server has not sent (§6.7).
pub(super) const PING_ACK: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0pingpong";

/// The number of streams that the server allows at a time.
const STREAMS: usize = 16;

/// The types of frames (§6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS_KIND: u8 = 4;
const PING: u8 = 6;
/// The flag of the last frame of a stream.
const END_STREAM: u8 = 1;
/// The flag of the answer to a frame.
const ACK: u8 = 1;
/// The flag of a frame whose headers are complete.
const END_HEADERS: u8 = 4;
/// The setting that the server may send no bytes of a body before it is allowed (§6.5.2).
const CLOSED_WINDOW: [u8; 6] = [0, 4, 0, 0, 0, 0];
/// The reason of a stream that the client does not need any more (§7).
const CANCEL: u32 = 8;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Returns the headers of a webhook.
fn headers(length: Option<usize>) -> Vec<u8> {
    let length = length.map(|length| length.to_string());
    let length = length
        .iter()
        .map(|length| ("content-length", length.as_str()));
    let signature = [("x-hub-signature-256", "sha256=00")];
    block("POST", PATH, signature.into_iter().chain(length))
}

/// Returns headers as literals that are not indexed (RFC 7541 §6.2.2).
fn block<'a>(
    method: &'a str,
    path: &'a str,
    others: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<u8> {
    let fields = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
    ];
    let mut block = Vec::new();
    for (name, value) in fields.into_iter().chain(others) {
        block.push(0);
        for text in [name, value] {
            // All texts are shorter than 127 bytes, so that the length is one byte.
            block.push(u8::try_from(text.len()).unwrap_or_default());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// Returns whether a server answers HTTP/2 to a client that begins with it.
pub(super) async fn is_served(port: u16) -> bool {
    let probe = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(PREFACE).await?;
        stream.write_all(SETTINGS).await?;
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        std::io::Result::Ok(head[3] == SETTINGS_KIND)
    };
    matches!(timeout(LIMIT, probe).await, Ok(Ok(true)))
}

/// Opens streams as fast as possible, until the server ends the connection. Each stream is reset at once, or has a body
/// that never arrives.
pub(super) async fn flood(stream: &mut TcpStream, is_reset: bool) -> Result<()> {
    let (reader, mut writer) = stream.split();
    let headers = headers(None);
    let write = async {
        writer.write_all(PREFACE).await?;
        writer.write_all(SETTINGS).await?;
        for id in (1..LAST_STREAM).step_by(2) {
            let mut frames = frame(HEADERS, END_HEADERS, id, &headers);
            if is_reset {
                frames.extend(frame(RST_STREAM, 0, id, &CANCEL.to_be_bytes()));
            }
            writer.write_all(&frames).await?;
        }
        std::io::Result::Ok(())
    };
    discard_answers(reader, write).await
}

/// Sends a frame again and again, until the server ends the connection.
pub(super) async fn repeat(stream: &mut TcpStream, frame: &[u8]) -> Result<()> {
    let (reader, mut writer) = stream.split();
    let part = frame.repeat(1000);
    let write = async {
        writer.write_all(PREFACE).await?;
        writer.write_all(SETTINGS).await?;
        loop {
            writer.write_all(&part).await?;
        }
    };
    discard_answers(reader, write).await
}

/// Writes, and reads all that the server sends, until the connection ends.
async fn discard_answers(
    mut reader: impl AsyncRead + Unpin,
    write: impl Future<Output = std::io::Result<()>>,
) -> Result<()> {
    let read = async {
        let mut buffer = vec![0; 16 << 10];
        while reader.read(&mut buffer).await? > 0 {}
        std::io::Result::Ok(())
    };
    tokio::select! {
        ended = write => ended?,
        ended = read => ended?,
    }
    Ok(())
}

/// Opens as many streams as the server allows, takes no answer, and answers pings until the server ends the connection.
pub(super) async fn leave_unread(stream: &mut TcpStream) -> Result<()> {
    let headers = block("GET", "/healthz", []);
    let ids = (1..LAST_STREAM).step_by(2).take(STREAMS);
    let requests = ids.flat_map(|id| frame(HEADERS, END_HEADERS | END_STREAM, id, &headers));
    let mut first = [PREFACE, &frame(SETTINGS_KIND, 0, 0, &CLOSED_WINDOW)].concat();
    first.extend(requests);
    stream.write_all(&first).await?;
    loop {
        let (kind, flags, _, payload) = read_frame(stream).await?;
        if kind == PING && flags & ACK == 0 {
            stream.write_all(&frame(PING, ACK, 0, &payload)).await?;
        }
    }
}

/// Returns the type, the flags, the stream and the payload of the next frame.
async fn read_frame(
    reader: &mut (impl AsyncRead + Unpin),
) -> std::io::Result<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await?;
    let [high, middle, low, kind, flags, id @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
    reader.read_exact(&mut payload).await?;
    Ok((kind, flags, u32::from_be_bytes(id), payload))
}

/// The streams of a connection.
#[derive(Default)]
struct Streams {
    open: BTreeSet<u32>,
    /// The streams that the server has answered before their bodies ended.
    answered: Vec<u32>,
}

/// Sends one byte of the body of each stream in each interval, until the server ends the connection. One more stream is
/// opened in each interval if there are too few.
pub(super) async fn drip(stream: &mut TcpStream, length: usize, interval: Duration) -> Result<()> {
    let (mut reader, mut writer) = stream.split();
    let headers = headers(Some(length));
    let streams = Mutex::new(Streams::default());
    let streams = || streams.lock().unwrap_or_else(PoisonError::into_inner);
    let frames = |id| {
        let mut streams = streams();
        let mut frames = Vec::new();
        for answered in streams.answered.drain(..) {
            frames.extend(frame(RST_STREAM, 0, answered, &CANCEL.to_be_bytes()));
        }
        if streams.open.len() < STREAMS {
            streams.open.insert(id);
            frames.extend(frame(HEADERS, END_HEADERS, id, &headers));
        }
        for id in &streams.open {
            frames.extend(frame(DATA, 0, *id, b" "));
        }
        frames
    };
    let write = async {
        writer.write_all(PREFACE).await?;
        writer.write_all(SETTINGS).await?;
        for id in (1..LAST_STREAM).step_by(2) {
            writer.write_all(&frames(id)).await?;
            sleep(interval).await;
        }
        std::io::Result::Ok(())
    };
    let read = async {
        loop {
            let (kind, flags, id, _) = read_frame(&mut reader).await?;
            let mut streams = streams();
            match kind {
                RST_STREAM => drop(streams.open.remove(&id)),
                DATA | HEADERS if flags & END_STREAM != 0 && streams.open.remove(&id) => {
                    streams.answered.push(id);
                }
                _ => {}
            }
        }
    };
    tokio::select! {
        ended = write => Ok(ended?),
        ended = read => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_begins_with_its_length_and_its_stream() {
        assert_eq!(
            frame(RST_STREAM, 0, 5, &CANCEL.to_be_bytes()),
            [0, 0, 4, 3, 0, 0, 0, 0, 5, 0, 0, 0, 8]
        );
    }
}
