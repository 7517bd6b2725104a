//! The text of `stoker status`. Pure. Text of others is escaped, and colours are written as ANSI sequences, which the
//! output removes if it is not a terminal.

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use stoker_api::detection::CommitId;
use stoker_api::{DiscoveredGateway, GatewayState};
use stoker_report::escape;

use super::problems::Problem;
use super::view::{ObjectView, State};

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BUSY: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
/// The space between two columns.
const GAP: &str = "   ";

/// A cell of a table.
struct Cell {
    text: String,
    style: Style,
}

fn cell(text: &str, style: Style) -> Cell {
    Cell {
        text: escape(text),
        style,
    }
}

/// Returns a table of the objects of a namespace or of all, and their problems.
pub(super) fn list(objects: &[ObjectView], namespace: Option<&str>, now: Timestamp) -> String {
    if objects.is_empty() {
        let place = namespace.map(|name| format!(" in the namespace {name}"));
        let place = place.unwrap_or_default();
        return format!("There are no GatewaySync objects{place}.\n");
    }
    let header = [
        "NAMESPACE",
        "NAME",
        "REF",
        "COMMIT",
        "SINCE",
        "GATEWAYS",
        "STATE",
    ];
    let rows = objects.iter().map(|object| {
        vec![
            cell(&object.namespace, PLAIN),
            cell(&object.name, BOLD),
            cell(&object.git_ref, PLAIN),
            cell(object.short_commit().unwrap_or("-"), PLAIN),
            cell(&since(object, now), PLAIN),
            cell(&count(object), PLAIN),
            cell(word(object.state), style(object.state)),
        ]
    });
    let mut text = table(&header, rows.collect(), "");
    for object in objects.iter().filter(|object| !object.problems.is_empty()) {
        let title = escape(&format!("{}/{}", object.namespace, object.name));
        text.extend([format!("\n{BOLD}{title}{BOLD:#}\n")]);
        text.push_str(&problems(&object.problems));
    }
    text
}

/// Returns everything about one object.
pub(super) fn details(object: &ObjectView, now: Timestamp) -> String {
    let title = escape(&format!("{}/{}", object.namespace, object.name));
    let state = style(object.state);
    let mut text = format!(
        "{BOLD}{title}{BOLD:#}   {state}{}{state:#}\n\n",
        word(object.state)
    );
    let mut field = |name: &str, value: &str| {
        text.extend([format!("  {DIM}{name:<10}{DIM:#} {}\n", escape(value))]);
    };
    field("repository", &object.repo);
    field("ref", &described_ref(object, now));
    match (&object.commit, &object.resolved_ref) {
        (Some(commit), Some(resolved)) if *resolved != object.git_ref => {
            field(
                "commit",
                &format!("{commit} of {resolved}, for {}", since(object, now)),
            );
        }
        (Some(commit), _) => field("commit", &format!("{commit} for {}", since(object, now))),
        (None, _) => field("commit", "none"),
    }
    field("gateways", &format!("{} synced", count(object)));
    if !object.gateways.is_empty() {
        text.push('\n');
        text.push_str(&gateways(object, now));
        let more = object.gateway_count.saturating_sub(object.gateways.len());
        if more > 0 {
            text.extend([format!(
                "  and {more} more, which the status does not list\n"
            )]);
        }
    }
    if !object.problems.is_empty() {
        text.push('\n');
        text.push_str(&problems(&object.problems));
    }
    text
}

fn described_ref(object: &ObjectView, now: Timestamp) -> String {
    let kind = object
        .ref_kind
        .filter(|_| object.resolved_ref.as_deref() == Some(object.git_ref.as_str()));
    let mut text = object.git_ref.clone();
    if let Some(kind) = kind {
        text.extend([format!(" ({})", format!("{kind:?}").to_lowercase())]);
    }
    if let Some(spec) = &object.spec_ref {
        let by = object.requested_by.as_deref().unwrap_or("a user");
        let at = object.requested_at.as_ref().and_then(|at| at.parse().ok());
        let at = at
            .map(|at| format!(" {} ago", age(at, now)))
            .unwrap_or_default();
        text.extend([format!(", requested by {by}{at}; the spec has {spec}")]);
    }
    text
}

fn gateways(object: &ObjectView, now: Timestamp) -> String {
    let header = [
        "GATEWAY",
        "POD",
        "PROFILE",
        "STATE",
        "COMMIT",
        "LAST SYNC",
        "AGENT",
    ];
    let row = |gateway: &DiscoveredGateway| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let commit = gateway.synced_commit.as_deref();
        let is_other =
            commit.is_some() && !gateway.has_commit(object.commit.as_deref().unwrap_or_default());
        let last_sync = gateway.last_sync_time.as_ref();
        let (word, style) = gateway_state(gateway.sync_status);
        vec![
            cell(&gateway.name, BOLD),
            cell(&gateway.pod_name, PLAIN),
            cell(&text(&gateway.profile), PLAIN),
            cell(word, style),
            cell(
                commit.map_or("-", CommitId::shorten),
                if is_other { BUSY } else { PLAIN },
            ),
            cell(
                &last_sync.map_or_else(|| "-".to_owned(), |time| age(time.0, now)),
                PLAIN,
            ),
            cell(&text(&gateway.agent_version), PLAIN),
        ]
    };
    table(&header, object.gateways.iter().map(row).collect(), "  ")
}

fn gateway_state(state: Option<GatewayState>) -> (&'static str, Style) {
    match state {
        Some(GatewayState::Synced) => ("Synced", GOOD),
        Some(GatewayState::Error) => ("Error", BAD),
        Some(GatewayState::MissingSidecar) => ("MissingSidecar", BAD),
        Some(GatewayState::Pending) | None => ("Pending", BUSY),
    }
}

fn problems(problems: &[Problem]) -> String {
    let lines = problems.iter().map(|problem| {
        let style = if problem.is_blocking { BAD } else { BUSY };
        let (message, remedy) = (escape(&problem.message), escape(&problem.remedy));
        format!("  {style}!{style:#} {message}\n    {DIM}→{DIM:#} {remedy}\n")
    });
    lines.collect()
}

fn word(state: State) -> &'static str {
    match state {
        State::Deleting => "Deleting",
        State::Paused => "Paused",
        State::Failed => "Failed",
        State::Pending => "Pending",
        State::Resolved => "Resolved",
        State::Syncing => "Syncing",
        State::Ready => "Ready",
    }
}

fn style(state: State) -> Style {
    match state {
        State::Ready | State::Resolved => GOOD,
        State::Failed => BAD,
        State::Deleting | State::Paused | State::Pending | State::Syncing => BUSY,
    }
}

fn count(object: &ObjectView) -> String {
    format!("{}/{}", object.gateways_synced, object.gateway_count)
}

fn since(object: &ObjectView, now: Timestamp) -> String {
    object
        .since
        .map_or_else(|| "-".to_owned(), |since| age(since, now))
}

/// Returns the time between two moments in its largest unit, as kubectl does.
fn age(from: Timestamp, to: Timestamp) -> String {
    let seconds = (to.as_second() - from.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Returns a table whose columns are as wide as their longest cell.
fn table(header: &[&str], rows: Vec<Vec<Cell>>, indent: &str) -> String {
    let header = header.iter().map(|name| cell(name, DIM)).collect();
    let rows: Vec<Vec<Cell>> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.text.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<Cell>| {
        let last = row.len() - 1;
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                let Cell { text, style } = cell;
                let pad = if column == last {
                    0
                } else {
                    width - text.chars().count()
                };
                format!("{style}{text}{style:#}{:pad$}", "")
            });
        let cells: Vec<_> = cells.collect();
        format!("{indent}{}\n", cells.join(GAP))
    };
    rows.iter().map(line).collect()
}
