//! The repository on disk. The `git` program reads and writes it.
//!
//! The module does no network I/O.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use stoker_api::detection::CommitId;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::GitServerError;

/// The author of all commits. Author and time are fixed, so that the same steps give the same ids.
const AUTHOR: (&str, &str) = ("Stoker Demo", "demo@stoker.invalid");
const FIRST_TIME: u64 = 1_767_225_600;
/// Allows partial clones, and fetches of commits that no ref points to.
const CONFIG: &str = "\n[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n";

/// A bare repository in a temporary directory. Dropping the value removes the directory.
#[derive(Debug)]
pub(super) struct Repository {
    home: TempDir,
    path: PathBuf,
}

impl Repository {
    /// Creates an empty repository in a new temporary directory.
    pub(super) async fn create(name: &str) -> Result<Self, GitServerError> {
        let home = tempfile::Builder::new()
            .prefix("stoker-git-")
            .tempdir()
            .map_err(GitServerError::Directory)?;
        let path = home.path().join(name).with_extension("git");
        tokio::fs::create_dir_all(&path)
            .await
            .map_err(GitServerError::Directory)?;
        let repository = Self { home, path };
        repository
            .git(&["init", "--quiet", "--bare", "--initial-branch=main"])
            .await?;
        let config = repository.path.join("config");
        let mut text = tokio::fs::read(&config)
            .await
            .map_err(GitServerError::Directory)?;
        text.extend_from_slice(CONFIG.as_bytes());
        tokio::fs::write(&config, text)
            .await
            .map_err(GitServerError::Directory)?;
        Ok(repository)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a commit to a branch, which is given by its full name.
    pub(super) async fn commit(
        &self,
        branch: &str,
        message: &str,
        revision: u64,
    ) -> Result<CommitId, GitServerError> {
        let parent = self.id_of(branch).await.ok();
        let stream = import_stream(branch, message, revision, parent.as_ref());
        let output = self
            .git_with_input(&["fast-import", "--quiet"], stream.as_bytes())
            .await?;
        printed_id(&output, "fast-import")
    }

    /// Returns the id of `target`.
    pub(super) async fn id_of(&self, target: &str) -> Result<CommitId, GitServerError> {
        let output = self
            .git(&["rev-parse", "--verify", "--end-of-options", target])
            .await?;
        printed_id(&output, "rev-parse")
    }

    /// Runs git and returns its output.
    pub(super) async fn git(&self, arguments: &[&str]) -> Result<Vec<u8>, GitServerError> {
        self.git_with_input(arguments, b"").await
    }

    async fn git_with_input(
        &self,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Vec<u8>, GitServerError> {
        let output = self.run("git", arguments, None, input).await?;
        succeeded(output, arguments)
    }

    /// Runs a program in the repository, without the environment and the git configuration of the caller.
    async fn run(
        &self,
        program: &'static str,
        arguments: &[&str],
        protocol: Option<&OsStr>,
        input: &[u8],
    ) -> Result<Output, GitServerError> {
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound if program == "git" => GitServerError::NoGit,
            _ => GitServerError::Run { program, source },
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.path)
            .env_clear()
            .kill_on_drop(true);
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
            .env("HOME", self.home.path())
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_DIR", &self.path);
        let (name, mail) = AUTHOR;
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), name);
            command.env(format!("GIT_{role}_EMAIL"), mail);
            command.env(format!("GIT_{role}_DATE"), format!("{FIRST_TIME} +0000"));
        }
        command.envs(protocol.map(|protocol| ("GIT_PROTOCOL", protocol)));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let stdin = child.stdin.take();
        let write = async {
            if let Some(mut stdin) = stdin {
                // A program may end before it has read all input. Its exit status shows whether it failed.
                stdin.write_all(input).await.ok();
            }
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        output.map_err(failed)
    }

    /// Runs `git upload-pack` for a request of a client with this version of the protocol. The repository is not
    /// changed.
    pub(super) async fn upload_pack(
        &self,
        protocol: Option<&OsStr>,
        options: &[&str],
        request: &[u8],
    ) -> Result<Vec<u8>, GitServerError> {
        let arguments = [
            &["upload-pack", "--strict", "--stateless-rpc"],
            options,
            &["."],
        ]
        .concat();
        let output = self.run("git", &arguments, protocol, request).await?;
        // `git upload-pack` writes a refusal into its output, and then fails. The client gets this output.
        if output.stdout.is_empty() {
            succeeded(output, &arguments)
        } else {
            Ok(output.stdout)
        }
    }

    /// Decompresses a request that the client compressed with gzip.
    pub(super) async fn gunzip(&self, request: &[u8]) -> Result<Vec<u8>, GitServerError> {
        Ok(self.run("gzip", &["-dc"], None, request).await?.stdout)
    }
}

fn succeeded(output: Output, arguments: &[&str]) -> Result<Vec<u8>, GitServerError> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let command = arguments.first().copied().unwrap_or_default().to_owned();
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(GitServerError::Git { command, message })
}

/// Returns the id in the last line of a command's output.
fn printed_id(output: &[u8], command: &str) -> Result<CommitId, GitServerError> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().last().unwrap_or_default();
    CommitId::parse(line).map_err(|error| GitServerError::Git {
        command: command.to_owned(),
        message: error.to_string(),
    })
}

/// Returns the input with which `git fast-import` creates one commit and prints its id.
fn import_stream(branch: &str, message: &str, revision: u64, parent: Option<&CommitId>) -> String {
    let data = |text: &str| format!("data {}\n{text}\n", text.len());
    let (name, mail) = AUTHOR;
    let time = FIRST_TIME + revision * 60;
    let mut parts = vec![
        format!("commit {branch}\nmark :1\ncommitter {name} <{mail}> {time} +0000\n"),
        data(message),
    ];
    parts.extend(parent.map(|parent| format!("from {parent}\n")));
    parts.extend(
        files(revision)
            .map(|(path, content)| format!("M 100644 inline {path}\n{}", data(&content))),
    );
    parts.push("get-mark :1\ndone\n".to_owned());
    parts.concat()
}

/// Returns the files of a gateway's configuration.
fn files(revision: u64) -> [(&'static str, String); 4] {
    let project = format!(
        "{{\n  \"title\": \"Boiler\",\n  \"enabled\": true,\n  \"revision\": {revision}\n}}\n"
    );
    let tags = format!(
        "{{\n  \"name\": \"Boiler/Temperature\",\n  \"dataType\": \"Float8\",\n  \"setpoint\": {}\n}}\n",
        80 + revision
    );
    let system = "{\n  \"systemName\": \"plant-1\",\n  \"localTime\": \"UTC\"\n}\n";
    let readme = "# Gateways\n\nThe configuration of the gateways, one directory for each plant.\n";
    [
        ("README.md", readme.to_owned()),
        ("plants/plant-1/config/system.json", system.to_owned()),
        ("plants/plant-1/config/tags/boiler.json", tags),
        ("plants/plant-1/projects/boiler/project.json", project),
    ]
}
