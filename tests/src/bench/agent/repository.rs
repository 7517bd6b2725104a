//! A large repository, made by `git fast-import` and served by `git daemon`.

use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// A repository and its server. Dropping the value removes both.
pub(super) struct Repository {
    folder: TempDir,
    port: u16,
    server: Child,
}

impl Repository {
    /// Creates a repository with a number of files below `config`, and serves it.
    pub(super) fn new(files: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("plant.git");
        git(
            folder.path(),
            &[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                "plant.git",
            ],
        )?;
        import(&path, None, (0..files).map(|number| (number, 1)))?;
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?
            .local_addr()?
            .port();
        let base = folder.path().display();
        let server = Command::new("git")
            .args([
                "daemon",
                "--export-all",
                "--reuseaddr",
                "--listen=127.0.0.1",
            ])
            .args([format!("--base-path={base}"), format!("--port={port}")])
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start git daemon")?;
        Ok(Self {
            folder,
            port,
            server,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("git://127.0.0.1:{}/plant.git", self.port)
    }

    /// Commits another content of these files.
    pub(super) fn change(&self, files: impl Iterator<Item = usize>) -> Result<()> {
        let path = self.folder.path().join("plant.git");
        import(
            &path,
            Some("refs/heads/main^0"),
            files.map(|number| (number, 2)),
        )
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        // The daemon's child serves, and ends with its parent's socket.
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// Returns the path of a file in the repository.
fn path(number: usize) -> String {
    format!("config/area-{:03}/device-{number:05}.json", number / 100)
}

/// Commits files in a revision.
fn import(
    repository: &Path,
    parent: Option<&str>,
    files: impl Iterator<Item = (usize, usize)>,
) -> Result<()> {
    let mut child = Command::new("git")
        .args(["fast-import", "--quiet", "--force"])
        .current_dir(repository)
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start git fast-import")?;
    let input = child.stdin.take().context("no input")?;
    let mut out = BufWriter::new(input);
    let message = "A revision";
    writeln!(out, "commit refs/heads/main")?;
    writeln!(out, "committer Bench <bench@example.com> 1700000000 +0000")?;
    writeln!(out, "data {}\n{message}", message.len())?;
    if let Some(parent) = parent {
        writeln!(out, "from {parent}")?;
    }
    for (number, revision) in files {
        let text = content(number, revision);
        writeln!(
            out,
            "M 100644 inline {}\ndata {}\n{text}",
            path(number),
            text.len()
        )?;
    }
    writeln!(out, "done")?;
    drop(out);
    ensure!(child.wait()?.success(), "git fast-import failed");
    Ok(())
}

/// Returns a file of about a KiB, as the configuration of one device.
fn content(number: usize, revision: usize) -> String {
    let tags: Vec<_> = (0..12)
        .map(|tag| {
            let value = (number * 31 + tag * 7) % 1000;
            format!("    {{\"name\": \"tag-{tag}\", \"path\": \"plc-{number}/db{value}\", \"value\": {value}}}")
        })
        .collect();
    format!(
        "{{\n  \"device\": {number},\n  \"revision\": {revision},\n  \"tags\": [\n{}\n  ]\n}}\n",
        tags.join(",\n")
    )
}

fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let status = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .status()?;
    ensure!(status.success(), "git {arguments:?} failed");
    Ok(())
}
