//! The test results of a project.

use std::time::Duration;

use super::answer::Answer;
use super::diff::differences;

/// The test results of a project.
#[derive(Debug)]
pub struct Suite {
    /// The name of the project.
    pub name: String,
    /// The results, one for each payload file.
    pub cases: Vec<Case>,
}

/// The test result of a payload file.
#[derive(Debug)]
pub struct Case {
    /// The name of the file.
    pub name: String,
    /// The time that the plugin took to answer.
    pub duration: Duration,
    /// The result.
    pub outcome: Outcome,
}

/// The result of a test.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is the expected one. The value is its kind.
    Passed(&'static str),
    /// The answer was written into the payload file. The value is its kind.
    Updated(&'static str),
    /// The answer is not the expected one, or there is no answer. The lines contain the details.
    Failed(Vec<String>),
}

impl Outcome {
    /// Compares the actual answer with the expected one.
    #[must_use]
    pub fn of(expected: Option<&Answer>, actual: &Answer) -> Self {
        match expected {
            Some(expected) if expected.matches(actual) => Self::Passed(actual.kind()),
            Some(expected) => Self::Failed(differences(expected, actual)),
            None => {
                let actual = serde_json::to_string(actual).unwrap_or_default();
                let note = "the payload file has no `expect`; --update writes this answer:";
                Self::Failed(vec![note.to_owned(), format!("+ {actual}")])
            }
        }
    }
}

impl Suite {
    /// Returns the number of tests that failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        let failed = |case: &&Case| matches!(case.outcome, Outcome::Failed(_));
        self.cases.iter().filter(failed).count()
    }

    /// Returns a table: one line for each payload file, and below it the differences.
    #[must_use]
    pub fn table(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for Case {
            name,
            duration,
            outcome,
        } in &self.cases
        {
            let (result, below) = match outcome {
                Outcome::Passed(kind) => (*kind, &[][..]),
                Outcome::Updated(_) => ("UPDATED", &[][..]),
                Outcome::Failed(lines) => ("DIFFERENT", lines.as_slice()),
            };
            let (project, micros) = (&self.name, duration.as_micros());
            lines.push(format!("{project:<16} {name:<44} {result:<10} {micros:>7}"));
            lines.extend(below.iter().map(|line| format!("    {line}")));
        }
        lines
    }
}
