//! The attacks.

use std::time::Duration;

use stoker::auth::{SIGNATURE_HEADER, sign};

use super::http2::{PING_ACK, SETTINGS};
use crate::SECRET;

/// The namespace of the object that the webhooks are for.
pub(super) const NAMESPACE: &str = "default";
/// Its name.
pub(super) const NAME: &str = "plant";
/// The path of its webhooks.
pub(super) const PATH: &str = "/webhook/default/plant";
/// The object of the healthy sender. The rate of each object is limited apart.
pub(super) const HEALTHY_NAME: &str = "valve";
/// The path of the webhooks of the healthy sender.
pub(super) const HEALTHY_PATH: &str = "/webhook/default/valve";

const MIB: usize = 1 << 20;
const GIB: u64 = 1 << 30;

/// An attack.
pub(super) struct Attack {
    name: &'static str,
    /// The number of connections that are open at a time.
    pub(super) connections: usize,
    /// The number of addresses that they come from.
    pub(super) sources: u8,
    /// Whether the requests are signed with the right secret.
    pub(super) is_signed: bool,
    /// Whether the attack uses HTTP/2.
    pub(super) needs_http2: bool,
    /// Whether a connection is opened again when it ends.
    pub(super) is_opened_again: bool,
    /// What each connection does.
    pub(super) conduct: fn() -> Conduct,
}

/// What a connection of an attacker does.
#[derive(Debug)]
pub(super) enum Conduct {
    /// Sends the first bytes, and then one byte in each interval.
    Drip { first: Vec<u8>, interval: Duration },
    /// Sends the first bytes, and then a part again and again, this many times at most.
    Stream {
        first: Vec<u8>,
        part: Vec<u8>,
        times: u64,
    },
    /// Sends the requests in turn, and waits for each answer.
    Repeat { requests: Vec<Vec<u8>> },
    /// Sends a small body that is very large when it is decompressed, and waits for each answer.
    Bomb { is_signed: bool },
    /// Opens streams of HTTP/2, and cancels each of them at once or never ends it.
    Streams { is_reset: bool },
    /// Sends a frame of HTTP/2 again and again.
    Frames(&'static [u8]),
    /// Opens streams of HTTP/2 whose answers cannot be sent, and answers the pings of the server.
    Unread,
    /// Keeps streams of HTTP/2 open whose bodies have this length, and sends one byte of each in each interval.
    DripInStreams { length: usize, interval: Duration },
}

const fn plain(name: &'static str, connections: usize, conduct: fn() -> Conduct) -> Attack {
    Attack {
        name,
        connections,
        sources: 1,
        is_signed: false,
        needs_http2: false,
        is_opened_again: true,
        conduct,
    }
}

const fn signed(name: &'static str, connections: usize, conduct: fn() -> Conduct) -> Attack {
    Attack {
        is_signed: true,
        ..plain(name, connections, conduct)
    }
}

const fn http2(name: &'static str, connections: usize, conduct: fn() -> Conduct) -> Attack {
    Attack {
        needs_http2: true,
        ..plain(name, connections, conduct)
    }
}

/// All attacks.
const ATTACKS: [Attack; 31] = [
    plain("slow headers", 1000, slow_headers),
    plain("slow bodies", 1000, slow_bodies),
    Attack {
        is_opened_again: false,
        ..plain("idle connections, opened once", 10_000, idle)
    },
    plain("idle connections, one address", 10_000, idle),
    Attack {
        sources: 250,
        ..plain("idle connections, 250 addresses", 10_000, idle)
    },
    // A few more than there are places, so that about 300 are opened again each second.
    plain("headers without a body, one address", 1030, no_bodies),
    plain("bodies of 1 GiB, Content-Length", 16, huge_body),
    plain("bodies of 1 GiB, chunked", 16, huge_chunks),
    plain("stalled bodies of 25 MiB", 40, stalled_bodies),
    Attack {
        sources: 250,
        ..plain("stalled small bodies", 1000, stalled_small_bodies)
    },
    plain("one-byte chunks", 50, tiny_chunks),
    plain("forged bodies of 1 MiB", 150, || forged(&filler())),
    plain("compressed bomb, forged", 8, || Conduct::Bomb {
        is_signed: false,
    }),
    signed("compressed bomb, signed", 8, || Conduct::Bomb {
        is_signed: true,
    }),
    plain("deep nesting, forged", 8, || forged(&deep())),
    signed("deep nesting, signed", 8, || authentic(&deep())),
    plain("duplicate keys, forged", 8, || forged(&duplicates())),
    signed("duplicate keys, signed", 8, || authentic(&duplicates())),
    plain("huge number, forged", 8, || forged(&number())),
    signed("huge number, signed", 8, || authentic(&number())),
    plain("request smuggling", 16, smuggling),
    plain("flood of 401, one address", 64, || forged(&small())),
    Attack {
        sources: 250,
        ..plain("flood of 401, 250 addresses", 250, || forged(&small()))
    },
    plain("flood of unknown paths", 64, unknown_paths),
    plain("large headers", 64, large_headers),
    http2("HTTP/2 rapid reset", 16, || Conduct::Streams {
        is_reset: true,
    }),
    http2("HTTP/2 open streams", 250, || Conduct::Streams {
        is_reset: false,
    }),
    http2("HTTP/2 settings flood", 16, || Conduct::Frames(SETTINGS)),
    http2("HTTP/2 ping acks", 16, || Conduct::Frames(PING_ACK)),
    http2("HTTP/2 answers that nobody reads", 1100, || Conduct::Unread),
    Attack {
        sources: 250,
        ..http2("HTTP/2 bodies of single bytes", 250, || {
            Conduct::DripInStreams {
                length: 60_000,
                interval: Duration::from_millis(50),
            }
        })
    },
];

/// Returns the names of all attacks.
pub fn names() -> impl Iterator<Item = &'static str> {
    ATTACKS.iter().map(|attack| attack.name)
}

/// Returns the attack of this name.
pub(super) fn attack(name: &str) -> Option<&'static Attack> {
    ATTACKS.iter().find(|attack| attack.name == name)
}

/// Returns a request with these headers and its length.
pub(super) fn request(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let headers = [headers, &[("content-length", length.as_str())]].concat();
    let mut request = head(path, &headers).into_bytes();
    request.extend_from_slice(body);
    request
}

/// Returns the head of a request with exactly these headers.
fn head(path: &str, headers: &[(&str, &str)]) -> String {
    let mut head =
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        head.push_str(&[name, ": ", value, "\r\n"].concat());
    }
    head + "\r\n"
}

/// Returns a signature that has the right form and the wrong key, so that the body has to be read.
fn forged_signature() -> String {
    sign(b"not the secret", b"")
}

fn forged_request(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let signature = forged_signature();
    let headers = [headers, &[(SIGNATURE_HEADER, signature.as_str())]].concat();
    request(PATH, &headers, body)
}

fn signed_request(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let signature = sign(SECRET.as_bytes(), body);
    let headers = [headers, &[(SIGNATURE_HEADER, signature.as_str())]].concat();
    request(PATH, &headers, body)
}

fn forged(body: &[u8]) -> Conduct {
    let requests = vec![forged_request(&[], body)];
    Conduct::Repeat { requests }
}

fn authentic(body: &[u8]) -> Conduct {
    let requests = vec![signed_request(&[], body)];
    Conduct::Repeat { requests }
}

fn slow_headers() -> Conduct {
    Conduct::Drip {
        first: format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\nx-slow: ").into_bytes(),
        interval: Duration::from_secs(1),
    }
}

/// Returns the head of a request with a forged signature and a body of this length.
fn forged_head(length: u64) -> Vec<u8> {
    let (signature, length) = (forged_signature(), length.to_string());
    let headers = [
        (SIGNATURE_HEADER, signature.as_str()),
        ("content-length", length.as_str()),
    ];
    head(PATH, &headers).into_bytes()
}

fn slow_bodies() -> Conduct {
    Conduct::Drip {
        first: forged_head(1_000_000),
        interval: Duration::from_secs(1),
    }
}

fn no_bodies() -> Conduct {
    Conduct::Drip {
        first: forged_head(100),
        interval: Duration::from_hours(1),
    }
}

/// Each connection sends 7 MiB of a body at once, and almost nothing of the rest.
fn stalled_bodies() -> Conduct {
    stalled(26_000_000, 7 * MIB, Duration::from_secs(2))
}

/// Each connection sends a body of 64 KiB, apart from the last hundred bytes, which would take a minute.
fn stalled_small_bodies() -> Conduct {
    let length = 64 << 10;
    stalled(length, length - 100, Duration::from_millis(600))
}

/// Sends this many bytes of a body at once, and then one in each interval.
fn stalled(length: usize, sent: usize, interval: Duration) -> Conduct {
    let mut first = forged_head(length as u64);
    first.resize(first.len() + sent, b' ');
    Conduct::Drip { first, interval }
}

fn idle() -> Conduct {
    Conduct::Drip {
        first: Vec::new(),
        interval: Duration::from_hours(1),
    }
}

fn huge_body() -> Conduct {
    Conduct::Stream {
        first: forged_head(GIB),
        part: vec![b' '; MIB],
        times: 1024,
    }
}

/// Returns the head of a request with a forged signature and a body in chunks.
fn chunked_head() -> Vec<u8> {
    let signature = forged_signature();
    let headers = [
        (SIGNATURE_HEADER, signature.as_str()),
        ("transfer-encoding", "chunked"),
    ];
    head(PATH, &headers).into_bytes()
}

fn huge_chunks() -> Conduct {
    let mut part = b"100000\r\n".to_vec();
    part.resize(part.len() + MIB, b' ');
    part.extend_from_slice(b"\r\n");
    Conduct::Stream {
        first: chunked_head(),
        part,
        times: 1024,
    }
}

/// Each connection sends 1 MiB in a million chunks, 16 KiB of which are written at a time.
fn tiny_chunks() -> Conduct {
    Conduct::Stream {
        first: chunked_head(),
        part: b"1\r\n \r\n".repeat(2731),
        times: 384,
    }
}

fn small() -> Vec<u8> {
    br#"{"ref":"v0.0.1"}"#.to_vec()
}

fn filler() -> Vec<u8> {
    vec![b' '; MIB - 1024]
}

fn deep() -> Vec<u8> {
    const LEVELS: usize = 100_000;
    [
        br#"{"ref":"v0.0.1","x":"#.to_vec(),
        b"[".repeat(LEVELS),
        b"]".repeat(LEVELS),
        b"}".to_vec(),
    ]
    .concat()
}

fn duplicates() -> Vec<u8> {
    [
        b"{".to_vec(),
        br#""ref":1,"#.repeat(100_000),
        br#""ref":"v0.0.1"}"#.to_vec(),
    ]
    .concat()
}

fn number() -> Vec<u8> {
    [
        br#"{"ref":"v0.0.1","x":"#.to_vec(),
        vec![b'9'; 1_000_000],
        b"}".to_vec(),
    ]
    .concat()
}

/// Returns the request with a compressed body.
pub(super) fn compressed_request(is_signed: bool, body: &[u8]) -> Vec<u8> {
    let headers = [("content-encoding", "gzip")];
    if is_signed {
        signed_request(&headers, body)
    } else {
        forged_request(&headers, body)
    }
}

/// Returns requests with an ambiguous length, each followed by a second request that a proxy would not see (RFC 9112
/// §11.2).
fn smuggling() -> Conduct {
    let hidden = String::from_utf8_lossy(&forged_request(&[], &small())).into_owned();
    let shapes = [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "content-length: 0\r\ncontent-length: 5\r\n\r\n",
        "content-length: 0, 5\r\n\r\n",
        "content-length: +5\r\n\r\nhello",
        "content-length: -1\r\n\r\n",
        "content-length: 99999999999999999999\r\n\r\n",
        "content-length : 0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "transfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n5;\nhello\r\n0\r\n\r\n",
        "x: y\r\n content-length: 5\r\n\r\n",
        "content-length: 0\n\n",
        "content-length: 0\rx: y\r\n\r\n",
    ];
    let with =
        |shape| format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\n{shape}{hidden}").into_bytes();
    Conduct::Repeat {
        requests: shapes.map(with).into(),
    }
}

fn unknown_paths() -> Conduct {
    let requests = (0..1000)
        .map(|number| request(&format!("/unknown/{number}"), &[], b""))
        .collect();
    Conduct::Repeat { requests }
}

fn large_headers() -> Conduct {
    let value = "x".repeat(1000);
    Conduct::Stream {
        first: format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\n").into_bytes(),
        part: format!("x-large: {value}\r\n").into_bytes(),
        times: 1_000_000,
    }
}
