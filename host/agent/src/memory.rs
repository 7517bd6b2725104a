//! How large a fetched file may be, by the memory that the agent may use.

use std::path::Path;

use crate::config::FILE_SIZES;

/// The size of the largest file without a limit of the memory, in MiB.
const WITHOUT_LIMIT_MIB: u16 = 100;
/// The smallest number that stands for no limit in version 1 of cgroups. No machine has as much memory.
const NO_LIMIT: u64 = 1 << 60;
/// The memory that a file needs, as a multiple of its size: a delta is applied to a version of the file, and the result is
/// compressed, all in memory.
const SHARE: u64 = 5;
/// The files with the limit of a container, of version 2 and of version 1 of cgroups.
const LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// Returns the size of the largest file that is fetched if none is set, in MiB.
pub(crate) fn max_file_mib() -> u16 {
    let limits = LIMITS.iter().map(Path::new);
    let text = limits.filter_map(|path| std::fs::read_to_string(path).ok());
    of_limit(text.into_iter().next().as_deref())
}

/// Returns the size for a limit as the system writes it. A limit that is no number is none.
fn of_limit(limit: Option<&str>) -> u16 {
    let bytes = limit.and_then(|text| text.trim().parse::<u64>().ok());
    let Some(bytes) = bytes.filter(|bytes| *bytes < NO_LIMIT) else {
        return WITHOUT_LIMIT_MIB;
    };
    let (smallest, largest) = (*FILE_SIZES.start(), *FILE_SIZES.end());
    let size = u16::try_from(bytes / SHARE / (1 << 20));
    size.map_or(largest, |size| size.clamp(smallest, largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_file_depends_on_the_memory() {
        for (limit, size) in [
            (None, 100),
            (Some("max\n"), 100),
            (Some("268435456\n"), 51),
            (Some("1073741824\n"), 204),
            (Some("4294967296\n"), 512),
            (Some("1099511627776\n"), 512),
            (Some("9223372036854771712\n"), 100),
            (Some("1048576\n"), 1),
        ] {
            assert_eq!(of_limit(limit), size, "{limit:?}");
        }
        assert!(FILE_SIZES.contains(&max_file_mib()));
    }
}
