//! A pattern without alternatives. It is compared name by name, so that neither its memory nor its time explode.

/// A pattern without alternatives.
#[derive(Debug, Clone)]
pub(super) struct Glob(Box<[Part]>);

/// What stands between two slashes.
#[derive(Debug, Clone)]
enum Part {
    /// `**`: any number of names.
    Deep,
    /// A name without anything special.
    Text(Box<[char]>),
    Name(Box<[Token]>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Character(char),
    /// `?`
    Any,
    /// `*`
    Star,
    Class(Box<Class>),
}

/// `[…]`
#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    is_negated: bool,
    ranges: Box<[(char, char)]>,
}

impl Glob {
    /// Parses a pattern. Returns `None` if a class or an escape does not end.
    pub(super) fn parse(pattern: &[char]) -> Option<Self> {
        let mut parts = Vec::new();
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(character) = pattern.get(at) {
            let (token, next) = match character {
                '*' => (Token::Star, at + 1),
                '?' => (Token::Any, at + 1),
                '[' => {
                    let end = class_end(pattern, at)?;
                    let class = Class::parse(&pattern[at + 1..end - 1]);
                    (Token::Class(Box::new(class)), end)
                }
                '\\' => (Token::Character(*pattern.get(at + 1)?), at + 2),
                other => (Token::Character(*other), at + 1),
            };
            at = next;
            if token == Token::Character('/') {
                push_part(&mut tokens, &mut parts);
            } else {
                tokens.push(token);
            }
        }
        push_part(&mut tokens, &mut parts);
        // `a/**/` matches `a`.
        if let [_, .., Part::Deep, Part::Text(text)] = parts.as_slice()
            && text.is_empty()
        {
            parts.truncate(parts.len() - 2);
        }
        Some(Self(parts.into()))
    }

    /// Returns whether a path matches. The names are those from the root on.
    pub(super) fn matches(&self, names: &[&[char]]) -> bool {
        let is_deep = |part: &Part| matches!(part, Part::Deep);
        is_match(&self.0, names, is_deep, |part, name| match part {
            Part::Deep => false,
            Part::Text(text) => **text == **name,
            Part::Name(tokens) => is_match(
                tokens,
                name,
                |token| *token == Token::Star,
                |token, character| token.matches(*character),
            ),
        })
    }
}

/// Ends a part. Several `**` in a row mean the same as one, and so do several `*`.
fn push_part(tokens: &mut Vec<Token>, parts: &mut Vec<Part>) {
    let mut tokens = std::mem::take(tokens);
    if tokens == [Token::Star, Token::Star] {
        if !matches!(parts.last(), Some(Part::Deep)) {
            parts.push(Part::Deep);
        }
        return;
    }
    tokens.dedup_by(|next, token| *next == Token::Star && *token == Token::Star);
    let text: Option<Box<[char]>> = tokens.iter().map(Token::character).collect();
    parts.push(match text {
        Some(text) => Part::Text(text),
        None => Part::Name(tokens.into()),
    });
}

/// Compares a pattern with a text, of which a star takes any number of items. Only the last star has to be tried again,
/// because an earlier one that takes more leaves less to the rest.
fn is_match<P, T>(
    pattern: &[P],
    text: &[T],
    is_star: impl Fn(&P) -> bool,
    matches: impl Fn(&P, &T) -> bool,
) -> bool {
    // Most texts differ at the end.
    if let Some(last) = pattern.last()
        && !is_star(last)
        && !text.last().is_some_and(|found| matches(last, found))
    {
        return false;
    }
    let (mut at, mut position) = (0, 0);
    let mut star = None;
    loop {
        match (pattern.get(at), text.get(position)) {
            (Some(item), _) if is_star(item) => {
                at += 1;
                star = Some((at, position));
                continue;
            }
            (Some(item), Some(found)) if matches(item, found) => {
                at += 1;
                position += 1;
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        match star {
            Some((after, taken)) if taken < text.len() => {
                star = Some((after, taken + 1));
                (at, position) = (after, taken + 1);
            }
            _ => return false,
        }
    }
}

impl Token {
    fn character(&self) -> Option<char> {
        match self {
            Self::Character(character) => Some(*character),
            _ => None,
        }
    }

    fn matches(&self, found: char) -> bool {
        match self {
            Self::Character(character) => *character == found,
            Self::Any => true,
            Self::Star => false,
            Self::Class(class) => class.matches(found),
        }
    }
}

impl Class {
    /// Parses the inside of a class. A slash in it matches nothing.
    fn parse(inside: &[char]) -> Self {
        let (is_negated, inside) = match inside.split_first() {
            Some(('!' | '^', rest)) => (true, rest),
            _ => (false, inside),
        };
        let mut ranges = Vec::new();
        let mut characters = inside.iter().copied().peekable();
        while let Some(first) = next(&mut characters) {
            let is_range = characters.peek() == Some(&'-') && characters.clone().nth(1).is_some();
            let mut last = first;
            if is_range {
                characters.next();
                // Of a range in the wrong order, the first character counts.
                last = next(&mut characters).map_or(first, |last| last.max(first));
            }
            ranges.push((first, last));
        }
        Self {
            is_negated,
            ranges: ranges.into(),
        }
    }

    fn matches(&self, found: char) -> bool {
        let is_inside = |(first, last): &(char, char)| (*first..=*last).contains(&found);
        self.ranges.iter().any(is_inside) != self.is_negated
    }
}

/// Returns the next character of a class, without the backslash before it.
fn next(characters: &mut impl Iterator<Item = char>) -> Option<char> {
    match characters.next()? {
        '\\' => characters.next(),
        other => Some(other),
    }
}

/// Returns the position after a class `[…]`. An empty class is invalid.
pub(super) fn class_end(pattern: &[char], open: usize) -> Option<usize> {
    let mut at = open + 1;
    if matches!(pattern.get(at), Some('!' | '^')) {
        at += 1;
    }
    let first = at;
    loop {
        match pattern.get(at)? {
            ']' if at > first => return Some(at + 1),
            ']' => return None,
            '\\' => {
                pattern.get(at + 1)?;
                at += 2;
            }
            _ => at += 1,
        }
    }
}
