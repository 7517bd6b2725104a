//! What fetches read from the network, compared with git's own.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::directory_of_programs;
use super::place::Place;
use super::proxy::Proxy;
use super::repository::Repository;
use crate::bench::report::{Row, Table};

/// How much more than git the agent may read, in percent.
const MORE_THAN_GIT: f64 = 10.0;

/// Measures the first fetch, and the fetch of a commit that changes ten files.
pub(super) fn measure(name: &str, repository: &mut Repository) -> Result<Vec<Row>> {
    let proxy = Proxy::start(repository.address())?;
    let url = Repository::url_at(proxy.port());
    let git = tempfile::tempdir_in(directory_of_programs()?)?;
    run_git(git.path(), &["init", "--quiet", "--bare"])?;
    // The agent fetches everything, and the files of one directory are written.
    let place = Place::new(&repository.directory())?;
    let mut rows = Vec::new();
    for what in ["first fetch", "ten files changed"] {
        fetch_by_git(git.path(), &url)?;
        let by_git = proxy.take();
        place.once(&url)?;
        rows.extend(compared(&format!("{name}, {what}"), by_git, proxy.take()));
        repository.change_ten()?;
    }
    Ok(rows)
}

/// Returns the table of the rows of all repositories.
pub(super) fn table(rows: Vec<Row>) -> Table {
    Table {
        name: "fetched-bytes".into(),
        title: "Bytes from the network".into(),
        text: "What `git fetch --depth 1` and `stoker-agent once` read from git's daemon: the first time, and after a commit that changes ten files. The agent's bytes include those of looking up the ref, and the server's messages about its progress, which are some KiB: without them, a server that takes long would be given up. A proxy counts the bytes of both.",
        unit: "as named",
        rows,
    }
}

fn compared(what: &str, by_git: u64, by_agent: u64) -> [Row; 3] {
    #[expect(clippy::cast_precision_loss, reason = "bytes of one fetch")]
    let (by_git, by_agent) = (by_git as f64, by_agent as f64);
    let more = (by_agent / by_git - 1.0) * 100.0;
    [
        Row::new(&format!("{what}, git, KiB"), by_git / 1024.0, ""),
        Row::new(&format!("{what}, agent, KiB"), by_agent / 1024.0, ""),
        Row::new(&format!("{what}, more than git, %"), more, "").at_most(MORE_THAN_GIT),
    ]
}

/// Fetches into a ref, which tells the server at the next fetch what is there.
fn fetch_by_git(directory: &Path, url: &str) -> Result<()> {
    // Without the packing of what was fetched, which would continue in the background.
    let fetch = ["-c", "gc.auto=0", "fetch", "--quiet", "--depth=1"];
    let arguments = [
        &fetch[..],
        &[url, "+refs/heads/main:refs/remotes/origin/main"],
    ];
    run_git(directory, &arguments.concat())
}

fn run_git(directory: &Path, arguments: &[&str]) -> Result<()> {
    let status = Command::new("git")
        .args(arguments)
        .current_dir(directory)
        .status()?;
    ensure!(status.success(), "git {arguments:?} failed");
    Ok(())
}
