//! Tests of the format, line by line.

use super::*;

const ED25519: &str = include_str!("../../tests/keys/ed25519.pub");
const CA: &str = include_str!("../../tests/keys/ca.pub");
const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAP";

/// Returns the type and the base64 text of a key.
fn key(text: &str) -> String {
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn data(text: &str) -> KeyData {
    PublicKey::from_openssh(text).unwrap().key_data().clone()
}

fn keys_of(file: &str, host: &str, port: u16) -> TrustedKeys {
    KnownHosts::parse(file).unwrap().keys_of(host, port)
}

fn is_known(hosts: &str, host: &str, port: u16) -> bool {
    let found = keys_of(&format!("{hosts} {}", key(ED25519)), host, port);
    found.keys == [data(ED25519)]
}

#[test]
fn hosts_are_matched_as_openssh_does() {
    for (hosts, host, port, expected) in [
        ("h", "h", 22, true),
        ("H.Example", "h.eXample", 22, true),
        ("a,h,b", "h", 22, true),
        ("h", "hh", 22, false),
        ("*.example.com", "git.example.com", 22, true),
        (
            "*.example.com,!bad.example.com",
            "bad.example.com",
            22,
            false,
        ),
        ("10.0.0.?", "10.0.0.7", 22, true),
        ("[h]:2222", "h", 2222, true),
        ("[h]:2222", "h", 22, false),
        ("[h]:2222", "h", 2223, false),
        ("[*.h]:2222", "a.h", 2222, true),
        ("h", "h", 2222, true),
        ("fd00::7", "fd00::7", 22, true),
        ("[fd00::7]:2222", "fd00::7", 2222, true),
    ] {
        assert_eq!(
            is_known(hosts, host, port),
            expected,
            "{hosts} {host} {port}"
        );
    }
}

#[test]
fn a_line_with_the_port_precedes_one_without() {
    let file = format!("[h]:2222 {}\nh {}\n", key(CA), key(ED25519));
    assert_eq!(keys_of(&file, "h", 2222).keys, [data(CA)]);
    assert_eq!(keys_of(&file, "h", 22).keys, [data(ED25519)]);
}

#[test]
fn hashed_names_are_matched() {
    // The hashes, with the salt 0, 1, …, 19, are those of `git.example.com` and `[git.example.com]:2222`.
    let plain = "|1|AAECAwQFBgcICQoLDA0ODxAREhM=|5DHGyoq+K/vX4lJK0U2p7IteoFw=";
    let with_port = "|1|AAECAwQFBgcICQoLDA0ODxAREhM=|iB8ji+G7JiWchxZqOjryGAnIiTo=";
    assert!(is_known(plain, "git.example.com", 22));
    assert!(is_known(plain, "GIT.example.com", 22));
    assert!(!is_known(plain, "example.com", 22));
    assert!(is_known(with_port, "git.example.com", 2222));
    assert!(!is_known(with_port, "git.example.com", 22));
}

#[test]
fn a_host_has_several_keys_of_one_type() {
    let file = format!("h {}\nh {}\n", key(ED25519), key(CA));
    assert_eq!(keys_of(&file, "h", 22).keys, [data(ED25519), data(CA)]);
}

#[test]
fn markers_are_distinguished() {
    let file = format!(
        "@cert-authority *.example.com {}\n@revoked h.example.com {}\nh.example.com {}",
        key(CA),
        key(ED25519),
        key(ED25519)
    );
    let found = keys_of(&file, "h.example.com", 22);
    assert_eq!(found.authorities, [data(CA)]);
    assert_eq!(found.revoked, [data(ED25519)]);
    assert_eq!(found.keys, [data(ED25519)]);
    // What is revoked for a host is revoked on every port.
    assert!(
        keys_of(&file, "h.example.com", 2222)
            .revoked
            .contains(&data(ED25519))
    );
}

#[test]
fn comments_white_space_and_line_ends_do_not_matter() {
    let file = format!(
        "# a comment\r\n\r\n  \t\n\th\t\t{}   me@plant # x\r\n #{}\n",
        key(ED25519).replace(' ', "\t"),
        key(CA)
    );
    assert_eq!(keys_of(&file, "h", 22).keys, [data(ED25519)]);
}

#[test]
fn lines_that_cannot_be_used_are_ignored_unless_they_have_a_marker() {
    for line in [
        "h",
        "h ssh-ed25519",
        "h ssh-ed25519 x",
        "h 1024 35 1234567890",
        "|2|a|b ssh-ed25519 x",
        DSA,
        &format!("h {DSA}"),
        &format!("|1|AAAA|%% {}", key(CA)),
        &format!("h ssh-rsa {}", key(CA).split(' ').nth(1).unwrap()),
    ] {
        let file = format!("{line}\nh {}", key(ED25519));
        assert_eq!(keys_of(&file, "h", 22).keys, [data(ED25519)], "{line}");
    }
    for line in [
        "@revoked h ssh-ed25519 x",
        "@revoked h",
        "@cert-authority",
        &format!("@revoke h {}", key(CA)),
    ] {
        let file = format!("h {}\n{line}\n", key(ED25519));
        let error = KnownHosts::parse(&file).unwrap_err().to_string();
        assert!(error.contains("line 2: "), "{line}: {error}");
    }
}

#[test]
fn a_file_without_a_usable_line_is_an_error() {
    for (file, why) in [
        ("", "it has no lines with keys"),
        ("# only a comment\n", "it has no lines with keys"),
        (ED25519, "line 1: "),
        ("\nh ssh-ed25519 x", "line 2: the key is invalid"),
    ] {
        let error = KnownHosts::parse(file).unwrap_err().to_string();
        assert!(error.contains(why), "{file}: {error}");
    }
    assert!(KnownHosts::parse(&"#".repeat(MAX_BYTES + 1)).is_err());
}

#[test]
fn the_names_of_a_certificate_may_be_patterns() {
    let names = ["git.example.com".to_owned(), "*.plant".to_owned()];
    assert!(is_named(&names, "GIT.example.com"));
    assert!(is_named(&names, "a.plant"));
    assert!(!is_named(&names, "other.example.com"));
    // A certificate without names would be valid for every host.
    assert!(!is_named(&[], "git.example.com"));
}
