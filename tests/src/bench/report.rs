//! Writes the results as Markdown, with a plot for each table. The report includes missed goals.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::svg;

/// A result.
pub struct Row {
    /// The name of the measured case.
    pub what: String,
    /// The measured value.
    pub value: f64,
    /// A remark.
    pub note: String,
    /// The goal, if there is one.
    pub goal: Option<Goal>,
}

/// The goal of a value.
#[derive(Clone, Copy)]
pub enum Goal {
    /// An upper bound.
    AtMost(f64),
    /// A lower bound.
    AtLeast(f64),
}

impl Goal {
    /// Returns the bound.
    #[must_use]
    pub fn bound(self) -> f64 {
        match self {
            Self::AtMost(bound) | Self::AtLeast(bound) => bound,
        }
    }

    /// Returns whether a value satisfies the goal.
    #[must_use]
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

impl Row {
    /// Returns a result without a goal.
    #[must_use]
    pub fn new(what: &str, value: f64, note: &str) -> Self {
        Self {
            what: what.to_owned(),
            value,
            note: note.to_owned(),
            goal: None,
        }
    }

    /// Sets an upper bound as the goal.
    #[must_use]
    pub fn at_most(self, goal: f64) -> Self {
        Self {
            goal: Some(Goal::AtMost(goal)),
            ..self
        }
    }

    /// Sets a lower bound as the goal.
    #[must_use]
    pub fn at_least(self, goal: f64) -> Self {
        Self {
            goal: Some(Goal::AtLeast(goal)),
            ..self
        }
    }
}

/// Results of one kind.
pub struct Table {
    /// The file name of the plot, without its extension.
    pub name: Cow<'static, str>,
    /// The heading.
    pub title: Cow<'static, str>,
    /// The description of the measurement.
    pub text: &'static str,
    /// The unit of all values.
    pub unit: &'static str,
    /// The results.
    pub rows: Vec<Row>,
}

/// The line of `benchmarks.md` behind which other measurements are kept.
const OTHERS: &str = "<!-- `just bench` keeps what follows. -->";

/// Writes `benchmarks.md` and the plots into a directory. What other measurements wrote behind [`OTHERS`] stays.
pub fn write(directory: &Path, head: &str, tables: &[Table]) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut text = format!("# Benchmarks\n\n{head}\n");
    for table in tables {
        write!(
            text,
            "\n## {}\n\n{}\n\n![{}]({}.svg)\n\n",
            table.title, table.text, table.title, table.name
        )?;
        write!(
            text,
            "| what | {} | goal | |\n| --- | ---: | ---: | --- |\n",
            table.unit
        )?;
        for row in &table.rows {
            let goal = row.goal.map_or_else(String::new, |goal| {
                let verdict = if goal.is_met(row.value) {
                    "met"
                } else {
                    "**missed**"
                };
                let sign = match goal {
                    Goal::AtMost(_) => '≤',
                    Goal::AtLeast(_) => '≥',
                };
                format!("{sign} {}, {verdict}", goal.bound())
            });
            writeln!(
                text,
                "| {} | {:.2} | {goal} | {} |",
                row.what, row.value, row.note
            )?;
        }
        std::fs::write(
            directory.join(format!("{}.svg", table.name)),
            svg::bars(table.unit, &table.rows),
        )?;
    }
    let page = directory.join("benchmarks.md");
    let before = std::fs::read_to_string(&page).unwrap_or_default();
    if let Some((_, others)) = before.split_once(OTHERS) {
        write!(text, "\n{OTHERS}{others}")?;
    }
    std::fs::write(page, text)?;
    Ok(())
}
