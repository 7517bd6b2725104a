//! Starts the binary as a user does.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The result of a command.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The binary, without the variables of the developer's own environment.
pub(crate) fn stoker(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stoker"));
    command.args(arguments).stdin(Stdio::null());
    for name in [
        "KUBECONFIG",
        "STOKER_LOG",
        "STOKER_LOG_FORMAT",
        "STOKER_PLUGIN_DIR",
        "WEBHOOK_HMAC_SECRET",
        "WEBHOOK_HMAC_SECRET_FILE",
        "WEBHOOK_HMAC_SECRET_PREVIOUS",
        "WEBHOOK_BEARER_TOKEN",
        "WEBHOOK_BEARER_TOKEN_FILE",
        "WEBHOOK_BEARER_TOKEN_PREVIOUS",
    ] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn run(arguments: &[&str]) -> Ended {
    ended(&mut stoker(arguments))
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("the binary starts");
    Ended {
        code: output.status.code().expect("it exits without a signal"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn file(directory: &TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

pub(crate) fn built_plugin(name: &str) -> String {
    let built = Path::new(env!("CARGO_BIN_EXE_stoker")).ancestors().nth(2);
    let path = built.unwrap().join("plugins").join(name);
    path.to_str().unwrap().to_owned()
}

/// The target directory of the projects that tests build. It is kept between runs, because the bindings take a minute to
/// compile.
pub(crate) const TARGET: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/authoring");

/// Keeps builds off the network: they need only crates of this workspace.
fn offline(command: &mut Command) {
    command
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_DIR", TARGET);
}

/// The binary, for commands that build a project.
pub(crate) fn author(arguments: &[&str]) -> Command {
    let mut command = stoker(arguments);
    offline(&mut command);
    command
}

/// A shell script with the binary on its `PATH`, which ends at the first line that fails.
pub(crate) fn shell(script: &str) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_stoker"));
    let mut path = vec![binary.parent().unwrap().to_owned()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let mut command = Command::new("sh");
    command
        .args(["-euc", script])
        .stdin(Stdio::null())
        .env("PATH", std::env::join_paths(path).unwrap())
        .env_remove("STOKER_PLUGIN_DIR");
    offline(&mut command);
    command
}

/// A process that is killed at the end of the test.
pub(crate) struct Running {
    child: Child,
    output: BufReader<Box<dyn Read>>,
}

impl Running {
    /// Starts a command whose standard output is read.
    pub(crate) fn printing(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        Self {
            child,
            output: BufReader::new(Box::new(output)),
        }
    }

    /// Starts a command whose log is read.
    pub(crate) fn logging(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let output = child.stderr.take().unwrap();
        Self {
            child,
            output: BufReader::new(Box::new(output)),
        }
    }

    /// Reads up to the first line for which the function returns true.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let mut lines = self.output.by_ref().lines().map(Result::unwrap);
        lines.find(|line| wanted(line)).unwrap()
    }

    /// Sends SIGTERM, and returns the exit code and the rest of the output.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        let killed = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(killed.unwrap().success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
