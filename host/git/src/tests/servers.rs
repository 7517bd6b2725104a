//! Servers of git: the daemon, and servers of version 0.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::fake::{listen, reply};
use super::*;

pub(super) fn git(directory: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "x")
            .env(format!("GIT_{role}_EMAIL"), "x@x.invalid");
    }
    git.env_remove("GIT_PROTOCOL")
        .env_remove("GIT_DIR")
        .stderr(Stdio::null());
    git
}

pub(super) async fn run(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = git(directory).args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{arguments:?}");
    output.stdout
}

/// Starts `git daemon` for all repositories below a directory, with one process for each connection.
pub(super) async fn daemon(base: &Path) -> (String, JoinHandle<()>) {
    let base = base.to_owned();
    let (address, task) = listen(move |mut stream| {
        let base = base.clone();
        async move {
            let (mut from, mut to) = stream.split();
            let root = format!("--base-path={}", base.display());
            let mut child = git(&base)
                .args(["daemon", "--inetd", "--export-all", &root])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let (mut stdin, mut stdout) =
                (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            tokio::select! {
                _ = copy(&mut from, &mut stdin) => {}
                _ = copy(&mut stdout, &mut to) => {}
            }
        }
    })
    .await;
    (format!("git://{address}"), task)
}

/// Starts a server of version 0 and returns the address of its repository. It may have the permission to fetch objects
/// that no ref points to.
pub(super) async fn version_0(server: &GitServer, is_permissive: bool) -> (String, JoinHandle<()>) {
    let hidden: &[&str] = if is_permissive {
        &[]
    } else {
        &[" allow-reachable-sha1-in-want", " allow-tip-sha1-in-want"]
    };
    version_0_without(server, hidden).await
}

/// Starts a server of version 0 and returns the address of its repository. It is a real server behind a proxy that
/// removes the request for version 2, and these capabilities, each with the space before it.
pub(super) async fn version_0_without(
    server: &GitServer,
    hidden: &'static [&'static str],
) -> (String, JoinHandle<()>) {
    const ASKED: &[u8] = b"git-protocol: version=2";
    const REMOVED: &[u8] = b"x-protocol-x: version=2";
    let host = server.url()[7..].split('/').next().unwrap().to_owned();
    let name = host.clone();
    let (address, task) = listen(move |mut stream| {
        let name = name.clone();
        async move {
            let mut upstream = TcpStream::connect(name).await.unwrap();
            let (mut from, mut to) = stream.split();
            let (mut answers, mut requests) = upstream.split();
            let forward = async {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(count @ 1..) = from.read(&mut buffer).await {
                    replace(&mut buffer[..count], ASKED, REMOVED);
                    requests.write_all(&buffer[..count]).await.unwrap();
                }
            };
            let answer = async {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(count @ 1..) = answers.read(&mut buffer).await {
                    for capability in hidden {
                        let other = format!(" x{}", "-".repeat(capability.len() - 2));
                        replace(
                            &mut buffer[..count],
                            capability.as_bytes(),
                            other.as_bytes(),
                        );
                    }
                    to.write_all(&buffer[..count]).await.unwrap();
                }
            };
            tokio::select! {
                () = forward => {}
                () = answer => {}
            }
        }
    })
    .await;
    (server.url().replace(&host, &address), task)
}

/// Replaces the first occurrence of a text by another one of the same length.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    if let Some(at) = bytes.windows(from.len()).position(|part| part == from) {
        bytes[at..at + from.len()].copy_from_slice(to);
    }
}

#[tokio::test]
async fn a_server_without_tls_is_no_server_that_cannot_be_reached() {
    let (address, server) = listen(|mut stream| async move {
        // What a client of TLS sends has no end of a line.
        let answer = reply("400 Bad Request", "text/plain", b"");
        stream.write_all(&answer).await.ok();
    })
    .await;
    let url = format!("https://{address}/r");
    let error = resolve(&url, "main").await.unwrap_err();
    server.abort();
    assert!(matches!(error, GitError::Tls { .. }), "{error:?}");
    let text = stoker_report::chain(&error).to_string();
    assert!(text.starts_with("cannot connect to 127.0.0.1:"), "{text}");
    assert!(text.ends_with("use http:// or another port"), "{text}");
}
