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
    /// The most that it should be.
    pub goal: Option<f64>,
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
            goal: Some(goal),
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
                let verdict = if row.value <= goal {
                    "met"
                } else {
                    "**missed**"
                };
                format!("≤ {goal}, {verdict}")
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
