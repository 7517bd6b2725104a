//! `stoker plugin test`: tests projects, once or after each change.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use stoker_author::{AuthorError, Outcome, Project, Suite, junit};

use super::limits;
use super::tester::Tester;
use crate::app::text;
use crate::cli::TestFlags;

/// The interval between two checks of the files for changes. Checking some dozen files is cheap enough to need no file
/// watcher.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

pub(super) async fn run(flags: &TestFlags) -> Result<ExitCode> {
    let directories = flags.directories.iter();
    let projects = directories
        .map(|directory| Project::open(directory))
        .collect::<Result<Vec<_>, AuthorError>>()?;
    let tester = Tester::new(limits(&flags.limits), flags.update)?;
    if !flags.watch {
        return once(&tester, &projects, flags).await;
    }
    let mut stop = std::pin::pin!(stoker_process::termination()?);
    loop {
        let before = inputs(&projects);
        let code = tokio::select! {
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            code = once(&tester, &projects, flags) => code?,
        };
        text::note("waiting for a change; press Ctrl-C to stop");
        // The run may have built the component itself, so changes are detected from this point on.
        let component = components(&projects);
        while inputs(&projects) == before && components(&projects) == component {
            tokio::select! {
                () = &mut stop => return Ok(code),
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
    }
}

type Stamps = Vec<(SystemTime, PathBuf)>;

fn inputs(projects: &[Project]) -> Stamps {
    projects.iter().flat_map(Project::inputs).collect()
}

fn components(projects: &[Project]) -> Stamps {
    projects.iter().flat_map(Project::components).collect()
}

async fn once(tester: &Tester, projects: &[Project], flags: &TestFlags) -> Result<ExitCode> {
    let mut suites = Vec::with_capacity(projects.len());
    let mut lines = vec![format!(
        "{:<16} {:<44} {:<10} {:>7}",
        "PLUGIN", "FILE", "OUTCOME", "µs"
    )];
    for project in projects {
        let suite = tester.test(project).await;
        lines.extend(suite.table());
        suites.push(suite);
    }
    let failed: usize = suites.iter().map(Suite::failed).sum();
    let total: usize = suites.iter().map(|suite| suite.cases.len()).sum();
    let updated = suites.iter().flat_map(|suite| &suite.cases);
    let updated = updated.filter(|case| matches!(case.outcome, Outcome::Updated(_)));
    let updated = match updated.count() {
        0 => String::new(),
        count => format!(" ({count} updated)"),
    };
    lines.push(format!(
        "{} passed{updated}, {failed} failed",
        total - failed
    ));
    text::print_lines(&lines)?;
    if let Some(file) = &flags.junit {
        fs::write(file, junit(&suites)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
