//! A JSON text that is not the body, such as JSON in a string. The host parses only the body.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::{Kind, pointer};

/// The maximum depth of arrays and objects, which is the same as for the body.
const MAX_DEPTH: u32 = 128;

/// A JSON text (RFC 8259).
///
/// Only the children of the root are indexed. Each question about deeper values reads the text of the child from its
/// start. A full tree would make the component larger, and events are flat.
#[derive(Debug)]
pub(crate) struct Json {
    text: String,
    /// The positions of the name, as it is written, and of the value.
    children: Vec<(Option<Range<usize>>, Range<usize>)>,
}

impl Json {
    /// Parses a text. Returns `None` if the text is not exactly one JSON value.
    pub(crate) fn parse(text: String) -> Option<Self> {
        let mut children = Vec::new();
        let place = |part: &str| {
            let start = part.as_ptr().addr() - text.as_ptr().addr();
            start..start + part.len()
        };
        let mut reader = Reader::new(&text);
        reader.space();
        if matches!(reader.peek(), Some(b'{' | b'[')) {
            reader.children(MAX_DEPTH, &mut |name, value| {
                children.push((name.map(place), place(value)));
            })?;
            reader.space();
        } else {
            reader.value(MAX_DEPTH)?;
        }
        let is_whole = reader.at == text.len();
        is_whole.then_some(Self { text, children })
    }

    /// Returns the text of the value at a JSON pointer (RFC 6901). If a name is duplicated, the last member counts, as
    /// in the body.
    pub(crate) fn find(&self, pointer: &str) -> Option<&str> {
        if pointer.is_empty() {
            return Some(self.text.trim_matches(is_space));
        }
        let (token, mut rest) = split(pointer)?;
        let mut picker = Picker::new(token);
        for (name, value) in &self.children {
            let name = name.clone().and_then(|place| self.text.get(place));
            picker.offer(name, self.text.get(value.clone())?);
        }
        let mut found = picker.found?;
        while !rest.is_empty() {
            let (token, behind) = split(rest)?;
            let mut picker = Picker::new(token);
            Reader::new(found).children(MAX_DEPTH, &mut |name, value| picker.offer(name, value))?;
            found = picker.found?;
            rest = behind;
        }
        Some(found)
    }
}

/// Returns the first token of a pointer, and the rest.
fn split(pointer: &str) -> Option<(&str, &str)> {
    let pointer = pointer.strip_prefix('/')?;
    Some(pointer.split_at(pointer.find('/').unwrap_or(pointer.len())))
}

/// Parses an index. An index has no sign and no leading zeros (RFC 6901 §4).
fn index(token: &str) -> Option<u32> {
    let is_canonical = token == "0" || matches!(token.bytes().next(), Some(b'1'..=b'9'));
    token.parse().ok().filter(|_| is_canonical)
}

/// Selects the child that a token of a pointer names.
struct Picker<'t, 'p> {
    token: &'p str,
    wanted_index: Option<u32>,
    index: u32,
    found: Option<&'t str>,
}

impl<'t, 'p> Picker<'t, 'p> {
    fn new(token: &'p str) -> Self {
        Self {
            token,
            wanted_index: index(token),
            index: 0,
            found: None,
        }
    }

    fn offer(&mut self, name: Option<&str>, value: &'t str) {
        let is_wanted = match name {
            Some(name) => unescaped(name).is_some_and(|name| self.token == pointer::escaped(&name)),
            None => Some(self.index) == self.wanted_index,
        };
        if is_wanted {
            self.found = Some(value);
        }
        self.index += 1;
    }
}

/// Returns the kind of a value. The text is that of [`Json::find`].
pub(crate) fn kind(value: &str) -> Option<Kind> {
    Some(match value.bytes().next()? {
        b'{' => Kind::Object,
        b'[' => Kind::Array,
        b'"' => Kind::Text,
        b'n' => Kind::Null,
        b't' | b'f' => Kind::Boolean,
        _ => Kind::Number,
    })
}

/// Returns the number of elements or members. The text is that of [`Json::find`].
pub(crate) fn len(value: &str) -> Option<u32> {
    let mut len = 0;
    Reader::new(value).children(MAX_DEPTH, &mut |_, _| len += 1)?;
    Some(len)
}

/// Returns the string. The text is that of [`Json::find`]. Returns `None` for another value, and for a string with a
/// lone surrogate.
pub(crate) fn string(value: &str) -> Option<String> {
    unescaped(value.strip_prefix('"')?.strip_suffix('"')?)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Reads a text from its start to its end. Each method returns `None` if the text violates the grammar.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

/// Receives the name, as it is written, and the text of each child.
type Visit<'v, 't> = &'v mut dyn FnMut(Option<&'t str>, &'t str);

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips bytes of a kind, and returns their number.
    fn skip(&mut self, is_skipped: fn(u8) -> bool) -> usize {
        let start = self.at;
        while self.peek().is_some_and(is_skipped) {
            self.at += 1;
        }
        self.at - start
    }

    fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn space(&mut self) {
        self.skip(|byte| is_space(char::from(byte)));
    }

    /// Skips a value and the white space around it, and returns its text.
    fn value(&mut self, depth: u32) -> Option<&'t str> {
        self.space();
        let start = self.at;
        match self.peek()? {
            b'{' | b'[' => self.children(depth, &mut |_, _| {})?,
            b'"' => {
                self.string()?;
            }
            b'n' => self.word("null")?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            _ => self.number()?,
        }
        let value = self.text.get(start..self.at);
        self.space();
        value
    }

    /// Skips an array or object.
    fn children(&mut self, depth: u32, visit: Visit<'_, 't>) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let (is_object, end) = match self.peek()? {
            b'{' => (true, b'}'),
            b'[' => (false, b']'),
            _ => return None,
        };
        self.at += 1;
        self.space();
        if self.eat(end).is_some() {
            return Some(());
        }
        loop {
            let mut name = None;
            if is_object {
                self.space();
                name = Some(self.string()?);
                self.space();
                self.eat(b':')?;
            }
            visit(name, self.value(depth)?);
            if self.eat(end).is_some() {
                return Some(());
            }
            self.eat(b',')?;
        }
    }

    /// Skips a string, and returns the text between its quotes.
    fn string(&mut self) -> Option<&'t str> {
        self.eat(b'"')?;
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                0..=0x1f => return None,
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'u' => {
                            code_unit(self.text.get(self.at + 1..)?)?;
                            self.at += 5;
                        }
                        byte => {
                            simple_escape(byte)?;
                            self.at += 1;
                        }
                    }
                }
                _ => self.at += 1,
            }
        }
        let string = self.text.get(start..self.at);
        self.at += 1;
        string
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.get(self.at..)?.strip_prefix(word)?;
        self.at += word.len();
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        self.eat(b'-');
        if self.eat(b'0').is_none() {
            self.digits()?;
        }
        if self.eat(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        (self.skip(|byte| byte.is_ascii_digit()) > 0).then_some(())
    }
}

/// Returns the text that a string represents. The string is given without its quotes. Returns `None` if it holds a lone
/// surrogate.
fn unescaped(string: &str) -> Option<String> {
    let mut text = String::with_capacity(string.len());
    let mut rest = string;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let byte = *escape.as_bytes().first()?;
        rest = escape.get(1..)?;
        if byte != b'u' {
            text.push(simple_escape(byte)?);
            continue;
        }
        let mut code = code_unit(rest)?;
        rest = rest.get(4..)?;
        if let 0xD800..=0xDBFF = code {
            let low = code_unit(rest.strip_prefix("\\u")?)?;
            code = 0x1_0000 + ((code - 0xD800) << 10) + low.checked_sub(0xDC00)?;
            rest = rest.get(6..)?;
        }
        text.push(char::from_u32(code)?);
    }
    text.push_str(rest);
    Some(text)
}

/// Returns the UTF-16 code unit of the four hexadecimal digits at the start of a text.
fn code_unit(text: &str) -> Option<u32> {
    let mut unit = 0;
    for byte in text.as_bytes().get(..4)? {
        unit = unit * 16 + char::from(*byte).to_digit(16)?;
    }
    Some(unit)
}

/// Returns the character of an escape other than `\u`.
fn simple_escape(byte: u8) -> Option<char> {
    Some(match byte {
        b'"' | b'\\' | b'/' => char::from(byte),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
