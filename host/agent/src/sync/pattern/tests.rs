use super::*;

#[test]
fn patterns_match_whole_paths() {
    for (pattern, path, expected) in [
        ("**/.git/**", ".git", true),
        ("**/.git/", "p/.git", false),
        ("**/.git/**", "a/.github/x", false),
        ("a/**/", "a", true),
        ("a/**", "a", true),
        ("a/*", "a", false),
        ("a/**", "ab", false),
        ("a/**/c", "a/c", true),
        ("a/*/c", "a/b/b/c", false),
        ("*.tmp", "a/b.tmp", false),
        ("**/*.tmp", "b.tmp", true),
        ("**.tmp", "a/b.tmp", false),
        ("**.tmp", "b.tmp", true),
        ("a**b", "a/b", false),
        ("*", ".hidden", true),
        ("*", "a/b", false),
        ("{a,b/**}/x", "b/c/x", true),
        ("[!a].json", "b.json", true),
        ("a?c", "a/c", false),
        ("???", "äöü", true),
        ("./a", "a", false),
        ("dir", "dir/file", false),
        ("dir/", "dir", false),
        ("A.json", "a.json", false),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("**/a/**/b/**", "x/a/b", true),
        ("[[:alpha:]]", "a", false),
        ("{a..c}", "b", false),
        ("!(a)", "b", false),
        // Not in the specification: what follows from its rules.
        ("**", "a/b", true),
        ("**", "a", true),
        ("**/**", "a/b", true),
        ("a/**/**/c", "a/c", true),
        ("a/**/c", "a/x/y/c", true),
        ("a/**/c", "axc", false),
        ("[^a]", "a", false),
        ("[^a]", "/", false),
        ("[a-c]x", "bx", true),
        ("[c-a]x", "bx", false),
        ("[\\]]", "]", true),
        ("{a,{b,c}}.json", "c.json", true),
        ("{,a}b", "b", true),
        ("a.b", "axb", false),
        ("x{1,2}/y", "x2/y", true),
        ("**/{x,y}/**", "p/y/q", true),
        ("**", "", true),
        ("**/", "a", false),
        ("a/**/**/", "a", true),
        ("a/**/", "a/b", false),
        ("**/a/**/", "x/a", true),
        ("*a*b*c", "xaxbxbxc", true),
        ("*a*b*c", "xaxcxbx", false),
        ("**/a/**/b/**/c", "a/a/x/b/b/c/c", true),
        ("**/a/**/b/**/c", "a/c/b", false),
        ("p[/]x", "p/x", false),
        ("p[^a]x", "p/x", false),
        ("[^/]*", "ab", true),
        ("[^/a]*", "ab", false),
        ("[z-a]", "z", true),
        ("[z-a]", "a", false),
        ("[!z-a]", "b", true),
        ("[{]x}", "{x}", true),
        ("[{,}]x", ",x", true),
        ("a}", "a}", true),
        ("{a}}", "a}", true),
        ("a\\/b", "a/b", true),
        ("\\*\\*/a", "x/a", false),
        ("\\*\\*/a", "**/a", true),
    ] {
        let parsed = Pattern::parse(pattern).unwrap();
        assert_eq!(parsed.matches(path), expected, "{pattern} {path}");
    }
}

#[test]
fn invalid_patterns_are_recognised() {
    for pattern in ["[", "{a", "[]a]", "a\\", "[a", "{a,[}", "a[/"] {
        let error = Pattern::parse(pattern).unwrap_err();
        assert_eq!(error, PatternError::Invalid(pattern.to_owned()));
    }
}

#[test]
fn some_paths_are_always_excluded() {
    let (excludes, invalid) = Excludes::new(&[]).unwrap();
    assert!(invalid.is_empty());
    for path in [
        ".git",
        "a/.git",
        "a/.git/x/y",
        "a/.gitkeep",
        ".resources",
        "a/.resources/b",
        ".sync-staging",
    ] {
        assert!(excludes.cover(path), "{path}");
    }
    for path in [
        "a",
        ".github/x",
        "a/.gitignore",
        "resources",
        "a/.resources2",
    ] {
        assert!(!excludes.cover(path), "{path}");
    }
}

#[test]
fn an_invalid_pattern_has_no_effect() {
    let patterns = [" **/*.tmp ", "", "[", "**/*.tmp", "logs/"].map(str::to_owned);
    let (excludes, invalid) = Excludes::new(&patterns).unwrap();
    assert_eq!(invalid, [PatternError::Invalid("[".to_owned())]);
    assert!(excludes.cover("a/b.tmp") && !excludes.cover("logs/x"));
}

#[test]
fn a_directory_covers_what_is_below_it() {
    let (excludes, _) = Excludes::new(&["a/cache".to_owned()]).unwrap();
    assert!(excludes.cover("a/cache/b/c") && !excludes.cover("a/cached"));
    assert!(!excludes.cover_file("a/cache/b/c") && excludes.cover_file("a/cache"));
    assert!(excludes.cover_file("a/.resources/b/c"));
}

#[test]
fn many_patterns_and_alternatives_have_an_effect() {
    let many = |number| -> Vec<String> {
        let names = (0..number).map(|i| format!("**/dir{i}/*_?{i}*/[a-z]*.{{bak,tmp}}"));
        names.collect()
    };
    let (excludes, invalid) = Excludes::new(&many(2000)).unwrap();
    assert_eq!(invalid, []);
    assert!(excludes.matches("a/dir1999/x_y1999z/b.tmp"));
    assert!(!excludes.matches("a/dir1999/x_y1999z/B.tmp"));
    let names: Vec<String> = (0..5000).map(|i| format!("p{i}")).collect();
    let one = format!("projects/{{{}}}/**", names.join(","));
    assert!(Pattern::parse(&one).unwrap().matches("projects/p4999/x"));
}

#[test]
fn too_large_patterns_are_an_error_and_not_without_effect() {
    let braces = "{a,b}".repeat(40);
    let empty = "{,}".repeat(40);
    let deep = format!("{}a{}", "{".repeat(5000), "}".repeat(5000));
    let long = "a".repeat(MAX_CHARACTERS);
    for pattern in [braces, empty, deep, long] {
        let error = Excludes::new(std::slice::from_ref(&pattern)).unwrap_err();
        assert_eq!(error, PatternError::TooLarge(pattern[..SHOWN].to_owned()));
        assert!(Pattern::parse(&pattern).is_err());
    }
    let together: Vec<String> = (0..3)
        .map(|i| format!("{i}{}", "a".repeat(100_000)))
        .collect();
    assert!(Excludes::new(&together[..2]).is_ok());
    assert!(Excludes::new(&together).is_err());
}
