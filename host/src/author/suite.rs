//! What became of the payload files of a project.

use std::time::Duration;

use super::diff::differences;
use super::expectation::Expectation;

/// A project, tested.
#[derive(Debug)]
pub struct Suite {
    /// The project.
    pub name: String,
    /// Its payload files.
    pub cases: Vec<Case>,
}

/// A payload file, tested.
#[derive(Debug)]
pub struct Case {
    /// The file.
    pub name: String,
    /// What the plugin took for its answer.
    pub duration: Duration,
    /// How it went.
    pub outcome: Outcome,
}

/// How a test went.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As expected: this.
    Passed(&'static str),
    /// The file was changed to expect this from now on.
    Updated(&'static str),
    /// Otherwise, or not at all, as these lines say.
    Failed(Vec<String>),
}

impl Outcome {
    /// Compares what was said with what was expected.
    #[must_use]
    pub fn of(expected: Option<&Expectation>, said: &Expectation) -> Self {
        match expected {
            Some(expected) if expected.is_met_by(said) => Self::Passed(said.word()),
            Some(expected) => Self::Failed(differences(expected, said)),
            None => {
                let said = serde_json::to_string(said).unwrap_or_default();
                let what = "it expects nothing yet; --update writes what the plugin says:";
                Self::Failed(vec![what.to_owned(), format!("+ {said}")])
            }
        }
    }
}

impl Suite {
    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        let failed = |case: &&Case| matches!(case.outcome, Outcome::Failed(_));
        self.cases.iter().filter(failed).count()
    }

    /// A line for each file, and what differs below it.
    #[must_use]
    pub fn table(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for Case {
            name,
            duration,
            outcome,
        } in &self.cases
        {
            let (word, below) = match outcome {
                Outcome::Passed(word) => (*word, &[][..]),
                Outcome::Updated(_) => ("UPDATED", &[][..]),
                Outcome::Failed(lines) => ("DIFFERENT", lines.as_slice()),
            };
            let (project, micros) = (&self.name, duration.as_micros());
            lines.push(format!("{project:<16} {name:<44} {word:<10} {micros:>7}"));
            lines.extend(below.iter().map(|line| format!("    {line}")));
        }
        lines
    }
}
