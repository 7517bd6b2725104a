//! `stoker-agent once`: one sync without a cluster.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use stoker_api::detection::{GitRef, RepoUrl};
use stoker_git::{FetchProgress, GitClient, ObjectStore};

use super::machine::{published_as, resolve, stored};
use super::{git_client, open_store};
use crate::cli::{OnceFlags, OutputFormat};
use crate::credentials::CredentialFiles;
use crate::environment::{Confirmation, Environment, Machine};
use crate::host_keys::HostKeys;
use crate::machine_config::{PROFILE_NAME, read_profile};
use crate::metadata::Published;
use crate::worker::{Done, Progress, State, Subject, Worker};

/// The exit code of a sync that needs a confirmation.
const UNCONFIRMED: u8 = 2;

/// Syncs once, and prints what was changed.
pub(super) async fn run(flags: &OnceFlags) -> Result<ExitCode> {
    let profiles = read_profile(&flags.profile)?;
    let repo = RepoUrl::parse(&flags.repo).context("--repo is invalid")?;
    let git_ref = GitRef::parse(&flags.git_ref).context("--ref is invalid")?;
    let credentials = CredentialFiles {
        token: flags.credentials.token_file.clone(),
        ssh_key: flags.credentials.ssh_key_file.clone(),
        known_hosts: flags.credentials.known_hosts_file.clone(),
    };
    let git = git_client(flags.max_file_mib)?;
    let temporary = tempfile::tempdir().context("cannot create a temporary directory")?;
    let state = flags.state.clone();
    let state = state.unwrap_or_else(|| temporary.path().to_owned());
    // No other agent writes the host keys meanwhile.
    let (store, _lock) = open_store(&state)?;
    let keys = HostKeys::in_directory(&state);
    progress("looking up the ref");
    let found = match stored(&store, &git_ref).await {
        Some(found) => found,
        None => resolve(&git, &credentials, &keys, &repo, &git_ref).await?,
    };
    let wanted = published_as(found, &repo, profiles);
    if let Some(key) = keys.of(&repo)?.filter(|_| flags.state.is_none()) {
        warn(&unchecked(&repo.ssh_server(), &key));
    }
    let mut worker = worker(flags, git, store, credentials, &state);
    progress(&format!("fetching {}", wanted.commit.short()));
    let result = worker.sync_once(&wanted, flags.dry_run).await;
    let done = match result {
        Err(failure) => bail!("{}{}", failure.step.prefix(), failure.message),
        Ok(done) => done,
    };
    match &done.held {
        Some(message) if !done.is_dry_run => {
            warn(message);
            if flags.output == OutputFormat::Json {
                print(&wanted, &done, flags)?;
            }
            Ok(ExitCode::from(UNCONFIRMED))
        }
        _ => {
            print(&wanted, &done, flags)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn worker(
    flags: &OnceFlags,
    git: GitClient,
    store: Arc<ObjectStore>,
    credentials: CredentialFiles,
    state: &Path,
) -> Worker {
    let labels: BTreeMap<_, _> = flags.labels.iter().cloned().collect();
    let confirmation = if flags.confirm_deletes {
        Confirmation::Given
    } else {
        Confirmation::None
    };
    Worker {
        git,
        store,
        credentials,
        gateway: None,
        environment: Environment::Machine(Machine {
            labels,
            confirmation,
            host_keys: HostKeys::in_directory(state),
        }),
        subject: Subject {
            gateway: flags.name.clone(),
            pod: flags.name.clone(),
            ..Subject::default()
        },
        profile: PROFILE_NAME.to_owned(),
        data: flags.data.clone(),
        state: State::open(state, &flags.data),
        metrics: super::tasks::metrics().0,
        default_period: std::time::Duration::ZERO,
        progress: Progress::default(),
        published: None,
        show: if std::io::stderr().is_terminal() {
            show
        } else {
            |_| ()
        },
    }
}

/// What was changed, or would be, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Printed<'a> {
    commit: &'a str,
    #[serde(rename = "ref")]
    git_ref: &'a str,
    dry_run: bool,
    added: Vec<&'a str>,
    modified: Vec<&'a str>,
    deleted: Vec<&'a str>,
    messages: &'a [String],
    /// Why nothing was changed, or would not be.
    held: Option<&'a str>,
}

fn print(wanted: &Published, done: &Done, flags: &OnceFlags) -> Result<()> {
    let of = |kind: char| -> Vec<&str> {
        let changes = done.changes.iter();
        let matching = changes.filter(move |(found, _)| *found == kind);
        matching.map(|(_, path)| path.as_str()).collect()
    };
    let text = match flags.output {
        OutputFormat::Json => serde_json::to_string_pretty(&Printed {
            commit: wanted.commit.as_str(),
            git_ref: wanted.git_ref.as_str(),
            dry_run: done.is_dry_run,
            added: of('A'),
            modified: of('M'),
            deleted: of('D'),
            messages: &done.messages,
            held: done.held.as_deref(),
        })?,
        OutputFormat::Table => table(wanted, done),
    };
    let out = anstream::stdout().lock();
    Ok(stoker_process::print(out, &format!("{text}\n"))?)
}

/// Returns the changes as a table: one line for each file, with `A`, `M` or `D` for added, modified or deleted.
fn table(wanted: &Published, done: &Done) -> String {
    use anstyle::{AnsiColor, Style};

    let mut lines: Vec<_> = done
        .messages
        .iter()
        .map(|text| stoker_report::escape(text))
        .collect();
    lines.extend(done.changes.iter().map(|(kind, path)| {
        let colour = match kind {
            'A' => AnsiColor::Green,
            'D' => AnsiColor::Red,
            _ => AnsiColor::Yellow,
        };
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{style}{kind}{style:#}  {}", stoker_report::escape(path))
    }));
    let files = done.files;
    let verb = if done.is_dry_run { "would be " } else { "" };
    lines.push(format!(
        "{} ({}): {verb}added {}, modified {}, deleted {}",
        wanted.commit.short(),
        wanted.git_ref.as_str(),
        files.added,
        files.modified,
        files.deleted
    ));
    if let Some(held) = &done.held {
        lines.push(format!(
            "the sync would be held: {}",
            stoker_report::escape(held)
        ));
    }
    lines.join("\n")
}

/// Shows what a fetch has reached, on one line that each call overwrites.
fn show(progress: FetchProgress<'_>) {
    let text = match progress {
        FetchProgress::Message(text) => stoker_report::escape(text),
        FetchProgress::Received(bytes) => format!("received {} KiB", bytes / 1024),
    };
    // The command goes on if nothing reads standard error.
    drop(write!(std::io::stderr(), "\r\x1b[K{text}\r"));
}

/// Returns the warning about a host key that nothing determines.
fn unchecked(server: &str, key: &str) -> String {
    format!(
        "warning: the host key of {server} is not checked: {key}; add --known-hosts-file, or --state to keep the first key"
    )
}

/// Prints progress, on a terminal only.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        warn(text);
    }
}

/// Prints a text on standard error.
fn warn(text: &str) {
    // The command goes on if nothing reads standard error.
    drop(writeln!(
        std::io::stderr(),
        "{}",
        stoker_report::escape(text)
    ));
}
