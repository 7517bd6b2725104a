//! The patterns of hosts in `known_hosts` and in certificates (`man 5 ssh_config`).

/// Matches a name with patterns that are separated by commas. A pattern that begins with `!` excludes what it matches.
pub(super) fn match_list(patterns: &str, name: &str) -> bool {
    let (excluded, included): (Vec<_>, Vec<_>) = patterns
        .split(',')
        .partition(|pattern| pattern.starts_with('!'));
    let is_excluded = excluded.iter().any(|pattern| is_match(&pattern[1..], name));
    !is_excluded && included.iter().any(|pattern| is_match(pattern, name))
}

/// Matches a name with one pattern, in which `*` means any characters and `?` means one. The time is at most the product
/// of the lengths.
pub(super) fn is_match(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut read) = (0, 0);
    // The position after the last `*`, and the number of bytes of the name before its match ended.
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, read));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((after, matched)) = star else {
                    return false;
                };
                star = Some((after, matched + 1));
                at = after;
                read = matched + 1;
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_ssh_config() {
        for (pattern, name, expected) in [
            ("h", "h", true),
            ("h", "hh", false),
            ("*", "", true),
            ("*.example.com", "git.example.com", true),
            ("*.example.com", "example.com", false),
            ("10.0.?.1", "10.0.7.1", true),
            ("10.0.?.1", "10.0.77.1", false),
            ("a*b*c", "axxbyybzzc", true),
            ("a*b*c", "axxbyybzz", false),
            ("[*.h]:2222", "[a.h]:2222", true),
            ("", "h", false),
            ("**a", "bba", true),
        ] {
            assert_eq!(is_match(pattern, name), expected, "{pattern} {name}");
        }
        assert!(!is_match(&"*a".repeat(1000), &"a".repeat(999)));
    }

    #[test]
    fn a_negated_pattern_excludes() {
        for (patterns, name, expected) in [
            ("a,b", "b", true),
            ("*.h,!bad.h", "good.h", true),
            ("*.h,!bad.h", "bad.h", false),
            ("!bad.h,*.h", "bad.h", false),
            ("!bad.h", "good.h", false),
        ] {
            assert_eq!(match_list(patterns, name), expected, "{patterns} {name}");
        }
    }
}
