//! Checks the structure of a template, and spells the template in a way that the library reads as Go does.
//!
//! The library ends at the first `{{end}}` or `{{else}}` without a block, accepts blocks without an end, and trims more
//! than Go. Its stack overflows with a long chain of `{{else if}}`. So this module reads the template before the library
//! does, by the rules of Go's package `text/template/parse`.

mod blocks;
mod literal;

use std::mem;

use blocks::Blocks;

/// What a trim marker removes.
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];
/// The largest number of blocks in each other. The library has a similar limit, and does not name the line.
const MAX_DEPTH: usize = 99;
/// The largest number of blocks in each other if each `{{else if}}` counts as a block in the one before. The library
/// calls itself for each of them, and executes 200 at most.
const MAX_BRANCHES: usize = 180;

/// The structure of a template is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub(crate) struct SyntaxError {
    /// The line in the template. The first one is 1.
    line: usize,
    problem: Problem,
}

impl SyntaxError {
    pub(super) fn line(&self) -> usize {
        self.line
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("the action is not closed")]
    Action,
    #[error("the comment is not closed")]
    Comment,
    #[error("the comment ends before the action")]
    AfterComment,
    #[error("the text in quotes is not closed")]
    Quotes,
    #[error("unexpected {0:?} in an action")]
    Character(char),
    #[error("{0} is not a number")]
    Number(String),
    #[error("{0} has an escape that does not exist")]
    Escape(String),
    #[error("{0} is not UTF-8")]
    Encoding(String),
    #[error("unexpected {{{{{0}}}}}")]
    Unexpected(String),
    #[error("{{{{{0}}}}} has no {{{{end}}}}")]
    NoEnd(&'static str),
    #[error("{{{{{0}}}}} outside {{{{range}}}}")]
    OutsideRange(String),
    #[error("more than {MAX_DEPTH} blocks are in each other")]
    Depth,
    #[error("more than {MAX_BRANCHES} blocks and branches of {{{{else if}}}} are in each other")]
    Branches,
}

/// Returns an equivalent template without comments and without trim markers. Lines stay lines, so that positions in
/// later errors are right.
pub(super) fn normalise(template: &str) -> Result<String, SyntaxError> {
    let mut reader = Reader {
        template,
        at: 0,
        output: String::with_capacity(template.len()),
        text: String::new(),
        lost_lines: 0,
        blocks: Blocks::default(),
    };
    while reader.step()? {}
    Ok(reader.output)
}

struct Reader<'a> {
    template: &'a str,
    /// The position of what is not read yet.
    at: usize,
    output: String,
    /// The text since the last action.
    text: String,
    /// The lines that were left out since the last action.
    lost_lines: usize,
    blocks: Blocks,
}

/// The content of an action.
struct Action<'a> {
    content: &'a str,
    /// The content with literals that the library reads as Go does.
    spelled: String,
    /// The length with the end.
    length: usize,
    trims_next: bool,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.template[self.at..]
    }

    fn error(&self, at: usize, problem: Problem) -> SyntaxError {
        let line = lines(&self.template[..at]) + 1;
        SyntaxError { line, problem }
    }

    /// Reads the text before an action, and the action. Returns whether there was one.
    fn step(&mut self) -> Result<bool, SyntaxError> {
        let rest = self.rest();
        let Some(start) = rest.find("{{") else {
            self.text.push_str(rest);
            self.write_text();
            return match self.blocks.unclosed() {
                Some((start, name)) => Err(self.error(start, Problem::NoEnd(name))),
                None => Ok(false),
            };
        };
        let (text, inside) = (&rest[..start], &rest[start + 2..]);
        let trims = inside.starts_with('-') && inside[1..].starts_with(SPACES);
        let kept = if trims {
            text.trim_end_matches(SPACES)
        } else {
            text
        };
        self.text.push_str(kept);
        self.lost_lines += lines(&text[kept.len()..]);
        let start = self.at + start;
        self.at = start + 2;
        let marker = if trims { 2 } else { 0 };
        let trims_next = if inside[marker..].starts_with("/*") {
            self.at += marker;
            self.comment(start)?
        } else {
            // The space of the marker stays, so that the next character cannot become a marker.
            self.at += usize::from(trims);
            self.action(start)?
        };
        if trims_next {
            let rest = self.rest();
            let kept = rest.trim_start_matches(SPACES);
            let trimmed = rest.len() - kept.len();
            self.lost_lines += lines(&rest[..trimmed]);
            self.at += trimmed;
        }
        Ok(true)
    }

    /// Leaves a comment out. Returns whether the text after it is trimmed.
    fn comment(&mut self, start: usize) -> Result<bool, SyntaxError> {
        let rest = self.rest();
        let end = rest[2..].find("*/");
        let end = end.ok_or_else(|| self.error(start, Problem::Comment))? + 4;
        let (length, trims_next) =
            action_end(&rest[end..]).ok_or_else(|| self.error(start, Problem::AfterComment))?;
        self.lost_lines += lines(&rest[..end + length]);
        self.at += end + length;
        Ok(trims_next)
    }

    /// Writes an action. Returns whether the text after it is trimmed.
    fn action(&mut self, start: usize) -> Result<bool, SyntaxError> {
        let action = self.scan(start)?;
        self.blocks
            .see(start, action.content)
            .map_err(|problem| self.error(start, problem))?;
        self.write_text();
        self.output.push_str("{{");
        let lost_lines = mem::take(&mut self.lost_lines);
        self.output.extend(std::iter::repeat_n('\n', lost_lines));
        self.output.push_str(&action.spelled);
        self.output.push_str("}}");
        let end = &self.rest()[action.content.len()..action.length];
        self.lost_lines = lines(end);
        self.at += action.length;
        Ok(action.trims_next)
    }

    /// Finds the end of an action.
    fn scan(&self, start: usize) -> Result<Action<'a>, SyntaxError> {
        let rest = self.rest();
        let (mut at, mut spelled) = (0, String::new());
        loop {
            if let Some((length, trims_next)) = action_end(&rest[at..]) {
                return Ok(Action {
                    content: &rest[..at],
                    spelled,
                    length: at + length,
                    trims_next,
                });
            }
            let next = rest[at..].chars().next();
            let next = next.ok_or_else(|| self.error(start, Problem::Action))?;
            if !may_follow(rest[..at].chars().next_back(), next) {
                return Err(self.error(self.at + at, Problem::Character(next)));
            }
            at += match next {
                '"' | '\'' | '`' => {
                    let length = quoted(&rest[at..]);
                    let length = length.ok_or_else(|| self.error(self.at + at, Problem::Quotes))?;
                    let literal = literal::quoted(&rest[at..at + length]);
                    spelled
                        .push_str(&literal.map_err(|problem| self.error(self.at + at, problem))?);
                    length
                }
                '+' | '-' | '.' | '0'..='9' if literal::number_length(&rest[at..]) > 0 => {
                    let length = literal::number_length(&rest[at..]);
                    let literal = literal::number(&rest[at..at + length]);
                    spelled
                        .push_str(&literal.map_err(|problem| self.error(self.at + at, problem))?);
                    length
                }
                ' ' | '\t' | '\r' | '\n' | '=' | ':' | '|' | '.' | ',' | '(' | ')' => {
                    spelled.push(next);
                    1
                }
                _ => {
                    let word = self.word(at)?;
                    spelled.push_str(word);
                    word.len()
                }
            };
        }
    }

    /// Reads a word or a variable in an action.
    fn word(&self, at: usize) -> Result<&'a str, SyntaxError> {
        let rest = &self.rest()[at..];
        let sign = usize::from(rest.starts_with('$'));
        let length = sign + word(&rest[sign..]).len();
        let (word, after) = rest.split_at(length);
        let ends = after.is_empty()
            || after.starts_with([' ', '\t', '\r', '\n', '.', ',', '|', ':', '(', ')'])
            || after.starts_with("}}");
        match after.chars().next() {
            Some(bad) if !ends => Err(self.error(self.at + at + length, Problem::Character(bad))),
            _ => Ok(word),
        }
    }

    /// Writes the text since the last action. Braces that would begin an action there are written as values.
    fn write_text(&mut self) {
        let text = mem::take(&mut self.text);
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if character == '{' && matches!(characters.peek(), None | Some('{')) {
                self.output.push_str(r#"{{"{"}}"#);
            } else {
                self.output.push(character);
            }
        }
    }
}

/// Returns the length of the end of an action, and whether it trims the text after it.
fn action_end(text: &str) -> Option<(usize, bool)> {
    if text.starts_with("}}") {
        return Some((2, false));
    }
    let marker = text.strip_prefix(SPACES)?;
    marker.starts_with("-}}").then_some((4, true))
}

/// Returns the length of a text in quotes, or `None` if there is none or it does not end. Only one in back quotes can
/// have several lines.
fn quoted(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    let (_, quote) = characters.next()?;
    if !matches!(quote, '"' | '\'' | '`') {
        return None;
    }
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Some(at + 1),
            _ if quote == '`' => {}
            '\n' => return None,
            '\\' => {
                characters.next().filter(|(_, escaped)| *escaped != '\n')?;
            }
            _ => {}
        }
    }
    None
}

/// Returns whether a character can follow another one at the beginning of a value. Go has a space between values.
fn may_follow(before: Option<char>, next: char) -> bool {
    let Some(before) = before else { return true };
    match next {
        '"' | '\'' | '`' | '$' | '(' | '+' | '-' | '0'..='9' => {
            SPACES.contains(&before) || matches!(before, '(' | '|' | ',' | '=')
        }
        '.' => before != '.',
        _ if is_word(next) => !matches!(before, '"' | '\'' | '`' | ')'),
        _ => true,
    }
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// Returns the word at the beginning of a text.
fn word(text: &str) -> &str {
    &text[..text.find(|next| !is_word(next)).unwrap_or(text.len())]
}

fn lines(text: &str) -> usize {
    text.matches('\n').count()
}

/// The beginning of an action for an error message.
fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
