//! The alternatives of a pattern: `{a,b}` stands for `a` and for `b`.

use super::glob::{self, Glob};
use super::{PatternError, SHOWN};

/// Why a pattern cannot be expanded.
enum Refused {
    Invalid,
    TooLarge,
}

/// Parses a pattern, and returns one glob for each of its alternatives. `left` is the number of characters that may
/// still be written out.
pub(super) fn globs(pattern: &str, left: &mut usize) -> Result<Vec<Glob>, PatternError> {
    let characters: Vec<char> = pattern.chars().collect();
    let mut all = Vec::new();
    let before = *left;
    expand(&characters, left, &mut all).map_err(|refused| match refused {
        Refused::Invalid => {
            *left = before;
            PatternError::Invalid(pattern.to_owned())
        }
        Refused::TooLarge => PatternError::TooLarge(characters.iter().take(SHOWN).collect()),
    })?;
    Ok(all)
}

/// Replaces `{a,b}` by each of its alternatives, and parses them. A brace that closes nothing is a character.
fn expand(pattern: &[char], left: &mut usize, all: &mut Vec<Glob>) -> Result<(), Refused> {
    // Work that has no result counts, too.
    *left = left
        .checked_sub(pattern.len() + 1)
        .ok_or(Refused::TooLarge)?;
    let Some(open) = find(pattern, 0, |c| c == '{').ok_or(Refused::Invalid)? else {
        all.push(Glob::parse(pattern).ok_or(Refused::Invalid)?);
        return Ok(());
    };
    let (ends, after) = alternatives(pattern, open).ok_or(Refused::Invalid)?;
    for ends in ends.windows(2) {
        let one = [
            &pattern[..open],
            &pattern[ends[0] + 1..ends[1]],
            &pattern[after..],
        ]
        .concat();
        expand(&one, left, all)?;
    }
    Ok(())
}

/// Returns the positions of the braces and of the commas between them, and the position after the last brace.
fn alternatives(pattern: &[char], open: usize) -> Option<(Vec<usize>, usize)> {
    let (mut ends, mut depth, mut at) = (vec![open], 1, open + 1);
    while depth > 0 {
        at = find(pattern, at, |c| matches!(c, '{' | '}' | ','))??;
        match pattern[at] {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 1 => ends.push(at),
            _ => {}
        }
        at += 1;
    }
    ends.push(at - 1);
    Some((ends, at))
}

/// Finds a character outside classes and escapes. Returns `None` if a class or an escape does not end.
#[expect(
    clippy::option_option,
    reason = "the outer one is the validity, the inner one the result"
)]
fn find(pattern: &[char], from: usize, is_wanted: impl Fn(char) -> bool) -> Option<Option<usize>> {
    let mut at = from;
    while at < pattern.len() {
        match pattern[at] {
            '\\' => {
                pattern.get(at + 1)?;
                at += 2;
            }
            '[' => at = glob::class_end(pattern, at)?,
            other if is_wanted(other) => return Some(Some(at)),
            _ => at += 1,
        }
    }
    Some(None)
}
