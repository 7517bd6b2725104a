//! Plots with horizontal bars.

use std::fmt::Write as _;

use super::report::{Goal, Row};

const LABELS: f64 = 300.0;
const BARS: f64 = 380.0;
const LINE: f64 = 26.0;

/// Returns a plot with a bar for each row and a mark at its goal.
#[must_use]
pub fn bars(unit: &str, rows: &[Row]) -> String {
    let most = rows
        .iter()
        .flat_map(|row| [row.value, row.goal.map_or(0.0, Goal::bound)])
        .fold(f64::MIN_POSITIVE, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
    let height = LINE * rows.len() as f64 + 30.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 780 {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"780\" height=\"{height}\" fill=\"white\"/>\n"
    );
    let mut y = 8.0;
    for row in rows {
        let (width, middle) = (BARS * row.value / most, y + 13.0);
        let is_missed = row.goal.is_some_and(|goal| !goal.is_met(row.value));
        let colour = if is_missed { "#c2571a" } else { "#2a6f97" };
        // Writing to a string cannot fail.
        let _written = writeln!(
            svg,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text><rect x=\"{LABELS}\" y=\"{}\" width=\"{width:.1}\" height=\"14\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{middle}\">{:.1}</text>",
            LABELS - 8.0,
            escape(&row.what),
            y + 2.0,
            LABELS + width + 5.0,
            row.value,
        );
        if let Some(goal) = row.goal {
            let x = LABELS + BARS * goal.bound() / most;
            let _written = writeln!(
                svg,
                "<path d=\"M{x:.1} {y}v18\" stroke=\"#333\" stroke-dasharray=\"3 2\"/>"
            );
        }
        y += LINE;
    }
    let _written = writeln!(
        svg,
        "<text x=\"{LABELS}\" y=\"{}\" fill=\"#555\">{}; dashed: the goal</text>\n</svg>",
        y + 12.0,
        escape(unit)
    );
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
