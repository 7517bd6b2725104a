//! How much memory the process may still take before the kernel ends it.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups of version 2 are mounted (Linux, Documentation/admin-guide/cgroup-v2.rst).
const ROOT: &str = "/sys/fs/cgroup";
/// What everything else of the process may take meanwhile.
const RESERVE: u64 = 8 << 20;

/// Bytes that the container's memory limit leaves. `u64::MAX` where there is no limit, or none that can be read.
pub(super) fn available() -> u64 {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // In a container, its own group is the root; on a machine, it is a folder below.
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let own = PathBuf::from(ROOT).join(own.unwrap_or_default());
    let groups = own.ancestors().take_while(|path| path.starts_with(ROOT));
    groups.filter_map(left_in).min().unwrap_or(u64::MAX)
}

fn left_in(group: &Path) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    left(
        &read("memory.max")?,
        &read("memory.current")?,
        &read("memory.stat").unwrap_or_default(),
    )
}

/// What is left of a limit. Pages of files that were not used lately are given back before the limit is reached.
fn left(limit: &str, current: &str, stat: &str) -> Option<u64> {
    let limit: u64 = limit.trim().parse().ok()?;
    let current: u64 = current.trim().parse().ok()?;
    let inactive = stat
        .lines()
        .find_map(|line| line.strip_prefix("inactive_file "))
        .and_then(|bytes| bytes.parse().ok())
        .unwrap_or(0);
    let used = current.saturating_sub(inactive).saturating_add(RESERVE);
    Some(limit.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_the_limit_less_what_is_in_use() {
        let stat = "anon 1\ninactive_file 1048576\nactive_file 9\n";
        assert_eq!(
            left("134217728\n", "35651584\n", stat),
            Some((128 - 33 - 8) << 20)
        );
        assert_eq!(left("134217728\n", "134217728\n", ""), Some(0));
        assert_eq!(left("max\n", "35651584\n", stat), None);
        assert_eq!(left("", "", ""), None);
    }
}
