//! Base64 by RFC 4648 §4: the standard alphabet, with padding.

use alloc::vec::Vec;

/// Returns the bytes that a text encodes. Returns `None` for another alphabet (§5), for line breaks and for missing
/// padding.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (quads, rest) = text.as_bytes().as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(quads.len() * 3);
    for (index, quad) in quads.iter().enumerate() {
        let padding = quad.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || (padding > 0 && index + 1 < quads.len()) {
            return None;
        }
        let mut bits = 0;
        for byte in &quad[..4 - padding] {
            bits = bits << 6 | value(*byte)?;
        }
        bits <<= 6 * padding;
        let decoded = bits.to_be_bytes();
        bytes.extend_from_slice(decoded.get(1..4 - padding)?);
    }
    Some(bytes)
}

fn value(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn the_vectors_of_the_rfc_are_decoded() {
        for (encoded, text) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(
                decode(encoded).as_deref(),
                Some(text.as_bytes()),
                "{encoded}"
            );
        }
        assert_eq!(decode("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
    }

    #[test]
    fn other_alphabets_and_paddings_are_refused() {
        for text in [
            "Zg",
            "Zg=",
            "Z===",
            "====",
            "Zg==Zg==",
            "-_-_",
            "Zm9v\n",
            "Zm 9v",
            "Zm9v\nYmFy",
            "Z=g=",
            "é===",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
