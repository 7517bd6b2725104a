//! Searches for texts that break the constructors of the parsed values.

use proptest::prelude::*;

use super::*;

/// Texts that look like refs and addresses, and others.
fn text() -> impl Strategy<Value = String> {
    let parts = vec![
        "https://",
        "ssh://",
        "git@",
        "user:s3cret@",
        "host",
        ".example.com",
        ":22",
        ":",
        "/",
        "//",
        "o/r",
        ".git",
        "?s3cret",
        "#s3cret",
        "%2F",
        "..",
        "refs/heads/",
        "refs/tags/",
        "v1",
        "~",
        "^",
        "@{",
        "-",
        " ",
        "\u{1b}",
        "\u{9b}",
        "\u{202e}",
        "\\",
        "é",
        "[::1]",
        "dev.azure.com",
        "/_git/",
        "v3/",
        "scm/",
        "6c1f0a3f0e3b9d57c8f2a4e1d0b6c7a8f9e0d1c2",
    ];
    let parts = prop::collection::vec(prop::sample::select(parts), 0..8);
    prop_oneof![parts.prop_map(|parts| parts.concat()), any::<String>()]
}

proptest! {
    #[test]
    fn a_ref_stays_the_same_when_it_is_parsed_again(text in text()) {
        if let Ok(git_ref) = GitRef::parse(&text) {
            prop_assert_eq!(git_ref.as_str(), text.as_str());
            prop_assert_eq!(GitRef::parse(git_ref.as_str()), Ok(git_ref.clone()));
            prop_assert!(stoker_report::first_unprintable(&text).is_none() && !text.contains(".."));
        }
    }

    #[test]
    fn an_address_is_shown_without_credentials_and_names_itself(address in text(), other in text()) {
        match RepoUrl::parse(&address) {
            Ok(repo) => {
                let is_credential = |shown: &str| shown.contains("user:s3cret@") || shown.contains("?s3cret");
                prop_assert!(!is_credential(&repo.to_string()), "{}", repo);
                prop_assert!(!is_credential(&format!("{repo:?}")), "{:?}", repo);
                let is_ambiguous = address.contains(['?', '#', '\\']) || !address.contains("://") && !address.contains('@')
                    || address.contains(":///");
                prop_assert!(is_ambiguous || repo.is_named_by(&address), "{}", address);
                std::hint::black_box(repo.is_named_by(&other));
            }
            Err(error) => {
                prop_assert!(!error.to_string().contains("user:s3cret@"), "{}", error);
            }
        }
    }

    #[test]
    fn a_commit_id_is_hexadecimal(text in text()) {
        if let Ok(id) = CommitId::parse(&text) {
            let shown = id.as_str();
            prop_assert!(matches!(shown.len(), 40 | 64) && shown.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
    }

    #[test]
    fn a_key_has_valid_names_only(namespace in text(), name in text()) {
        if ObjectKey::new(&namespace, &name).is_ok() {
            let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            prop_assert!(namespace.bytes().all(is_fit) && name.bytes().all(is_fit));
        }
    }
}
