//! Tests with OpenSSH's server and a real repository.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::copy;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::super::fake::listen;
use super::*;

/// Returns OpenSSH's server, or `None` where it is not installed. In CI, it has to be.
pub(in super::super) fn program() -> Option<PathBuf> {
    let found = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists());
    #[expect(clippy::print_stderr, reason = "a test without its program says so")]
    if found.is_none() {
        eprintln!("sshd is not installed: nothing is tested");
    }
    assert!(
        found.is_some() || std::env::var_os("CI").is_none(),
        "sshd is not installed"
    );
    found
}

/// Starts OpenSSH's server, with one process for each connection. It accepts the keys of the tests for the user that
/// runs the tests.
pub(in super::super) async fn start(
    program: &Path,
    home: &Path,
    version_2: bool,
) -> (String, JoinHandle<()>) {
    let accepted = if version_2 {
        "AcceptEnv GIT_PROTOCOL"
    } else {
        ""
    };
    start_with(program, home, accepted).await
}

/// Starts OpenSSH's server with one more line of its configuration.
async fn start_with(program: &Path, home: &Path, setting: &str) -> (String, JoinHandle<()>) {
    // A server of the superuser requires this directory, which its service makes.
    std::fs::create_dir_all("/run/sshd").ok();
    let keys = [ED25519, ECDSA, RSA].map(server::public).join("\n");
    std::fs::write(home.join("authorized"), keys + "\n").unwrap();
    for (name, key) in [("ed25519", ED25519), ("ecdsa", ECDSA), ("rsa", RSA)] {
        let path = home.join(name);
        std::fs::write(&path, key).unwrap();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, permissions).unwrap();
    }
    let home_text = home.display();
    let config = format!(
        "HostKey {home_text}/ed25519\nHostKey {home_text}/ecdsa\nHostKey {home_text}/rsa\n\
         AuthorizedKeysFile {home_text}/authorized\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n{setting}\n"
    );
    let file = home.join("config");
    std::fs::write(&file, config).unwrap();
    let program = program.to_owned();
    listen(move |mut stream| {
        let (program, file) = (program.clone(), file.clone());
        async move {
            let (mut from, mut to) = stream.split();
            let mut child = Command::new(program)
                .args(["-i", "-e", "-f"])
                .arg(file)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
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
    .await
}

/// Returns the name of the user that runs the tests.
pub(in super::super) async fn user() -> String {
    let output = Command::new("id").arg("-un").output().await.unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn refs_are_looked_up_on_openssh() {
    let Some(program) = program() else {
        return;
    };
    let repository = GitServer::start().await.unwrap();
    let first = repository.commit("main", "One").await.unwrap();
    repository.annotated_tag("v1").await.unwrap();
    let second = repository.commit("main", "Two").await.unwrap();
    let user = user().await;
    for version_2 in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let (address, task) = start(&program, home.path(), version_2).await;
        let path = repository.directory().display().to_string();
        let url = format!("ssh://{user}@{address}{path}");
        let port = address.rsplit(':').next().unwrap();
        let names = [
            "main",
            "v1",
            "HEAD",
            second.as_str(),
            "none",
            first.as_str(),
        ];
        let refs = names.map(|name| GitRef::parse(name).unwrap());
        for key in [ED25519, ECDSA, RSA] {
            let known = format!("[127.0.0.1]:{port} {}", server::public(key));
            let remote = with_key(&url, key, Some(&known));
            let results = client().resolve(&remote, &refs).await.unwrap();
            let commits: Vec<_> = results
                .iter()
                .map(|result| result.as_ref().ok().map(ResolvedRef::commit))
                .collect();
            let expected = [&second, &first, &second, &second].map(Some);
            assert_eq!(commits[..4], expected, "{version_2}");
            assert_eq!(commits[4..], [None, Some(&first)], "{version_2}");
        }
        let missing = with_key(&format!("{url}-missing"), ED25519, None);
        let error = lookup(&client(), &missing, "main").await.unwrap_err();
        assert!(
            matches!(error, GitError::RepositoryNotFound { .. }),
            "{error}"
        );
        let stranger = with_key(&url, include_str!("../keys/ca"), None);
        let error = lookup(&client(), &stranger, "main").await.unwrap_err();
        assert!(matches!(error, GitError::SshRefused { .. }), "{error}");
        task.abort();
    }
}

#[tokio::test]
async fn a_server_with_few_algorithms_is_reached_or_the_error_says_what_it_needs() {
    let Some(program) = program() else {
        return;
    };
    let repository = GitServer::start().await.unwrap();
    let commit = repository.commit("main", "One").await.unwrap();
    let user = user().await;
    for (setting, refusal) in [
        ("KexAlgorithms ecdh-sha2-nistp256", None),
        ("KexAlgorithms ecdh-sha2-nistp384", None),
        ("KexAlgorithms ecdh-sha2-nistp521", None),
        ("Ciphers aes128-gcm@openssh.com", None),
        ("Ciphers aes128-ctr\nMACs hmac-sha1", None),
        ("Ciphers aes128-ctr\nMACs hmac-sha1-etm@openssh.com", None),
        (
            "KexAlgorithms diffie-hellman-group14-sha1",
            Some(
                "offers no supported key exchange algorithm, but diffie-hellman-group14-sha1,kex-strict-s-v00@openssh.com only; enable another one there, such as curve25519-sha256 in the setting KexAlgorithms of sshd",
            ),
        ),
        (
            "Ciphers aes128-cbc",
            Some("no supported cipher algorithm, but aes128-cbc only"),
        ),
        (
            "Ciphers aes128-ctr\nMACs umac-64@openssh.com",
            Some("no supported MAC algorithm, but umac-64@openssh.com only"),
        ),
    ] {
        let home = tempfile::tempdir().unwrap();
        let (address, task) = start_with(&program, home.path(), setting).await;
        let path = repository.directory().display().to_string();
        let remote = with_key(&format!("ssh://{user}@{address}{path}"), ED25519, None);
        match (lookup(&client(), &remote, "main").await, refusal) {
            (Ok(found), None) => assert_eq!(*found.commit(), commit, "{setting}"),
            (Err(error), Some(refusal)) => {
                let error = error.to_string();
                assert!(error.contains(refusal), "{setting}: {error}");
            }
            (outcome, _) => panic!("{setting}: {outcome:?}"),
        }
        task.abort();
    }
}
