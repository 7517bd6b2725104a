//! The blocks of a template, as the actions open and close them.

use super::{MAX_BRANCHES, MAX_DEPTH, Problem, SPACES, excerpt, quoted, word};

/// The blocks around a position.
#[derive(Default)]
pub(super) struct Blocks {
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
    pub(super) fn unclosed(&self) -> Option<(usize, &'static str)> {
        self.open.last().map(|block| (block.start, block.name))
    }

    /// Opens and closes blocks.
    pub(super) fn see(&mut self, start: usize, content: &str) -> Result<(), Problem> {
        let content = content.trim_matches(SPACES);
        let keyword = word(content);
        let rest = content[keyword.len()..].trim_matches(SPACES);
        let unexpected = || Problem::Unexpected(excerpt(content));
        match keyword {
            "if" => self.open("if", start),
            "with" => self.open("with", start),
            "range" => self.open("range", start),
            "block" => {
                // Unlike a call of a template, it must have an argument.
                let name = quoted(rest).unwrap_or(0);
                if rest[name..].trim_matches(SPACES).is_empty() {
                    return Err(unexpected());
                }
                self.open("block", start)
            }
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
        // In the branch for no elements, the library would leave the range around it.
        let range = around.find(|block| block.name == "range");
        range.is_some_and(|block| !block.has_else)
    }
}

/// Returns whether a block can have an `{{else}}`. The others are templates of their own.
fn takes_else(name: &str) -> bool {
    matches!(name, "if" | "with" | "range")
}
