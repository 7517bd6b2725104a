//! The names of an object's members: the host answers for a name that one has, but names none.

use alloc::string::String;
use alloc::vec::Vec;

/// More than any sender updates at once.
const MAX_KEYS: usize = 64;

/// The names in the JSON text of an object, in their order, without those that hold an escape: no tag does.
pub(crate) fn of_object(json: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut depth = 0;
    // Within an object, the strings before a colon are the names, and those behind one are not.
    let mut is_name = true;
    let mut rest = json;
    loop {
        let mut letters = rest.chars();
        let Some(letter) = letters.next() else {
            return keys;
        };
        rest = letters.as_str();
        match letter {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ':' if depth == 1 => is_name = false,
            ',' if depth == 1 => is_name = true,
            '"' => {
                let (string, after) = string(rest);
                rest = after;
                if depth == 1 && is_name && !string.contains('\\') && keys.len() < MAX_KEYS {
                    keys.push(string.into());
                }
            }
            _ => {}
        }
    }
}

/// What stands before the quote that ends a string, and behind it.
fn string(text: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let is_end = |letter| {
        let is_end = letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        is_end
    };
    text.split_once(is_end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::of_object;

    #[test]
    fn only_the_outer_names_count() {
        for (json, keys) in [
            ("{}", ""),
            (r#"{"v1": "ab", "latest" : {"x": ["y", "z"]}}"#, "v1 latest"),
            (
                r#"{"a":"\"b\":\\","c":[{"d":1}], "e\"f": 1,"g":null}"#,
                "a c g",
            ),
            ("", ""),
            (r#"{"unfinished"#, "unfinished"),
        ] {
            assert_eq!(of_object(json).join(" "), keys, "{json}");
        }
    }
}
