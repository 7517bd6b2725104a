//! The limit of open files, which bounds the number of connections.

use rustix::process::{Resource, getrlimit, setrlimit};

/// The maximum number of connections of one server. A connection that waits costs about 16 KiB.
const MAX_CONNECTIONS: usize = 1024;
/// The number of open files that are not for connections of servers, at most half of all. A process without connections
/// has about 40.
const RESERVED: u64 = 64;
/// The parts of the other open files. Three remain for the clients of git and of the Kubernetes API.
const PARTS: u64 = 16;
/// The parts for each of the three servers without a limit of their own.
const SHARE: u64 = 4;
/// The parts for the server with a limit of its own.
const SMALL_SHARE: u64 = 1;

/// Raises the limit of open files of this process to what the system allows, and returns the new limit. `None` means
/// that there is no limit.
///
/// Many systems start processes with a limit of 1,024, for programs that use `select`, and allow much more.
pub fn raise_open_files() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
    }
    getrlimit(Resource::Nofile).current
}

/// Returns the number of connections of one server that the limit of open files permits. A server may have a limit of its
/// own.
pub(super) fn connections(open_files: Option<u64>, own: Option<usize>) -> usize {
    let (parts, most) = own.map_or((SHARE, MAX_CONNECTIONS), |own| (SMALL_SHARE, own));
    let files = open_files.map_or(u64::MAX, |files| files - RESERVED.min(files / 2));
    usize::try_from(files / PARTS * parts).map_or(most, |share| share.clamp(1, most))
}

/// Returns the number of connections of one server that the present limit of open files permits.
pub(super) fn connections_now(own: Option<usize>) -> usize {
    connections(getrlimit(Resource::Nofile).current, own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connections_fit_the_limit_of_open_files() {
        for (open_files, large, small) in [
            (Some(1024), 240, 60),
            (Some(1 << 20), 1024, 64),
            (Some(64), 8, 2),
            (Some(2), 1, 1),
            (None, 1024, 64),
        ] {
            assert_eq!(connections(open_files, None), large, "{open_files:?}");
            assert_eq!(connections(open_files, Some(64)), small, "{open_files:?}");
        }
    }

    #[test]
    fn all_servers_together_leave_files_for_everything_else() {
        for files in [128, 200, 256, 1024, 4096] {
            let number = |own| connections(Some(files), own) as u64;
            let all = 3 * number(None) + number(Some(64));
            assert!(all + RESERVED <= files, "{files}");
        }
    }

    #[test]
    fn the_limit_is_raised_to_its_maximum() {
        assert_eq!(raise_open_files(), getrlimit(Resource::Nofile).maximum);
    }
}
