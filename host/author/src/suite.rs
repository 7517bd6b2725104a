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
    /// The answer is not the expected one. The lines contain the details.
    Failed(Vec<String>),
    /// The test could not be run, or its result could not be written. The value is the reason.
    Error(String),
}

impl Outcome {
    /// Compares the actual answer with the expected one.
    #[must_use]
    pub fn of(expected: Option<&Answer>, actual: &Answer) -> Self {
        match expected {
            Some(expected) if expected.matches(actual) => Self::Passed(actual.kind()),
            Some(expected) => Self::Failed(differences(expected, actual)),
            None => {
                let note = if matches!(actual, Answer::Failed(_)) {
                    "the payload file has no `expect`, and --update writes no failure; if the plugin is meant to fail, add as `expect` this answer, with all or a part of its text:"
                } else {
                    "the payload file has no `expect`; --update writes this answer:"
                };
                let actual = serde_json::to_string(actual).unwrap_or_default();
                Self::Failed(vec![note.to_owned(), format!("+ {actual}")])
            }
        }
    }
}

impl Suite {
    /// Returns the number of tests that failed or could not be run.
    #[must_use]
    pub fn failed(&self) -> usize {
        let failed = |case: &&Case| matches!(case.outcome, Outcome::Failed(_) | Outcome::Error(_));
        self.cases.iter().filter(failed).count()
    }

    /// Returns a table: one line for each payload file, and below it the differences or the error.
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
                Outcome::Error(why) => ("ERROR", std::slice::from_ref(why)),
            };
            let (project, micros) = (&self.name, duration.as_micros());
            lines.push(format!("{project:<16} {name:<44} {result:<10} {micros:>7}"));
            lines.extend(below.iter().map(|line| format!("    {line}")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_an_update_writes_is_announced_as_such() {
        let note = |actual: Answer| match Outcome::of(None, &actual) {
            Outcome::Failed(lines) => lines[0].clone(),
            other => panic!("{other:?}"),
        };
        assert!(note(Answer::NotMine(true)).contains("--update writes this answer"));
        let failure = note(Answer::Failed("it stopped with a trap".into()));
        assert!(failure.contains("--update writes no failure"), "{failure}");
    }

    #[test]
    fn a_test_that_could_not_be_run_has_failed_without_an_answer() {
        let suite = Suite {
            name: "acme".into(),
            cases: vec![Case {
                name: "a.json".into(),
                duration: Duration::ZERO,
                outcome: Outcome::Error("the payload file is invalid".into()),
            }],
        };
        assert_eq!(suite.failed(), 1);
        let table = suite.table();
        assert!(table[0].contains(" ERROR "), "{table:?}");
        assert_eq!(table[1], "    the payload file is invalid");
    }
}
