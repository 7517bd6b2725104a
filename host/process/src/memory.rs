//! The memory that the control groups of the process permit, as in a container.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted: of version 2 (Linux, Documentation/admin-guide/cgroup-v2.rst), and the memory
/// controller of version 1 (Documentation/admin-guide/cgroup-v1/memory.rst).
const ROOT: &str = "/sys/fs/cgroup";
const MEMORY_ROOT_V1: &str = "/sys/fs/cgroup/memory";
/// The smallest limit of version 1 that means no limit. Version 1 reports "no limit" as the largest number of pages.
const UNLIMITED_V1: u64 = 1 << 60;

/// Returns the limit of the memory in bytes, or `None` if there is no limit, or if it cannot be read.
#[must_use]
pub fn memory_limit() -> Option<u64> {
    smallest_of_all(limit_of)
}

/// Returns the bytes that the limit leaves before the kernel kills the process, or `None` if there is no limit, or if
/// it cannot be read.
#[must_use]
pub fn memory_left() -> Option<u64> {
    smallest_of_all(left_in)
}

/// The smallest amount in the groups of both versions.
fn smallest_of_all(amount: impl Fn(&Path, Files) -> Option<u64>) -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let v2 = own_group(&groups, "").unwrap_or_default();
    let v1 = own_group(&groups, "memory").unwrap_or_default();
    let in_v2 = smallest(ROOT, &v2, |group| amount(group, V2));
    let in_v1 = smallest(MEMORY_ROOT_V1, &v1, |group| amount(group, V1));
    in_v2.into_iter().chain(in_v1).min()
}

/// The path of the process's own group in `/proc/self/cgroup`, whose lines are `ID:CONTROLLERS:/PATH`. Version 2 has an
/// empty list of controllers.
fn own_group(groups: &str, controller: &str) -> Option<String> {
    groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let is_it = parts.next()?.split(',').any(|name| name == controller);
        is_it.then(|| parts.next()?.strip_prefix('/').map(str::to_owned))?
    })
}

/// The smallest amount of the group and of its ancestors. In a container, the process's own group
/// is the root. Outside a container, it is a directory below the root.
fn smallest(root: &str, own: &str, amount: impl Fn(&Path) -> Option<u64>) -> Option<u64> {
    let own = PathBuf::from(root).join(own);
    let root = Path::new(root);
    let groups = own.ancestors().take_while(|path| path.starts_with(root));
    groups.chain([root]).filter_map(amount).min()
}

/// The files of a group: its limit, its usage, and the line of `memory.stat` with the file pages that were not used
/// recently.
#[derive(Clone, Copy)]
struct Files {
    limit: &'static str,
    usage: &'static str,
    inactive: &'static str,
}

const V2: Files = Files {
    limit: "memory.max",
    usage: "memory.current",
    inactive: "inactive_file ",
};
const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    inactive: "total_inactive_file ",
};

fn limit_of(group: &Path, files: Files) -> Option<u64> {
    limit(&fs::read_to_string(group.join(files.limit)).ok()?)
}

fn left_in(group: &Path, files: Files) -> Option<u64> {
    let limit = limit_of(group, files)?;
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    let stat = read("memory.stat").unwrap_or_default();
    left(limit, &read(files.usage)?, &stat, files.inactive)
}

/// Parses a limit. A text that is no number, such as `max`, is no limit.
fn limit(text: &str) -> Option<u64> {
    let limit = text.trim().parse().ok();
    limit.filter(|limit| *limit < UNLIMITED_V1)
}

/// The bytes that are left of a limit. The kernel frees file pages that were not used recently before the limit is
/// reached, so they do not count.
fn left(limit: u64, current: &str, stat: &str, inactive: &str) -> Option<u64> {
    let current: u64 = current.trim().parse().ok()?;
    let inactive = stat
        .lines()
        .find_map(|line| line.strip_prefix(inactive))
        .and_then(|bytes| bytes.parse().ok())
        .unwrap_or(0);
    Some(limit.saturating_sub(current.saturating_sub(inactive)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_the_limit_less_what_is_in_use() {
        let stat = "anon 1\ninactive_file 1048576\nactive_file 9\n";
        let v1 = "inactive_file 1\ntotal_inactive_file 1048576\n";
        for (current, stat, files, expected) in [
            ("35651584\n", stat, V2, Some((128 - 33) << 20)),
            ("35651584\n", v1, V1, Some((128 - 33) << 20)),
            ("134217728\n", stat, V2, Some(1 << 20)),
            ("134217728\n", "", V2, Some(0)),
            ("", stat, V2, None),
        ] {
            assert_eq!(left(128 << 20, current, stat, files.inactive), expected);
        }
    }

    #[test]
    fn the_largest_number_of_version_1_and_no_number_are_no_limit() {
        assert_eq!(limit("134217728\n"), Some(128 << 20));
        for unlimited in ["max\n", "9223372036854771712\n", ""] {
            assert_eq!(limit(unlimited), None, "{unlimited}");
        }
    }

    #[test]
    fn the_own_group_is_found_in_both_versions() {
        let groups = "12:cpu,cpuacct:/a\n4:memory:/kubepods/pod1\n0::/system.slice/x\n";
        assert_eq!(own_group(groups, "memory").unwrap(), "kubepods/pod1");
        assert_eq!(own_group(groups, "").unwrap(), "system.slice/x");
        assert_eq!(own_group("0::/\n", "").unwrap(), "");
        assert_eq!(own_group("0::/\n", "memory"), None);
    }

    #[test]
    fn the_tightest_group_above_counts() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("pod/container");
        std::fs::create_dir_all(&inner).unwrap();
        let write = |directory: &Path, limit: &str| {
            std::fs::write(directory.join(V1.limit), limit).unwrap();
            std::fs::write(directory.join(V1.usage), "0").unwrap();
        };
        write(&inner, "9223372036854771712");
        write(&root.path().join("pod"), "134217728");
        let root = root.path().to_str().unwrap();
        for amount in [limit_of, left_in] {
            let smallest = |own| smallest(root, own, |group| amount(group, V1));
            assert_eq!(smallest("pod/container"), Some(128 << 20));
            assert_eq!(smallest("other"), None);
        }
    }
}
