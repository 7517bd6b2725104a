//! Runs the payload files of a project through its component, in the same kind of sandbox as the host.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stoker_author::{Answer, Case, FoundRef, Outcome, PayloadFile, Project, RefKind, Suite};

use super::{advice, question};
use crate::app::text;
use crate::metrics::Metrics;
use crate::plugin::{
    CallError, Capacity, Limits, LoadError, Origin, Plugin, PluginMetrics, Reply, Sandbox, Tuning,
    read_component,
};

/// Tests projects, all in one sandbox.
pub(super) struct Tester {
    sandbox: Sandbox,
    metrics: PluginMetrics,
    limits: Limits,
    update: bool,
}

/// A component under test. It is compiled once for all settings.
struct Subject {
    origin: Origin,
    bytes: Vec<u8>,
    compiled: Option<Plugin>,
    /// The reason why the component cannot be used with any settings. It is kept, because compiling a large component
    /// takes a minute.
    refused: Option<String>,
}

impl Tester {
    pub(super) fn new(limits: Limits, update: bool) -> Result<Self> {
        Ok(Self {
            sandbox: Sandbox::new(Capacity::of_command())?,
            metrics: Metrics::new().plugin,
            limits,
            update,
        })
    }

    /// Tests a project. A project that cannot be tested counts as one failed test.
    pub(super) async fn test(&self, project: &Project) -> Suite {
        let cases = match self.cases(project).await {
            Ok(cases) => cases,
            Err(error) => vec![Case {
                name: project.directory().display().to_string(),
                duration: Duration::ZERO,
                outcome: Outcome::Error(stoker_report::chain(error.as_ref()).to_string()),
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
            bytes: read_component(&component, self.limits.component_bytes)
                .inspect_err(advise)
                .with_context(|| format!("{} cannot be used", component.display()))?,
            compiled: None,
            refused: None,
        };
        let mut cases = Vec::with_capacity(files.len());
        for file in files {
            let tested = self.case(&mut subject, &file).await;
            let (outcome, duration) = tested.unwrap_or_else(|error| {
                let why = stoker_report::chain(error.as_ref()).to_string();
                (Outcome::Error(why), Duration::ZERO)
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
        let (answer, duration, notes) = self.answer(subject, &file).await?;
        for note in notes {
            text::note(&format!("{}: {note}", path.display()));
        }
        let outcome = Outcome::of(file.expected.as_ref(), &answer);
        // A failure must not become the expected answer by accident.
        let may_update = !matches!(answer, Answer::Failed(_))
            || matches!(file.expected, Some(Answer::Failed(_)));
        if self.update && may_update && matches!(outcome, Outcome::Failed(_)) {
            file.update(path, &answer)?;
            return Ok((Outcome::Updated(answer.kind()), duration));
        }
        Ok((outcome, duration))
    }

    /// Returns the plugin's answer to the delivery of a payload file, the duration of the call, and the notes about it.
    async fn answer(
        &self,
        subject: &mut Subject,
        file: &PayloadFile,
    ) -> Result<(Answer, Duration, Vec<String>)> {
        let (question, _) = question(file.headers.clone(), file.body.clone())?;
        let question = Arc::new(question);
        let tuning = Arc::new(Tuning {
            limits: self.limits.clone(),
            settings: file.settings.clone(),
            ..Tuning::default()
        });
        let plugin = match subject.plugin(self, tuning).await {
            Ok(plugin) => plugin,
            Err(why) => {
                let why = format!("it cannot be used: {why}");
                return Ok((Answer::Failed(why), Duration::ZERO, Vec::new()));
            }
        };
        if !plugin.wants(&question) {
            return Ok((Answer::NotMine(true), Duration::ZERO, Vec::new()));
        }
        let (reply, report) = plugin.ask(&self.sandbox, &question).await;
        Ok((answer(reply), report.duration, report.notes))
    }
}

impl Subject {
    /// Returns a plugin with these settings. Each call creates a new plugin, because a plugin that has failed often is
    /// not called for a while.
    async fn plugin(&mut self, tester: &Tester, tuning: Arc<Tuning>) -> Result<Plugin, String> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let (sandbox, metrics) = (&tester.sandbox, &tester.metrics);
        let plugin = match &self.compiled {
            Some(compiled) => compiled.with_tuning(sandbox, metrics, tuning).await,
            None => self.load(tester, tuning).await,
        };
        plugin.map_err(|error| {
            let why = stoker_report::chain(&error).to_string();
            // Only the description of a component depends on its settings.
            if !matches!(error, LoadError::Describe(_) | LoadError::Descriptor { .. }) {
                advise(&error);
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
        plugin.with_tuning(sandbox, metrics, tuning).await
    }
}

/// Prints advice on an error, if there is any.
fn advise(error: &LoadError) {
    if let Some(advice) = advice::on(error) {
        text::note(advice);
    }
}

/// Returns the component of a project. The component is built first if it is missing or older than its sources.
async fn component(project: &Project) -> Result<PathBuf> {
    if let Some(component) = project.component()? {
        return Ok(component);
    }
    let project = project.clone();
    text::note(&format!("building {}", project.component_file().display()));
    let build = move || project.build("release", text::note);
    Ok(tokio::task::spawn_blocking(build).await??)
}

fn answer(reply: Result<Reply, CallError>) -> Answer {
    match reply {
        Ok(Reply::NotMine) => Answer::NotMine(true),
        Ok(Reply::Ignored(reason)) => Answer::Ignored(reason),
        Ok(Reply::Malformed(why)) => Answer::Malformed(why),
        Err(error) => Answer::Failed(stoker_report::chain(&error).to_string()),
        Ok(Reply::Found(found)) => Answer::Found(
            found
                .into_iter()
                .map(|one| FoundRef {
                    r#ref: one.git_ref.to_string(),
                    ref_kind: one.is_tag.then_some(RefKind::Tag),
                    commit: one.commit.map(|commit| commit.to_string()),
                    repositories: one.repositories,
                    event: one.event,
                    occurred_at: one.occurred_at,
                    delivery_id: one.delivery_id,
                })
                .collect(),
        ),
    }
}
