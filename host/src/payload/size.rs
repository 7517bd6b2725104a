//! An upper bound of the memory that parsing takes, found before the parsing.

/// The memory of a value in bytes: its node, and its share of the positions of array elements or of the index of names.
const VALUE_BYTES: usize = 24;
/// The memory of a string with escapes in bytes, besides its text: an element of a list that may have grown to twice
/// its length, and the overhead of an allocation.
const COPY_BYTES: usize = 64;

/// What a JSON text contains. A text that is not JSON contains at most as many values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Size {
    /// The number of values and of names.
    pub(super) values: usize,
    /// The number of strings with escapes.
    copies: usize,
    /// The length of the strings with escapes in bytes.
    copied: usize,
}

impl Size {
    /// Counts the values of a text. It reads each byte once.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut size = Self {
            values: 1,
            ..Self::default()
        };
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                // Each value but the first one is behind a comma or a colon, or is the first one of a container.
                b',' | b':' | b'[' | b'{' => size.values += 1,
                b'"' => {
                    let (mut length, mut has_escape) = (0, false);
                    while let Some(byte) = bytes.next()
                        && *byte != b'"'
                    {
                        length += 1;
                        if *byte == b'\\' {
                            has_escape = true;
                            bytes.next();
                        }
                    }
                    if has_escape {
                        size.copies += 1;
                        size.copied += length;
                    }
                }
                _ => {}
            }
        }
        size
    }

    /// Returns the largest size of a text of this length: each byte is a value.
    pub(super) fn largest(length: usize) -> Self {
        Self {
            values: length + 1,
            ..Self::default()
        }
    }

    /// Returns an upper bound of the memory of the parsed text in bytes.
    pub(super) fn memory(self) -> usize {
        self.values * VALUE_BYTES + self.copies * COPY_BYTES + self.copied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_copied_strings_are_counted() {
        let size = |values, copies, copied| Size {
            values,
            copies,
            copied,
        };
        for (text, expected) in [
            ("null", size(1, 0, 0)),
            ("[0,0,0]", size(4, 0, 0)),
            (r#"{"a":[1,{"b":"c,d:[{"}]}"#, size(7, 0, 0)),
            (r#"["a\"b","\\"]"#, size(3, 2, 4)),
            (r#"["\"#, size(2, 1, 1)),
        ] {
            assert_eq!(Size::of(text.as_bytes()), expected, "{text}");
        }
    }
}
