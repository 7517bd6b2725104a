use super::*;

#[test]
fn accepts_every_form_of_a_remote_address() {
    for text in [
        "https://github.com/o/r.git",
        "http://127.0.0.1:8080/r",
        "git://h/r.git",
        "ssh://git@h:22/o/r",
        "git@github.com:o/r.git",
        "github.com:o/r.git",
        "forge:/srv/r.git",
        "[fd00::7]:r",
    ] {
        assert!(RepoUrl::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn refuses_paths_files_and_remote_helpers() {
    for text in [
        "",
        "/srv/git/r",
        "./r",
        "file:///srv/r",
        "ext::sh -c x",
        "ext::sh",
        "fd::3",
        "--upload-pack=x",
        "https://h",
        "https:///x",
        "C:\\r",
        "c:/r",
        "c:r",
        "file:r",
        "File:/srv/r",
        "git:r",
        "ftp:h/r",
        "forge:",
        "forge:user:s3cret@h/r",
        "-forge:r",
        "fo+rge:r",
    ] {
        assert!(RepoUrl::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_repository_is_recognized_by_its_name_and_by_urls_of_other_transports() {
    let repo = RepoUrl::parse("https://user:token@GitHub.com/Owner/Repo.git").unwrap();
    for name in [
        "owner/repo",
        "Owner/Repo.git",
        "git@github.com:Owner/Repo.git",
        "ssh://git@github.com/owner/repo",
        "https://github.com/owner/repo/",
    ] {
        assert!(repo.is_named_by(name), "{name}");
    }
    for name in [
        "po",
        "other/repo",
        "https://example.com/owner/repo",
        "",
        "/",
    ] {
        assert!(!repo.is_named_by(name), "{name}");
    }
}

#[test]
fn a_name_is_displayed_without_credentials() {
    for (name, shown) in [
        ("o/r", "o/r"),
        ("https://user:s3cret@h/o/r?token=x", "https://h/o/r"),
        ("https://user:s3cret@h:x/o/r", "https://h:x/o/r"),
        ("ftp://s3cret@h/o/r", "ftp://h/o/r"),
        ("image:tag", "image:tag"),
    ] {
        assert_eq!(RepoUrl::display_name(name), shown);
    }
}

#[test]
fn ssh_gets_the_path_that_git_sends() {
    for (address, path) in [
        ("ssh://git@h/o/r.git", "/o/r.git"),
        ("ssh://git@h:443/o/a%20b%27.git", "/o/a b'.git"),
        ("ssh://git@h/~me/r", "~me/r"),
        ("ssh://h/r", "/r"),
        ("git@h:o/r.git", "o/r.git"),
        ("git@h:/srv/r.git", "/srv/r.git"),
        ("git@h:~me/r", "~me/r"),
        ("git@h:../r", "../r"),
        ("git@h:a%20b?c#d", "a%20b?c#d"),
        (
            "git@ssh.dev.azure.com:v3/o/My%20Project/r",
            "v3/o/My%20Project/r",
        ),
        ("git@[::1]:o/r", "o/r"),
        ("forge:o/r.git", "o/r.git"),
        ("forge:/srv/r.git", "/srv/r.git"),
        ("[::1]:o/r", "o/r"),
        ("ssh://git@[::1]:2222/o/r", "/o/r"),
    ] {
        let repo = RepoUrl::parse(address).unwrap();
        assert_eq!(repo.path_for_ssh(), path.as_bytes(), "{address}");
    }
    let repo = RepoUrl::parse("git@[fd00::7]:o/r").unwrap();
    assert_eq!(repo.url().host_str(), Some("[fd00::7]"));
}

#[test]
fn an_address_is_shown_as_it_is_written_unless_it_has_credentials() {
    for text in [
        "https://Git.Example:443/O/r.git/",
        "git@github.com:o/r.git",
        "github.com:o/r.git",
        "ssh://git@h:22/o/r",
    ] {
        assert_eq!(RepoUrl::as_written(text).as_deref(), Some(text));
    }
    for (text, shown) in [
        ("https://user:s3cret@H/o/r.git", "https://h/o/r.git"),
        ("https://s3cret@h/o/r", "https://h/o/r"),
        ("https:/user:s3cret@h/o/r", "https://h/o/r"),
        ("https://h/o/r?private_token=s3cret", "https://h/o/r"),
        ("https://h/o/r#s3cret", "https://h/o/r"),
        ("ssh://git:s3cret@h/o/r", "ssh://h/o/r"),
    ] {
        assert_eq!(RepoUrl::as_written(text).as_deref(), Some(shown));
    }
    assert_eq!(RepoUrl::as_written("user:s3cret@h/x"), None);
}

#[test]
fn displays_no_credentials() {
    for (text, shown) in [
        ("https://user:s3cret@h/o/r", "https://h/o/r"),
        ("https:/user:s3cret@h/o/r", "https://h/o/r"),
        ("https:user:s3cret@h/o/r", "https://h/o/r"),
        ("https:\\\\user:s3cret@h/o/r", "https://h/o/r"),
        ("HTTPS://s3cret@H:8443/o/r.git", "https://h:8443/o/r.git"),
        ("https://h/o/r?private_token=s3cret", "https://h/o/r"),
        ("https://h/o/r#s3cret", "https://h/o/r"),
        ("s3cret@h:o/r.git", "ssh://h/o/r.git"),
        ("ssh://git:s3cret@[::1]:22/o/r", "ssh://[::1]:22/o/r"),
        ("git@h:a%20b", "ssh://h/a%2520b"),
        (
            "git@ssh.dev.azure.com:v3/o/My%20Project/r",
            "ssh://ssh.dev.azure.com/v3/o/My%20Project/r",
        ),
        (
            "o@vs-ssh.visualstudio.com:v3/o/My%20Project/r",
            "ssh://vs-ssh.visualstudio.com/v3/o/My%20Project/r",
        ),
    ] {
        let repo = RepoUrl::parse(text).unwrap();
        assert_eq!(
            format!("{repo} {repo:?}"),
            format!("{shown} RepoUrl({shown})")
        );
    }
}

#[test]
fn an_error_shows_no_credentials() {
    for text in [
        "file://u:s3cret@h/r",
        "user:s3cret@h/x",
        "https:/user:s3cret@h",
        "https://user:s3cret@h",
        "https://user:s3/cret@h:x/r",
        "http//user:s3cret@h/r",
        "ftp://h/r?private_token=s3cret",
        "-https://user:s3cret@h/r",
        "forge:user:s3cret@h/r",
        "https://user:s3 cret@h/r",
        "ext::sh -c s3cret@h",
        "ftp://h/r#s3cret@h",
        "https://u:s3cret://x@h",
        "https://user:s3?cret@h/r",
        "https://https://user:s3cret@h/r",
        "https://https://s3cret@h/r",
        "https://h/user:s3cret@x/r",
        "git@h:user:s3cret@x/r",
        "ftp://h/r?private_token=s3@cret",
    ] {
        let error = RepoUrl::parse(text).unwrap_err().to_string();
        assert!(
            !error.contains("s3") && !error.contains("cret"),
            "{text}: {error}"
        );
    }
}
