//! The forms of single values.

use super::{Printer, Spec, exponential, fixed, is_printable, quote, rounded, shortest};

impl Printer<'_> {
    /// Writes a text with the width and the flags of padding. Zeros are only at the left.
    pub(super) fn pad_text(&mut self, text: &str, spec: Spec) {
        let length = text.chars().count();
        let missing = spec.width.unwrap_or(0).saturating_sub(length);
        let padding = if spec.zero && !spec.minus { '0' } else { ' ' };
        if !spec.minus {
            self.output.extend(std::iter::repeat_n(padding, missing));
        }
        self.output.push_str(text);
        if spec.minus {
            self.output.extend(std::iter::repeat_n(padding, missing));
        }
    }

    /// Writes a text, of which the precision keeps the first characters.
    pub(super) fn text(&mut self, text: &str, spec: Spec) {
        self.pad_text(truncated(text, spec), spec);
    }

    pub(super) fn quoted(&mut self, text: &str, spec: Spec) {
        let text = truncated(text, spec);
        let is_plain = |character: char| {
            character == '\t' || !matches!(character, '\0'..' ' | '`' | '\u{7f}' | '\u{feff}')
        };
        let quoted = if spec.sharp && text.chars().all(is_plain) {
            format!("`{text}`")
        } else {
            quote(text, '"', spec.plus)
        };
        self.pad_text(&quoted, spec);
    }

    /// Writes bytes in hexadecimal digits. The precision keeps the first bytes.
    pub(super) fn hex(&mut self, bytes: &[u8], is_upper: bool, spec: Spec) {
        let bytes = &bytes[..bytes.len().min(spec.precision.unwrap_or(usize::MAX))];
        let prefix = match (spec.sharp, is_upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let mut text = String::with_capacity(bytes.len() * 2);
        for (index, byte) in bytes.iter().enumerate() {
            if index > 0 && spec.space {
                text.push(' ');
            }
            if index == 0 || spec.space {
                text.push_str(prefix);
            }
            let digits = if is_upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            };
            text.push_str(&digits);
        }
        self.pad_text(&text, spec);
    }

    pub(super) fn integer_value(&mut self, number: i64, verb: char, spec: Spec) {
        match verb {
            'c' => self.pad_text(&rune(number).to_string(), spec),
            'q' => self.pad_text(&quote(&rune(number).to_string(), '\'', spec.plus), spec),
            'U' => self.unicode(number, spec),
            _ => self.digits(number, verb, spec),
        }
    }

    fn digits(&mut self, number: i64, verb: char, spec: Spec) {
        let size = number.unsigned_abs();
        let plain = Spec {
            zero: false,
            ..spec
        };
        if spec.precision == Some(0) && size == 0 {
            return self.pad_text("", plain);
        }
        let sign = match (number < 0, spec.plus, spec.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        let fills = spec.zero && !spec.minus;
        let width = spec.width.filter(|_| fills).unwrap_or(0);
        let least = spec.precision.unwrap_or(width.saturating_sub(sign.len()));
        let digits = match verb {
            'b' => format!("{size:b}"),
            'o' | 'O' => format!("{size:o}"),
            'x' => format!("{size:x}"),
            'X' => format!("{size:X}"),
            _ => size.to_string(),
        };
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        let prefix = match verb {
            'b' if spec.sharp => "0b",
            'x' if spec.sharp => "0x",
            'X' if spec.sharp => "0X",
            'o' if spec.sharp && !(zeros.starts_with('0') || digits.starts_with('0')) => "0",
            'O' if spec.sharp && !(zeros.starts_with('0') || digits.starts_with('0')) => "0o0",
            'O' => "0o",
            _ => "",
        };
        self.pad_text(&format!("{sign}{prefix}{zeros}{digits}"), plain);
    }

    fn unicode(&mut self, number: i64, spec: Spec) {
        // A negative number is not a character. Go writes its bits.
        let bits = u64::from_ne_bytes(number.to_ne_bytes());
        let digits = spec.precision.unwrap_or(0).max(4);
        let hex = format!("{bits:X}");
        let zeros = "0".repeat(digits.saturating_sub(hex.len()));
        let mut text = format!("U+{zeros}{hex}");
        let character = u32::try_from(bits).ok().and_then(char::from_u32);
        if let Some(character) =
            character.filter(|character| spec.sharp && is_printable(*character))
        {
            text.extend([" '", character.encode_utf8(&mut [0; 4]), "'"]);
        }
        self.pad_text(
            &text,
            Spec {
                zero: false,
                ..spec
            },
        );
    }

    pub(super) fn float(&mut self, number: f64, verb: char, spec: Spec) {
        let is_upper = matches!(verb, 'E' | 'G');
        let text = match (verb, spec.precision) {
            ('e' | 'E', precision) => exponential(number, precision.unwrap_or(6), is_upper),
            ('f' | 'F', precision) => fixed(number, precision.unwrap_or(6)),
            (_, None) => shortest(number, is_upper),
            (_, Some(precision)) => rounded(number, precision, is_upper),
        };
        let (sign, mut text) = match text.strip_prefix('-') {
            Some(text) => ("-", text.to_owned()),
            None if spec.plus => ("+", text),
            None if spec.space => (" ", text),
            None => ("", text),
        };
        if spec.sharp {
            text = with_point(&text, verb, spec.precision);
        }
        if spec.zero && !spec.minus {
            self.output.push_str(sign);
            let width = spec.width.map(|width| width.saturating_sub(sign.len()));
            self.pad_text(&text, Spec { width, ..spec });
        } else {
            self.pad_text(&format!("{sign}{text}"), spec);
        }
    }
}

/// Adds a decimal point, and for `%g` the zeros at the end.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let at = text.find(['e', 'E']).unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at(at);
    let mut mantissa = mantissa.to_owned();
    let significant = mantissa.trim_start_matches(['0', '.']);
    let digits = significant
        .bytes()
        .filter(u8::is_ascii_digit)
        .count()
        .max(1);
    if !mantissa.contains('.') {
        mantissa.push('.');
    }
    if matches!(verb, 'g' | 'G' | 'v') {
        let missing = precision.unwrap_or(6).saturating_sub(digits);
        mantissa.extend(std::iter::repeat_n('0', missing));
    }
    mantissa + exponent
}

fn truncated(text: &str, spec: Spec) -> &str {
    let end = spec
        .precision
        .and_then(|precision| text.char_indices().nth(precision));
    end.map_or(text, |(end, _)| &text[..end])
}

/// Returns the character with a number, or the one that stands for none.
fn rune(number: i64) -> char {
    let character = u32::try_from(number).ok().and_then(char::from_u32);
    character.unwrap_or(char::REPLACEMENT_CHARACTER)
}
