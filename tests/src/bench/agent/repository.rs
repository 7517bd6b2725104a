//! A large repository, made by `git fast-import` and served by `git daemon`.

use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::directory_of_programs;

/// The number of files that a commit changes.
const CHANGED: usize = 10;
/// The size of a large file in bytes.
const LARGE_BYTES: usize = 10_000_000;
/// The bytes of a large file that a commit changes, and where they begin.
const CHANGED_BYTES: std::ops::Range<usize> = 5_000_000..5_004_096;

/// The files of a repository.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// The number of files.
    pub(super) count: usize,
    /// The number of files in each directory.
    pub(super) in_directory: usize,
    /// Returns the content of a file in a revision.
    content: fn(usize, usize) -> Vec<u8>,
    /// Settings of git that make the repository and its packs faster.
    settings: &'static [(&'static str, &'static str)],
    /// How many deltas lead to a file where it is imported.
    depth: u8,
}

/// 50,000 files of about a KiB.
pub(super) const MANY: Layout = Layout {
    count: 50_000,
    in_directory: 100,
    content: device,
    settings: &[],
    depth: 50,
};

/// Files of random bytes, 2 GB together. They cannot be compressed.
pub(super) const LARGE: Layout = Layout {
    count: 200,
    in_directory: 10,
    content: random,
    // Nothing is searched that random bytes do not have. Only the revisions of one file are alike.
    settings: &[
        ("core.compression", "0"),
        ("fastimport.unpackLimit", "0"),
        ("pack.window", "2"),
    ],
    depth: 0,
};

impl Layout {
    /// Returns the path of a directory with some of the files.
    pub(super) fn directory(self) -> String {
        self.directory_of(0)
    }

    fn directory_of(self, number: usize) -> String {
        format!("config/area-{:03}", number / self.in_directory)
    }

    fn path(self, number: usize) -> String {
        format!("{}/device-{number:05}.json", self.directory_of(number))
    }
}

/// A repository and its server. Dropping the value removes both.
pub(super) struct Repository {
    directory: TempDir,
    layout: Layout,
    revision: usize,
    port: u16,
    server: Child,
}

impl Repository {
    /// Creates a repository with files below `config`, and serves it.
    pub(super) fn new(layout: Layout) -> Result<Self> {
        let directory = tempfile::tempdir_in(directory_of_programs()?)?;
        let path = directory.path().join("plant.git");
        let status = Command::new("git")
            .args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(&path)
            .status()?;
        ensure!(status.success(), "git init failed");
        for (name, value) in layout.settings {
            let status = Command::new("git")
                .args(["config", name, value])
                .current_dir(&path)
                .status()?;
            ensure!(status.success(), "git config {name} failed");
        }
        import(&path, layout, 1, 0..layout.count)?;
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?
            .local_addr()?
            .port();
        let base = directory.path().display();
        let server = Command::new("git")
            .args(["daemon", "--export-all", "--reuseaddr"])
            .arg("--listen=127.0.0.1")
            .args([format!("--base-path={base}"), format!("--port={port}")])
            .stderr(Stdio::null())
            // git runs its daemon as a child, so both are ended as a group.
            .process_group(0)
            .spawn()
            .context("cannot start git daemon")?;
        let repository = Self {
            directory,
            layout,
            revision: 1,
            port,
            server,
        };
        repository.wait_until_served()?;
        Ok(repository)
    }

    fn wait_until_served(&self) -> Result<()> {
        let started = Instant::now();
        while std::net::TcpStream::connect(self.address()).is_err() {
            ensure!(
                started.elapsed() < Duration::from_secs(10),
                "git daemon does not listen"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(super) fn url(&self) -> String {
        Self::url_at(self.port)
    }

    /// Returns the URL of the repository, whose server or proxy listens on a port.
    pub(super) fn url_at(port: u16) -> String {
        format!("git://127.0.0.1:{port}/plant.git")
    }

    /// Returns the path of a directory with some of the files.
    pub(super) fn directory(&self) -> String {
        self.layout.directory()
    }

    /// Commits another content of ten files, which are in different directories.
    pub(super) fn change_ten(&mut self) -> Result<()> {
        self.revision += 1;
        let count = self.layout.count;
        let changed = (0..count).step_by(count / CHANGED);
        let path = self.directory.path().join("plant.git");
        import(&path, self.layout, self.revision, changed)
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.server.id()) {
            killpg(Pid::from_raw(id), Signal::SIGKILL).ok();
        }
        self.server.wait().ok();
    }
}

/// Commits files in a revision.
fn import(
    repository: &Path,
    layout: Layout,
    revision: usize,
    changed: impl Iterator<Item = usize>,
) -> Result<()> {
    let mut child = Command::new("git")
        .args(["fast-import", "--quiet", "--force"])
        .arg(format!("--depth={}", layout.depth))
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
    if revision > 1 {
        writeln!(out, "from refs/heads/main^0")?;
    }
    for number in changed {
        let content = (layout.content)(number, revision);
        let path = layout.path(number);
        writeln!(out, "M 100644 inline {path}\ndata {}", content.len())?;
        out.write_all(&content)?;
        out.write_all(b"\n")?;
    }
    writeln!(out, "done")?;
    drop(out);
    ensure!(child.wait()?.success(), "git fast-import failed");
    Ok(())
}

/// Returns a file of about a KiB, as the configuration of one device.
fn device(number: usize, revision: usize) -> Vec<u8> {
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
    .into_bytes()
}

/// Returns a large file of random bytes. Its revisions differ in a few KiB.
fn random(number: usize, revision: usize) -> Vec<u8> {
    let mut content = vec![0; LARGE_BYTES];
    fill(&mut content, number);
    if revision > 1 {
        fill(&mut content[CHANGED_BYTES], number + revision * LARGE.count);
    }
    content
}

/// Fills bytes from a generator of pseudorandom numbers (xorshift64).
fn fill(bytes: &mut [u8], seed: usize) {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for part in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        part.copy_from_slice(&state.to_le_bytes()[..part.len()]);
    }
}
