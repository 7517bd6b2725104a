//! The crates that `deny.toml` bans are not in the lock file. `just deny` checks more, and needs the network.

use std::fs;
use std::path::Path;

fn read(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(file)).unwrap()
}

/// Returns the banned crates, which are one in each line of `deny`.
fn banned(settings: &str) -> Vec<&str> {
    let bans = settings.split("\n[bans]\n").nth(1).unwrap();
    let list = bans.split("\ndeny = [\n").nth(1).unwrap();
    let list = list.split("\n]").next().unwrap();
    let lines = list.lines().map(str::trim);
    let entries = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    entries
        .map(|entry| {
            let rest = entry.strip_prefix("{ crate = \"");
            let name = rest.and_then(|rest| rest.split('"').next());
            name.unwrap_or_else(|| panic!("an entry has another form: {entry}"))
        })
        .collect()
}

fn is_locked(lock: &str, name: &str) -> bool {
    lock.lines()
        .any(|line| line == format!("name = \"{name}\""))
}

#[test]
fn no_banned_crate_is_in_the_lock_file() {
    let (settings, lock) = (read("deny.toml"), read("Cargo.lock"));
    let banned = banned(&settings);
    assert!(banned.contains(&"openssl-sys"), "{banned:?}");
    assert!(is_locked(&lock, "rustls"), "the crates were not found");
    for name in banned {
        assert!(!is_locked(&lock, name), "{name} is banned");
    }
}
