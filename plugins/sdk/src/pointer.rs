//! JSON pointers (RFC 6901) that are partly known only at run time.

use alloc::string::String;

use crate::text;

/// Returns the pointer to a member, and escapes its name: `~` becomes `~0` and `/` becomes `~1`.
#[must_use]
pub fn member(parent: &str, name: &str) -> String {
    text::concat(&[parent, "/", &escaped(name)])
}

/// Returns the name as a token of a pointer.
pub(crate) fn escaped(name: &str) -> String {
    let mut token = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '~' => token.push_str("~0"),
            '/' => token.push_str("~1"),
            _ => token.push(letter),
        }
    }
    token
}

/// Returns the pointer to an element of an array, followed by `rest`.
#[must_use]
pub fn element(parent: &str, index: u32, rest: &str) -> String {
    // `to_string` would add the formatting of numbers to the component.
    let mut digits = [0; 10];
    let mut first = digits.len();
    let mut left = index;
    loop {
        first -= 1;
        digits[first] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    let mut pointer = String::with_capacity(parent.len() + 11 + rest.len());
    pointer.push_str(parent);
    pointer.push('/');
    pointer.extend(digits[first..].iter().map(|&digit| char::from(digit)));
    pointer.push_str(rest);
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_members_are_escaped() {
        assert_eq!(member("", "ref"), "/ref");
        assert_eq!(member("/a", "git.ref"), "/a/git.ref");
        assert_eq!(
            member("/annotations", "example.com/ref~1"),
            "/annotations/example.com~1ref~01"
        );
        assert_eq!(member("/a", ""), "/a/");
    }

    #[test]
    fn elements_are_counted_in_decimal() {
        for index in [0, 7, 10, 409, u32::MAX] {
            assert_eq!(element("/a", index, "/b"), format!("/a/{index}/b"));
        }
        assert_eq!(element("/a", 3, ""), "/a/3");
    }
}
