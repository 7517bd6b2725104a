//! The payload files of a project, asked of its component in a sandbox like the host's.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::question;
use crate::app::text;
use crate::author::{Announced, Case, Expectation, Outcome, PayloadFile, Project, Suite};
use crate::metrics::Metrics;
use crate::plugin::{
    CallError, Capacity, Limits, LoadError, Origin, Plugin, PluginMetrics, Reply, Sandbox, Tuning,
};
use crate::report;

/// What all projects are tested with.
pub(super) struct Tester {
    sandbox: Sandbox,
    metrics: PluginMetrics,
    limits: Limits,
    update: bool,
}

/// A component, and the plugin that was made of it: compiled once, however many settings it is tried with.
struct Subject {
    origin: Origin,
    bytes: Vec<u8>,
    compiled: Option<Plugin>,
    /// Why it cannot be used whatever its settings are: compiling a large one to learn it again takes a minute.
    refused: Option<String>,
}

impl Tester {
    pub(super) fn new(limits: Limits, update: bool) -> Result<Self> {
        Ok(Self {
            sandbox: Sandbox::new(Capacity::default())?,
            metrics: Metrics::new().plugin,
            limits,
            update,
        })
    }

    /// Tests a project. One that cannot be tested has failed.
    pub(super) async fn test(&self, project: &Project) -> Suite {
        let cases = match self.cases(project).await {
            Ok(cases) => cases,
            Err(error) => vec![Case {
                name: project.folder().display().to_string(),
                duration: Duration::ZERO,
                outcome: Outcome::Failed(vec![report::chain(error.as_ref()).to_string()]),
            }],
        };
        Suite {
            name: project.name().to_owned(),
            cases,
        }
    }

    async fn cases(&self, project: &Project) -> Result<Vec<Case>> {
        let files = project.payload_files()?;
        let component = component(project).await?;
        let mut subject = Subject {
            origin: Origin::File(
                component
                    .file_name()
                    .unwrap_or_default()
                    .display()
                    .to_string(),
            ),
            bytes: fs::read(&component)?,
            compiled: None,
            refused: None,
        };
        let mut cases = Vec::with_capacity(files.len());
        for file in files {
            let tested = self.case(&mut subject, &file).await;
            let (outcome, duration) = tested.unwrap_or_else(|error| {
                let why = report::chain(error.as_ref()).to_string();
                (Outcome::Failed(vec![why]), Duration::ZERO)
            });
            cases.push(Case {
                name: file.file_name().unwrap_or_default().display().to_string(),
                duration,
                outcome,
            });
        }
        Ok(cases)
    }

    async fn case(&self, subject: &mut Subject, path: &Path) -> Result<(Outcome, Duration)> {
        let file = PayloadFile::read(path)?;
        let (said, duration) = self.ask(subject, &file).await?;
        let outcome = Outcome::of(file.expected.as_ref(), &said);
        // That it fails is not what anybody wants to keep by accident.
        let is_wanted = !matches!(said, Expectation::Failed(_))
            || matches!(file.expected, Some(Expectation::Failed(_)));
        if self.update && is_wanted && matches!(outcome, Outcome::Failed(_)) {
            file.expect(path, &said)?;
            return Ok((Outcome::Updated(said.word()), duration));
        }
        Ok((outcome, duration))
    }

    async fn ask(
        &self,
        subject: &mut Subject,
        file: &PayloadFile,
    ) -> Result<(Expectation, Duration)> {
        let question = Arc::new(question(file.headers.clone(), file.body.clone())?);
        let tuning = Arc::new(Tuning {
            limits: self.limits.clone(),
            settings: file.settings.clone(),
            ..Tuning::default()
        });
        let plugin = match subject.plugin(self, tuning).await {
            Ok(plugin) => plugin,
            Err(why) => {
                let why = format!("it cannot be used: {why}");
                return Ok((Expectation::Failed(why), Duration::ZERO));
            }
        };
        if !plugin.wants(&question) {
            return Ok((Expectation::NotMine(true), Duration::ZERO));
        }
        let (reply, report) = plugin.ask(&self.sandbox, &question).await;
        Ok((said(reply), report.duration))
    }
}

impl Subject {
    /// A plugin that has failed nobody yet, for one that fails often would not be asked for a while.
    async fn plugin(&mut self, tester: &Tester, tuning: Arc<Tuning>) -> Result<Plugin, String> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let (sandbox, metrics) = (&tester.sandbox, &tester.metrics);
        let plugin = match &self.compiled {
            Some(compiled) => compiled.retuned(sandbox, metrics, tuning).await,
            None => self.load(tester, tuning).await,
        };
        plugin.map_err(|error| {
            let why = report::chain(&error).to_string();
            // Only what it says of itself depends on its settings.
            if !matches!(error, LoadError::Describe(_) | LoadError::Descriptor { .. }) {
                self.refused = Some(why.clone());
            }
            why
        })
    }

    async fn load(&mut self, tester: &Tester, tuning: Arc<Tuning>) -> Result<Plugin, LoadError> {
        let (sandbox, metrics) = (&tester.sandbox, &tester.metrics);
        let (origin, bytes) = (self.origin.clone(), self.bytes.clone());
        let plugin = Plugin::load(sandbox, metrics, origin, bytes, Arc::clone(&tuning)).await?;
        let plugin = self.compiled.insert(plugin);
        plugin.retuned(sandbox, metrics, tuning).await
    }
}

/// The component of a project, built if it is missing or older than its sources.
async fn component(project: &Project) -> Result<PathBuf> {
    if let Some(component) = project.component()? {
        return Ok(component);
    }
    let project = project.clone();
    text::note(&format!("building {}", project.component_file().display()));
    let build = move || project.build("release", text::note);
    Ok(tokio::task::spawn_blocking(build).await??)
}

fn said(reply: Result<Reply, CallError>) -> Expectation {
    match reply {
        Ok(Reply::NotMine) => Expectation::NotMine(true),
        Ok(Reply::Ignored(reason)) => Expectation::Ignored(reason),
        Ok(Reply::Malformed(why)) => Expectation::Malformed(why),
        Err(error) => Expectation::Failed(report::chain(&error).to_string()),
        Ok(Reply::Found(found)) => Expectation::Found(
            found
                .into_iter()
                .map(|one| Announced {
                    r#ref: one.git_ref.to_string(),
                    commit: one.commit.map(|commit| commit.to_string()),
                    repositories: one.repositories,
                    occurred_at: one.occurred_at,
                    delivery_id: one.delivery_id,
                })
                .collect(),
        ),
    }
}
