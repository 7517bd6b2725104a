//! JSON pointers (RFC 6901).

use std::borrow::Cow;

/// The maximum length of a pointer, in bytes. A longer one leads to no value. Its escapes are decoded in one go, which a
/// call of a plugin cannot interrupt.
pub(super) const MAX_BYTES: usize = 16 << 10;

/// The reference tokens of a JSON pointer, from the root down.
pub(super) struct Tokens<'a> {
    rest: Option<&'a str>,
}

impl<'a> Tokens<'a> {
    /// Returns `None` if the text is not a pointer: it must be empty or start with a slash (RFC 6901 §3). Returns `None` for
    /// a pointer that is too long, too.
    pub(super) fn parse(pointer: &'a str) -> Option<Self> {
        if pointer.len() > MAX_BYTES {
            return None;
        }
        match pointer.strip_prefix('/') {
            Some(rest) => Some(Self { rest: Some(rest) }),
            None if pointer.is_empty() => Some(Self { rest: None }),
            None => None,
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        let rest = self.rest.take()?;
        let token = match rest.split_once('/') {
            Some((token, rest)) => {
                self.rest = Some(rest);
                token
            }
            None => rest,
        };
        // `~1` is replaced before `~0`, so that `~01` becomes `~1` (RFC 6901 §4).
        let plain = !token.contains('~');
        Some(if plain {
            Cow::Borrowed(token)
        } else {
            Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
        })
    }
}

/// An array index: digits without a leading zero (RFC 6901 §4).
pub(super) fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with('0');
    (canonical && token.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| token.parse().ok())
        .flatten()
}
