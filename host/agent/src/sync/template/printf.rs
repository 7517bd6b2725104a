//! The function `printf`, with the verbs and flags of Go's package `fmt`.

mod forms;

use std::fmt::Write as _;

use gotmpl::Value;

use super::MAX_OUTPUT;
use super::print::{exponential, fixed, is_printable, quote, rounded, shortest};

/// The largest width or precision in an argument. In the format, it can have one more digit.
const MAX_NUMBER: usize = 1_000_000;

/// A format cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormatError {
    #[error("the result of printf has more than {MAX_OUTPUT} bytes")]
    TooLarge,
    #[error("printf does not support %{0} for this value")]
    Verb(char),
}

/// The flags and numbers of one verb.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of a verb")]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// Whether `%#v` writes values as Go does in its sources.
    is_source: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'a> {
    arguments: &'a [Value],
    /// The position of the next argument.
    next: usize,
    /// Whether the index in the verb is one of an argument.
    is_index_good: bool,
    /// Whether any verb has an index.
    has_index: bool,
    /// Whether the rest of the format has no `]`. Each search would take as long as the rest.
    lacks_bracket: bool,
    output: String,
}

/// Formats arguments. What is wrong with the format or an argument is part of the result, as in Go.
pub(super) fn printf(format: &str, arguments: &[Value]) -> Result<String, FormatError> {
    let mut printer = Printer {
        arguments,
        next: 0,
        is_index_good: true,
        has_index: false,
        lacks_bracket: false,
        output: String::new(),
    };
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        printer.output.push_str(&rest[..at]);
        rest = printer.directive(&rest[at + 1..])?;
        if printer.output.len() > MAX_OUTPUT {
            return Err(FormatError::TooLarge);
        }
    }
    printer.output.push_str(rest);
    printer.extra()?;
    Ok(printer.output)
}

impl Printer<'_> {
    /// Writes what one directive says. Returns the rest of the format.
    fn directive<'f>(&mut self, format: &'f str) -> Result<&'f str, FormatError> {
        let mut spec = Spec::default();
        let mut rest = format;
        self.is_index_good = true;
        while let Some(flag @ ('-' | '+' | '#' | '0' | ' ')) = rest.chars().next() {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                '0' => spec.zero = true,
                _ => spec.space = true,
            }
            rest = &rest[1..];
        }
        let mut is_after_index = self.index(&mut rest);
        if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            is_after_index = false;
            self.width_argument(&mut spec);
        } else {
            spec.width = number(&mut rest);
            self.is_index_good &= !(is_after_index && spec.width.is_some());
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            self.is_index_good &= !is_after_index;
            is_after_index = self.index(&mut rest);
            if let Some(after) = rest.strip_prefix('*') {
                rest = after;
                is_after_index = false;
                let precision = self.integer();
                spec.precision = precision.and_then(|number| usize::try_from(number).ok());
                if spec.precision.is_none() {
                    self.output.push_str("%!(BADPREC)");
                }
            } else {
                spec.precision = Some(number(&mut rest).unwrap_or(0));
            }
        }
        if !is_after_index {
            self.index(&mut rest);
        }
        let Some(verb) = rest.chars().next() else {
            self.output.push_str("%!(NOVERB)");
            return Ok(rest);
        };
        self.verb(verb, spec)?;
        Ok(&rest[verb.len_utf8()..])
    }

    fn verb(&mut self, verb: char, mut spec: Spec) -> Result<(), FormatError> {
        if verb == '%' {
            self.output.push('%');
            return Ok(());
        }
        if !self.is_index_good {
            self.note(verb, "(BADINDEX)");
            return Ok(());
        }
        let Some(argument) = self.arguments.get(self.next) else {
            self.note(verb, "(MISSING)");
            return Ok(());
        };
        self.next += 1;
        if matches!(verb, 'v' | 'w') {
            spec.is_source = std::mem::take(&mut spec.sharp);
            spec.plus = false;
        }
        match (verb, argument) {
            ('T' | 'v', Value::Nil) => self.pad_text("<nil>", spec),
            ('T', value) => self.text(type_name(value), spec),
            _ => return self.value(argument, verb, spec),
        }
        Ok(())
    }

    fn note(&mut self, verb: char, note: &str) {
        // A string takes everything.
        let _ = write!(self.output, "%!{verb}{note}");
    }

    /// Writes the arguments that no verb has used.
    fn extra(&mut self) -> Result<(), FormatError> {
        let arguments = self.arguments;
        if self.has_index || self.next >= arguments.len() {
            return Ok(());
        }
        self.output.push_str("%!(EXTRA ");
        for (index, value) in arguments[self.next..].iter().enumerate() {
            if index > 0 {
                self.output.push_str(", ");
            }
            self.typed(value, Spec::default())?;
        }
        self.output.push(')');
        Ok(())
    }

    /// Writes a value with its type.
    fn typed(&mut self, value: &Value, spec: Spec) -> Result<(), FormatError> {
        if matches!(value, Value::Nil) {
            self.output.push_str("<nil>");
            return Ok(());
        }
        let _ = write!(self.output, "{}=", type_name(value));
        self.value(value, 'v', spec)
    }

    fn value(&mut self, value: &Value, verb: char, spec: Spec) -> Result<(), FormatError> {
        if self.output.len() > MAX_OUTPUT {
            return Err(FormatError::TooLarge);
        }
        match (value, verb) {
            (Value::Bool(truth), 't' | 'v') => {
                self.pad_text(if *truth { "true" } else { "false" }, spec);
            }
            (Value::Int(number), _) if "vdboOxXcqU".contains(verb) => {
                self.integer_value(*number, verb, spec);
            }
            (Value::Float(_), 'b' | 'x' | 'X') | (Value::Map(_), 'p') => {
                return Err(FormatError::Verb(verb));
            }
            (Value::Float(number), _) if "veEfFgG".contains(verb) => {
                self.float(*number, verb, spec);
            }
            (Value::String(text), 'v') if spec.is_source => self.quoted(text, spec),
            (Value::String(text), 's' | 'v') => self.text(text, spec),
            (Value::String(text), 'q') => self.quoted(text, spec),
            (Value::String(text), 'x' | 'X') => self.hex(text.as_bytes(), verb == 'X', spec),
            (Value::Map(map), _) if verb != 'w' => {
                let (start, between, end) = if spec.is_source {
                    ("map[string]string{", ", ", "}")
                } else {
                    ("map[", " ", "]")
                };
                self.output.push_str(start);
                for (index, (key, value)) in map.iter().enumerate() {
                    if index > 0 {
                        self.output.push_str(between);
                    }
                    self.value(&Value::String(key.clone()), verb, spec)?;
                    self.output.push(':');
                    self.value(value, verb, spec)?;
                }
                self.output.push_str(end);
            }
            _ => {
                let _ = write!(self.output, "%!{verb}(");
                self.typed(value, spec)?;
                self.output.push(')');
            }
        }
        Ok(())
    }

    /// Reads the index of an argument, such as `[2]`. Returns whether there is one.
    fn index(&mut self, format: &mut &str) -> bool {
        let Some(inside) = format.strip_prefix('[') else {
            return false;
        };
        self.has_index = true;
        let end = (!self.lacks_bracket).then(|| inside.find(']')).flatten();
        let Some(end) = end else {
            // The rest of the format does not have one either.
            self.lacks_bracket = true;
            *format = inside;
            self.is_index_good = false;
            return false;
        };
        let mut text = &inside[..end];
        let index = number(&mut text).filter(|_| text.is_empty());
        *format = &inside[end + 1..];
        match index.and_then(|index| index.checked_sub(1)) {
            Some(index) if index < self.arguments.len() => {
                self.next = index;
                true
            }
            _ => {
                self.is_index_good = false;
                index.is_some()
            }
        }
    }

    fn width_argument(&mut self, spec: &mut Spec) {
        let Some(width) = self.integer() else {
            self.output.push_str("%!(BADWIDTH)");
            return;
        };
        spec.width = usize::try_from(width.unsigned_abs()).ok();
        if width < 0 {
            spec.minus = true;
            spec.zero = false;
        }
    }

    /// Takes an argument that is a width or a precision.
    fn integer(&mut self) -> Option<i64> {
        let argument = self.arguments.get(self.next)?;
        self.next += 1;
        match argument {
            Value::Int(number) if number.unsigned_abs() <= MAX_NUMBER as u64 => Some(*number),
            _ => None,
        }
    }
}

/// Takes a number from the beginning of a format. After one that is too large, nothing of the format counts.
fn number(format: &mut &str) -> Option<usize> {
    let end = format.find(|next: char| !next.is_ascii_digit());
    let (digits, rest) = format.split_at(end.unwrap_or(format.len()));
    if digits.is_empty() {
        return None;
    }
    let number = digits
        .parse()
        .ok()
        .filter(|number| *number / 10 <= MAX_NUMBER);
    *format = if number.is_some() { rest } else { "" };
    number
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Map(_) => "map[string]string",
        other => other.type_name(),
    }
}

#[cfg(test)]
mod tests;
