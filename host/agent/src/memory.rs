//! How large a fetched file may be, by the memory that the agent may use.

use crate::config::FILE_SIZES;

/// The size of the largest file without a limit of the memory, in MiB.
const WITHOUT_LIMIT_MIB: u16 = 100;
/// The memory that a file needs, as a multiple of its size: a delta is applied to a version of the file, and the result is
/// compressed, all in memory.
const SHARE: u64 = 5;

/// Returns the size of the largest file that is fetched if none is set, in MiB.
pub(crate) fn max_file_mib() -> u16 {
    of_limit(stoker_process::memory_limit())
}

/// Returns the size for a limit in bytes.
fn of_limit(limit: Option<u64>) -> u16 {
    let Some(bytes) = limit else {
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
            (Some(256 << 20), 51),
            (Some(1 << 30), 204),
            (Some(4 << 30), 512),
            (Some(1 << 40), 512),
            (Some(1 << 20), 1),
        ] {
            assert_eq!(of_limit(limit), size, "{limit:?}");
        }
        assert!(FILE_SIZES.contains(&max_file_mib()));
    }
}
