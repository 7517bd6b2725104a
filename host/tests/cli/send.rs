//! `stoker send`, against a listener that records what it receives.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use tempfile::TempDir;

use crate::support::{Ended, file, run};

/// Sends a webhook to a listener that answers with a status. Returns the end of the command, and the request in lower
/// case.
fn send(status: u16, flags: &[&str]) -> (Ended, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let receiving = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let request = read_request(&connection);
        let answer =
            format!("HTTP/1.1 {status} Any\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
        drop(connection.write_all(answer.as_bytes()));
        request
    });
    let url = format!("http://{address}/webhook/default/absent");
    let ended = run(&[&["send", &url], flags].concat());
    // The listener ends even if nothing was sent.
    drop(TcpStream::connect(address));
    (ended, receiving.join().unwrap())
}

fn read_request(connection: &TcpStream) -> String {
    let mut reader = BufReader::new(connection);
    let mut request = String::new();
    while reader.read_line(&mut request).unwrap() > 0 && !request.ends_with("\r\n\r\n") {}
    request.make_ascii_lowercase();
    let mut lines = request.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    request + &String::from_utf8(body).unwrap()
}

#[test]
fn send_proves_a_webhook_by_a_secret_or_a_token() {
    const SIGNATURE: &str = "x-hub-signature-256: sha256=043f815a756b13104e567ab39eaf6d6810875010c8dab868bfe998091eb98790\r\n";
    const TOKEN: &str = "authorization: bearer t0ken\r\n";
    let directory = TempDir::new().unwrap();
    let body = file(&directory, "body.json", r#"{"ref":"v1"}"#);
    // As a receiver reads them: the line break is the editor's.
    let secret = file(&directory, "secret", "s3cret\n");
    let token = file(&directory, "token", "t0ken\n");
    for (flags, is_signed, has_token) in [
        (&[][..], false, false),
        (&["--secret", "s3cret"], true, false),
        (&["--secret-file", &secret], true, false),
        (&["--token", "t0ken"], false, true),
        (&["--token-file", &token], false, true),
    ] {
        let (sent, request) = send(202, &[&["--body", &body], flags].concat());
        assert_eq!(sent.code, 0, "{flags:?}: {}{}", sent.out, sent.err);
        assert!(sent.out.starts_with("202"), "{}", sent.out);
        assert!(
            request.starts_with("post /webhook/default/absent "),
            "{request}"
        );
        assert!(request.ends_with(r#"{"ref":"v1"}"#), "{request}");
        assert_eq!(
            request.contains(SIGNATURE),
            is_signed,
            "{flags:?}: {request}"
        );
        assert_eq!(request.contains(TOKEN), has_token, "{flags:?}: {request}");
    }
}

#[test]
fn send_ends_by_the_status_of_the_answer() {
    for (status, expected, code) in [
        (202, None, 0),
        (404, None, 1),
        (404, Some("404"), 0),
        (401, Some("404"), 1),
        (401, Some("404,401"), 0),
        (401, Some("404,200"), 1),
    ] {
        let flags = expected.map_or(Vec::new(), |expected| vec!["--expect", expected]);
        let (sent, _) = send(status, &[&["--ref", "v1"], &*flags].concat());
        assert_eq!(sent.code, code, "{status} {expected:?}: {}", sent.err);
        assert!(sent.out.starts_with(&status.to_string()), "{}", sent.out);
        let is_wrong = sent.err.contains("should have been 404");
        assert_eq!(is_wrong, expected.is_some() && code == 1, "{}", sent.err);
    }
}
