//! Selects existing values by paths with queries and wildcards.

use std::ops::Range;

use super::{JsonError, scan};

/// One step of a path.
enum Step<'a> {
    /// A member or element. `*` and `?` are wildcards.
    Name(&'a str),
    /// All elements: `#`. In an object, it is the name of a member.
    All,
    /// The first element that matches, or all of them: `#(…)`, `#(…)#`.
    Query { query: Query<'a>, all: bool },
}

/// The condition of a query.
struct Query<'a> {
    path: &'a str,
    operator: &'a str,
    value: &'a str,
}

/// The modifiers that `gjson` knows. Another name with `@` is that of a member.
const MODIFIERS: [&str; 13] = [
    "dig", "flatten", "fromstr", "group", "join", "keys", "pretty", "reverse", "this", "tostr",
    "ugly", "valid", "values",
];
/// The largest number of queries in each other.
const MAX_QUERIES: usize = 16;
/// The operators. `=` and `==` are the same.
const OPERATORS: [&str; 9] = ["==", "!=", "<=", ">=", "!%", "<", ">", "%", "="];

/// Returns the ranges of all values that the path selects, in order. A path with `|` or a modifier selects nothing: its
/// result is not part of the document.
pub(super) fn select(document: &[u8], path: &str) -> Result<Vec<Range<usize>>, JsonError> {
    let Some(steps) = parse(path)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    walk(document, scan::root(document), &steps, &mut found)?;
    Ok(found)
}

fn walk(
    document: &[u8],
    node: Range<usize>,
    steps: &[Step<'_>],
    found: &mut Vec<Range<usize>>,
) -> Result<(), JsonError> {
    let Some((step, rest)) = steps.split_first() else {
        found.push(node);
        return Ok(());
    };
    match step {
        Step::Name(name) => walk_names(document, &node, name, rest, found)?,
        Step::All if document[node.start] == b'{' => walk_names(document, &node, "#", rest, found)?,
        // The last `#` is the number of elements.
        Step::All if rest.is_empty() => {}
        Step::All => {
            for element in scan::elements(document, &node) {
                walk(document, element, rest, found)?;
            }
        }
        Step::Query { query, all } => {
            for element in scan::elements(document, &node) {
                if query.matches(document, &element)? {
                    walk(document, element, rest, found)?;
                    if !all {
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Walks on at the first member or element with the name that leads to a value.
fn walk_names(
    document: &[u8],
    node: &Range<usize>,
    name: &str,
    rest: &[Step<'_>],
    found: &mut Vec<Range<usize>>,
) -> Result<(), JsonError> {
    if document[node.start] != b'{' {
        // In an array, a name with a wildcard is none.
        return match scan::child(document, node, &unescape(name)) {
            Some(child) => walk(document, child, rest, found),
            None => Ok(()),
        };
    }
    let is_pattern = name.contains(['*', '?']);
    let plain = unescape(name);
    let before = found.len();
    for (key, value) in scan::members(document, node) {
        let matches = if is_pattern {
            matches_wildcard(&key, name)
        } else {
            key == plain
        };
        if !matches {
            continue;
        }
        let selects_all = matches!(
            rest.first(),
            Some(Step::All | Step::Query { all: true, .. })
        );
        let is_last = document[value.start] == b'[' && selects_all;
        walk(document, value, rest, found)?;
        if is_last || found.len() > before {
            break;
        }
    }
    Ok(())
}

fn unescape(name: &str) -> String {
    let mut characters = name.chars();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' {
            characters.next()
        } else {
            Some(character)
        });
    }
    text
}

fn parse(path: &str) -> Result<Option<Vec<Step<'_>>>, JsonError> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        if rest.starts_with(['!', '{', '[']) || is_modifier(rest) {
            return Ok(None);
        }
        let (end, is_query) = step_end(rest).ok_or_else(|| JsonError::Query(path.to_owned()))?;
        let step = &rest[..end];
        steps.push(if step == "#" {
            Step::All
        } else if is_query {
            let (inside, all) = match step.strip_suffix('#') {
                Some(inside) => (inside, true),
                None => (step, false),
            };
            let query = inside.strip_prefix("#(");
            let query = query.and_then(|query| query.strip_suffix(')'));
            let query = query.ok_or_else(|| JsonError::Query(path.to_owned()))?;
            Step::Query {
                query: Query::parse(query)?,
                all,
            }
        } else {
            Step::Name(step)
        });
        match rest.as_bytes().get(end) {
            Some(b'.') => rest = &rest[end + 1..],
            Some(_) => return Ok(None),
            None => return Ok(Some(steps)),
        }
    }
}

fn is_modifier(step: &str) -> bool {
    let name = step.strip_prefix('@').unwrap_or_default();
    let name = name.split([':', '|', '.']).next().unwrap_or_default();
    MODIFIERS.contains(&name)
}

/// Returns where a step ends, and whether it is a query.
fn step_end(text: &str) -> Option<(usize, bool)> {
    let bytes = text.as_bytes();
    let is_query = text.starts_with("#(");
    let (mut at, mut depth, mut is_quoted) = (0, 0_usize, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' if is_query => is_quoted = !is_quoted,
            b'(' if is_query && !is_quoted => {
                depth += 1;
                if depth > MAX_QUERIES {
                    return None;
                }
            }
            b')' if is_query && !is_quoted => depth = depth.checked_sub(1)?,
            b'.' | b'|' if depth == 0 => break,
            _ => {}
        }
        at += 1;
    }
    (depth == 0 && !is_quoted).then_some((at.min(text.len()), is_query))
}

impl<'a> Query<'a> {
    fn parse(text: &'a str) -> Result<Self, JsonError> {
        let bytes = text.as_bytes();
        let (mut at, mut depth) = (0, 0_usize);
        while at < bytes.len() {
            match bytes[at] {
                b'\\' => at += 1,
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ if depth > 0 => {}
                _ => {
                    let rest = &bytes[at..];
                    let found = OPERATORS
                        .iter()
                        .find(|operator| rest.starts_with(operator.as_bytes()));
                    if found.is_none() && bytes[at] == b'!' {
                        return Err(JsonError::Query(text.to_owned()));
                    }
                    if let Some(operator) = found {
                        let value = text[at + operator.len()..].trim();
                        if value.starts_with('~') {
                            return Err(JsonError::Query(text.to_owned()));
                        }
                        let unquoted = value
                            .strip_prefix('"')
                            .and_then(|value| value.strip_suffix('"'));
                        let query = Self {
                            path: text[..at].trim(),
                            operator,
                            value: unquoted.unwrap_or(value),
                        };
                        return query.checked(text);
                    }
                }
            }
            at += 1;
        }
        let query = Self {
            path: text.trim(),
            operator: "",
            value: "",
        };
        query.checked(text)
    }

    /// Refuses a query whose path selects several values. Only their number can be compared.
    fn checked(self, text: &str) -> Result<Self, JsonError> {
        let steps = match self.path {
            "" => None,
            path => parse(path)?,
        };
        let mut steps = steps.unwrap_or_default();
        steps.pop_if(|step| matches!(step, Step::All));
        if steps
            .iter()
            .any(|step| matches!(step, Step::All | Step::Query { all: true, .. }))
        {
            return Err(JsonError::Query(text.to_owned()));
        }
        Ok(self)
    }

    fn matches(&self, document: &[u8], element: &Range<usize>) -> Result<bool, JsonError> {
        let is_scalar = !matches!(document[element.start], b'{' | b'[');
        let value = &document[element.clone()];
        if is_scalar {
            return Ok(self.path.is_empty() && self.holds_for(value));
        }
        if self.path.is_empty() {
            return Ok(false);
        }
        if let Some(count) = self.count(value)? {
            return Ok(self.holds_for(count.to_string().as_bytes()));
        }
        let found = select(value, self.path)?.into_iter().next();
        Ok(found.is_some_and(|found| self.holds_for(&value[found])))
    }

    /// Returns the number of elements of an array whose path ends with `#`.
    fn count(&self, value: &[u8]) -> Result<Option<usize>, JsonError> {
        let array = match self.path.strip_suffix('#') {
            Some("") => Some(scan::root(value)),
            Some(path) => match path.strip_suffix('.') {
                Some(path) if !path.ends_with('\\') => select(value, path)?.into_iter().next(),
                _ => None,
            },
            None => None,
        };
        let array = array.filter(|array| value[array.start] == b'[');
        Ok(array.map(|array| scan::elements(value, &array).count()))
    }

    fn holds_for(&self, value: &[u8]) -> bool {
        self.operator.is_empty() || self.compare(value)
    }

    fn compare(&self, value: &[u8]) -> bool {
        match value[0] {
            b'"' => {
                let text = scan::text(value);
                match self.operator {
                    "%" => matches_wildcard(&text, self.value),
                    "!%" => !matches_wildcard(&text, self.value),
                    _ => self.holds(text.as_ref().partial_cmp(self.value)),
                }
            }
            b't' => self.compare_truth(true),
            b'f' => self.compare_truth(false),
            b'n' | b'{' | b'[' => false,
            _ => {
                let value = std::str::from_utf8(value).unwrap_or_default();
                let number = |text: &str| text.parse::<f64>().unwrap_or_default();
                self.holds(number(value).partial_cmp(&number(self.value)))
            }
        }
    }

    fn compare_truth(&self, truth: bool) -> bool {
        let other = match self.value {
            "true" => true,
            "false" => false,
            _ => return matches!(self.operator, "!="),
        };
        self.holds(truth.partial_cmp(&other))
    }

    fn holds(&self, order: Option<std::cmp::Ordering>) -> bool {
        let Some(order) = order else { return false };
        match self.operator {
            "==" | "=" => order.is_eq(),
            "!=" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            _ => false,
        }
    }
}

/// Matches a text with a pattern of `*` and `?`, in linear space and quadratic time.
fn matches_wildcard(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut at, mut in_pattern) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        let (token, width) = match pattern.get(in_pattern) {
            Some('\\') => (pattern.get(in_pattern + 1), 2),
            other => (other, 1),
        };
        match token {
            Some('*') if width == 1 => {
                star = Some((in_pattern, at));
                in_pattern += 1;
            }
            Some(token) if (*token == '?' && width == 1) || *token == text[at] => {
                at += 1;
                in_pattern += width;
            }
            _ => {
                let Some((position, matched)) = star else {
                    return false;
                };
                star = Some((position, matched + 1));
                at = matched + 1;
                in_pattern = position + 1;
            }
        }
    }
    pattern[in_pattern..].iter().all(|rest| *rest == '*')
}
