//! The figures as Markdown, a plot to each table, goals that were missed included.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::svg;

/// One figure.
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The figure.
    pub value: f64,
    /// What else there is to say of it.
    pub note: String,
    /// What it should be.
    pub goal: Option<Goal>,
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Goal {
    /// The bound.
    #[must_use]
    pub fn bound(self) -> f64 {
        match self {
            Self::AtMost(bound) | Self::AtLeast(bound) => bound,
        }
    }

    /// Whether a figure is within it.
    #[must_use]
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

impl Row {
    /// A figure without a goal.
    #[must_use]
    pub fn new(what: &str, value: f64, note: &str) -> Self {
        Self {
            what: what.to_owned(),
            value,
            note: note.to_owned(),
            goal: None,
        }
    }

    /// The most that it should be.
    #[must_use]
    pub fn at_most(self, goal: f64) -> Self {
        Self {
            goal: Some(Goal::AtMost(goal)),
            ..self
        }
    }

    /// The least that it should be.
    #[must_use]
    pub fn at_least(self, goal: f64) -> Self {
        Self {
            goal: Some(Goal::AtLeast(goal)),
            ..self
        }
    }
}

/// Figures of one kind.
pub struct Table {
    /// The file of its plot, without ending.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What is measured, and how.
    pub text: &'static str,
    /// The unit of all figures.
    pub unit: &'static str,
    /// The figures.
    pub rows: Vec<Row>,
}

/// Writes `benchmarks.md` and the plots into a folder.
pub fn write(folder: &Path, head: &str, tables: &[Table]) -> Result<()> {
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
            folder.join(format!("{}.svg", table.name)),
            svg::bars(table.unit, &table.rows),
        )?;
    }
    std::fs::write(folder.join("benchmarks.md"), text)?;
    Ok(())
}
