//! The names of the members of an object. The host returns the value of a given name, but does not list the names.

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::list::MAX_REFS;

/// Returns the names in the JSON text of an object, in their order. Names with an escape are skipped, because no tag
/// has an escape.
pub(crate) fn of_object(json: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut depth = 0;
    // Strings before a colon are names, and strings after a colon are values.
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
                if depth == 1 && is_name && !string.contains('\\') && keys.len() < MAX_REFS as usize
                {
                    keys.push(string.into());
                }
            }
            _ => {}
        }
    }
}

/// Returns the text before the quote that ends a string, and the text after the quote.
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
