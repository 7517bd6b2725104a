//! Checks the structure of a template, and spells the template in a way that the library reads as Go does.
//!
//! The library ends at the first `{{end}}` or `{{else}}` without a block, accepts blocks without an end, and trims more
//! than Go. Its stack overflows with a long chain of `{{else if}}`. So this module reads the template before the library
//! does, by the rules of Go's package `text/template/parse`.

use std::mem;

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
        self.output.push_str(action.content);
        self.output.push_str("}}");
        let end = &self.rest()[action.content.len()..action.length];
        self.lost_lines = lines(end);
        self.at += action.length;
        Ok(action.trims_next)
    }

    /// Finds the end of an action.
    fn scan(&self, start: usize) -> Result<Action<'a>, SyntaxError> {
        let rest = self.rest();
        let mut at = 0;
        loop {
            if let Some((length, trims_next)) = action_end(&rest[at..]) {
                if rest[..at].ends_with('-') {
                    // No value ends with it, and with the end of the action it could become a marker.
                    return Err(self.error(self.at + at - 1, Problem::Character('-')));
                }
                return Ok(Action {
                    content: &rest[..at],
                    length: at + length,
                    trims_next,
                });
            }
            let next = rest[at..].chars().next();
            let next = next.ok_or_else(|| self.error(start, Problem::Action))?;
            at += match next {
                '"' | '\'' | '`' => {
                    quoted(&rest[at..]).ok_or_else(|| self.error(self.at + at, Problem::Quotes))?
                }
                ' ' | '\t' | '\r' | '\n' | '=' | ':' | '|' | '$' | '.' | ',' | '(' | ')' | '+'
                | '-' => 1,
                _ if is_word(next) => {
                    let word = word(&rest[at..]);
                    let after = &rest[at + word.len()..];
                    let ends = after.is_empty()
                        || after.starts_with([' ', '\t', '\r', '\n', '.', ',', '|', ':', '(', ')'])
                        || after.starts_with("}}");
                    if let Some(bad) = after.chars().next().filter(|_| !ends)
                        && !next.is_numeric()
                    {
                        let problem = Problem::Character(bad);
                        return Err(self.error(self.at + at + word.len(), problem));
                    }
                    word.len()
                }
                _ => return Err(self.error(self.at + at, Problem::Character(next))),
            };
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

/// The blocks around a position.
#[derive(Default)]
struct Blocks {
    open: Vec<Block>,
    /// The number of open blocks, and of their branches of `{{else if}}`.
    branches: usize,
}

struct Block {
    name: &'static str,
    /// The position of its first action.
    start: usize,
    /// One, and one more for each `{{else if}}`.
    branches: usize,
    has_else: bool,
}

impl Blocks {
    /// Returns the innermost block that is not closed.
    fn unclosed(&self) -> Option<(usize, &'static str)> {
        self.open.last().map(|block| (block.start, block.name))
    }

    /// Opens and closes blocks.
    fn see(&mut self, start: usize, content: &str) -> Result<(), Problem> {
        let content = content.trim_matches(SPACES);
        let keyword = word(content);
        let rest = content[keyword.len()..].trim_matches(SPACES);
        let unexpected = || Problem::Unexpected(excerpt(content));
        match keyword {
            "if" => self.open("if", start),
            "with" => self.open("with", start),
            "range" => self.open("range", start),
            "block" => self.open("block", start),
            // Go has definitions at the top only.
            "define" if self.open.is_empty() => self.open("define", start),
            "define" => Err(unexpected()),
            "else" => self.see_else(rest, unexpected),
            "end" => {
                let block = self.open.pop().filter(|_| rest.is_empty());
                self.branches -= block.ok_or_else(unexpected)?.branches;
                Ok(())
            }
            "break" | "continue" if !rest.is_empty() => Err(unexpected()),
            "break" | "continue" if !self.is_in_range() => {
                Err(Problem::OutsideRange(keyword.to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, name: &'static str, start: usize) -> Result<(), Problem> {
        self.open.push(Block {
            name,
            start,
            branches: 1,
            has_else: false,
        });
        if self.open.len() > MAX_DEPTH {
            return Err(Problem::Depth);
        }
        self.add_branch()
    }

    fn add_branch(&mut self) -> Result<(), Problem> {
        self.branches += 1;
        if self.branches > MAX_BRANCHES {
            return Err(Problem::Branches);
        }
        Ok(())
    }

    fn see_else(&mut self, rest: &str, unexpected: impl Fn() -> Problem) -> Result<(), Problem> {
        let block = self.open.last_mut();
        let block = block.filter(|block| !block.has_else && takes_else(block.name));
        let block = block.ok_or_else(&unexpected)?;
        if rest.is_empty() {
            block.has_else = true;
            return Ok(());
        }
        if !matches!(block.name, "if" | "with") || word(rest) != block.name {
            return Err(unexpected());
        }
        block.branches += 1;
        self.add_branch()
    }

    fn is_in_range(&self) -> bool {
        let around = self.open.iter().rev();
        let mut around = around.take_while(|block| takes_else(block.name));
        around.any(|block| block.name == "range" && !block.has_else)
    }
}

/// Returns whether a block can have an `{{else}}`. The others are templates of their own.
fn takes_else(name: &str) -> bool {
    matches!(name, "if" | "with" | "range")
}

/// Returns the length of the end of an action, and whether it trims the text after it.
fn action_end(text: &str) -> Option<(usize, bool)> {
    if text.starts_with("}}") {
        return Some((2, false));
    }
    let marker = text.strip_prefix(SPACES)?;
    marker.starts_with("-}}").then_some((4, true))
}

/// Returns the length of a text in quotes, or `None` if it does not end. Only one in back quotes can have several lines.
fn quoted(text: &str) -> Option<usize> {
    let mut characters = text.char_indices();
    let (_, quote) = characters.next()?;
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
