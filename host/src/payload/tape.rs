//! A JSON text as a list of nodes that point back into its bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::RandomState;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::Kind;
use super::names::{self, Names};
use super::pointer::{self, Tokens};
use super::size::Size;

/// For an array, the position of each element whose index is a multiple of this number is kept. Otherwise, reading all
/// elements of a list of thousands by index would take time quadratic in its length.
const STRIDE: usize = 16;

/// The nodes of a JSON text in the order of the text. A container is followed by its content: an array by its elements,
/// an object by name, value, name, value.
#[derive(Debug, Default)]
pub(super) struct Tape {
    nodes: Vec<Node>,
    /// The strings that had escapes. `None` for a string that is not valid Unicode.
    unescaped: Vec<Option<Box<str>>>,
    /// For each long array, by its position: the positions of the elements [`STRIDE`], 2 × [`STRIDE`] and so on.
    strides: BTreeMap<usize, Vec<usize>>,
    /// For each object with many members, by its position: its names.
    names: BTreeMap<usize, Names>,
    /// Hashes the names. A sender cannot choose names with the same hash, because its keys are random.
    hasher: RandomState,
}

/// One value, or the name of a member.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node {
    Null,
    Boolean(bool),
    Unsigned(u64),
    Negative(i64),
    /// A number with a fraction or an exponent. Its text cannot be derived from its value.
    Fraction,
    /// A string without escapes, by its position in the body.
    Text {
        start: u32,
        bytes: u32,
    },
    /// A string with escapes, by its index among the copies.
    Unescaped {
        copy: u32,
    },
    /// The number of elements, and the position of the node after the last element.
    Array {
        len: u32,
        end: u32,
    },
    /// The number of members, and the position of the node after the last member.
    Object {
        len: u32,
        end: u32,
    },
}

impl Node {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Boolean(_) => Kind::Boolean,
            Self::Unsigned(_) | Self::Negative(_) | Self::Fraction => Kind::Number,
            Self::Text { .. } | Self::Unescaped { .. } => Kind::Text,
            Self::Array { .. } => Kind::Array,
            Self::Object { .. } => Kind::Object,
        }
    }

    /// The JSON text of a literal or an integer. JSON has exactly one way to write each of them.
    pub(super) fn text(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Null => Some("null".into()),
            Self::Boolean(true) => Some("true".into()),
            Self::Boolean(false) => Some("false".into()),
            Self::Unsigned(value) => Some(value.to_string().into()),
            Self::Negative(value) => Some(value.to_string().into()),
            _ => None,
        }
    }

    pub(super) fn len(&self) -> Option<u32> {
        match self {
            Self::Array { len, .. } | Self::Object { len, .. } => Some(*len),
            _ => None,
        }
    }
}

impl Tape {
    /// The allocated memory in bytes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let strides = self
            .strides
            .values()
            .map(|places| 32 + places.capacity() * 8);
        let names = self.names.values().map(|names| 32 + names.memory());
        let copies = self.unescaped.iter().flatten().map(|text| text.len() + 16);
        self.nodes.capacity() * size_of::<Node>()
            + self.unescaped.capacity() * 16
            + strides.sum::<usize>()
            + names.sum::<usize>()
            + copies.sum::<usize>()
    }

    pub(super) fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        // The number of values is exact, so that the list does not grow to twice the memory while a large body is parsed.
        let mut tape = Self {
            nodes: Vec::with_capacity(Size::of(body).values),
            ..Self::default()
        };
        let mut parser = serde_json::Deserializer::from_slice(body);
        Builder {
            tape: &mut tape,
            body,
        }
        .deserialize(&mut parser)?;
        parser.end()?;
        Ok(tape)
    }

    /// Makes strings with escapes unusable. `strings` are their indices in the order of the text.
    pub(super) fn withhold(&mut self, strings: &[usize]) {
        for &string in strings {
            if let Some(text) = self.unescaped.get_mut(string) {
                *text = None;
            }
        }
    }

    /// The string of a node. `None` if the node is not a string.
    pub(super) fn text<'a>(&'a self, node: &Node, body: &'a [u8]) -> Option<&'a str> {
        match *node {
            Node::Text { start, bytes } => {
                let start = start as usize;
                std::str::from_utf8(body.get(start..start + bytes as usize)?).ok()
            }
            Node::Unescaped { copy } => self.unescaped.get(copy as usize)?.as_deref(),
            _ => None,
        }
    }

    /// The node that the tokens lead to.
    pub(super) fn find(&self, tokens: Tokens<'_>, body: &[u8]) -> Option<&Node> {
        let mut place = 0;
        for token in tokens {
            place = match *self.nodes.get(place)? {
                Node::Object { end, .. } => self.member(place, end as usize, &token, body)?,
                Node::Array { end, .. } => {
                    self.element(place, end as usize, pointer::index(&token)?)?
                }
                _ => return None,
            };
        }
        self.nodes.get(place)
    }

    fn member(&self, object: usize, end: usize, name: &str, body: &[u8]) -> Option<usize> {
        let is_named = |place: &usize| {
            let node = self.nodes.get(*place);
            node.is_some_and(|node| self.is_named(node, name, body))
        };
        if let Some(names) = self.names.get(&object) {
            let mut places = names.places(name, &self.hasher);
            return Some(places.find(is_named)? + 1);
        }
        let (mut place, mut found) = (object + 1, None);
        while place < end {
            if is_named(&place) {
                found = Some(place + 1);
            }
            place = self.behind(place + 1)?;
        }
        found
    }

    /// Compares lengths first, since most names differ in length. The bytes were checked by the parser, so they are not
    /// checked again.
    fn is_named(&self, node: &Node, name: &str, body: &[u8]) -> bool {
        match *node {
            Node::Text { start, bytes } => {
                let start = start as usize;
                bytes as usize == name.len() && body[start..].starts_with(name.as_bytes())
            }
            Node::Unescaped { copy } => self
                .unescaped
                .get(copy as usize)
                .is_some_and(|text| text.as_deref() == Some(name)),
            _ => false,
        }
    }

    fn element(&self, array: usize, end: usize, index: usize) -> Option<usize> {
        let (mut place, mut left) = (array + 1, index);
        if let Some(nearest) = (index / STRIDE).checked_sub(1) {
            place = *self.strides.get(&array)?.get(nearest)?;
            left = index % STRIDE;
        }
        for _ in 0..left {
            if place >= end {
                return None;
            }
            place = self.behind(place)?;
        }
        (place < end).then_some(place)
    }

    /// Makes the index of the names of an object.
    fn index(&mut self, object: usize, len: usize, body: &[u8]) {
        let mut names = Names::with_capacity(len);
        let mut place = object + 1;
        while let Some(name) = self.nodes.get(place) {
            if let (Some(text), Ok(at)) = (self.text(name, body), u32::try_from(place)) {
                names.add(text, at, &self.hasher);
            }
            let Some(next) = self.behind(place + 1) else {
                break;
            };
            place = next;
        }
        names.sort();
        self.names.insert(object, names);
    }

    /// The position of the node after a whole value.
    fn behind(&self, place: usize) -> Option<usize> {
        match *self.nodes.get(place)? {
            Node::Array { end, .. } | Node::Object { end, .. } => Some(end as usize),
            _ => Some(place + 1),
        }
    }
}

/// Writes the parsed values to the tape.
struct Builder<'t> {
    tape: &'t mut Tape,
    /// The text. A string that the parser borrows from it is kept as an offset.
    body: &'t [u8],
}

impl Builder<'_> {
    fn again(&mut self) -> Builder<'_> {
        Builder {
            tape: self.tape,
            body: self.body,
        }
    }

    fn copy<E: serde::de::Error>(&mut self, text: Cow<'_, str>) -> Result<(), E> {
        let copy = offset(self.tape.unescaped.len())?;
        self.tape.unescaped.push(Some(text.into()));
        self.tape.nodes.push(Node::Unescaped { copy });
        Ok(())
    }

    /// Reserves the position of a container. The node is written when the end of the container is known.
    fn open(&mut self) -> usize {
        self.tape.nodes.push(Node::Null);
        self.tape.nodes.len() - 1
    }
}

fn offset<E: serde::de::Error>(value: usize) -> Result<u32, E> {
    u32::try_from(value).map_err(|_| E::custom("too many values"))
}

impl<'de> DeserializeSeed<'de> for Builder<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Builder<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.tape.nodes.push(Node::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.tape.nodes.push(Node::Boolean(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.tape.nodes.push(Node::Unsigned(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.tape.nodes.push(Node::Negative(value));
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.tape.nodes.push(Node::Fraction);
        Ok(())
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<(), E> {
        let start = text
            .as_ptr()
            .addr()
            .checked_sub(self.body.as_ptr().addr())
            .ok_or_else(|| E::custom("a string outside the body"))?;
        self.tape.nodes.push(Node::Text {
            start: offset(start)?,
            bytes: offset(text.len())?,
        });
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<(), E> {
        self.copy(Cow::Borrowed(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let place = self.open();
        let (mut len, mut strides) = (0, Vec::new());
        loop {
            let element = self.tape.nodes.len();
            if elements.next_element_seed(self.again())?.is_none() {
                break;
            }
            if len > 0 && len % STRIDE == 0 {
                strides.push(element);
            }
            len += 1;
        }
        if !strides.is_empty() {
            self.tape.strides.insert(place, strides);
        }
        let (len, end) = (offset(len)?, offset(self.tape.nodes.len())?);
        self.tape.nodes[place] = Node::Array { len, end };
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let place = self.open();
        let mut len: usize = 0;
        while members.next_key_seed(self.again())?.is_some() {
            members.next_value_seed(self.again())?;
            len += 1;
        }
        // The object is the end of the tape as yet, so its last member is the last node.
        if len >= names::LEAST {
            self.tape.index(place, len, self.body);
        }
        let (len, end) = (offset(len)?, offset(self.tape.nodes.len())?);
        self.tape.nodes[place] = Node::Object { len, end };
        Ok(())
    }
}
