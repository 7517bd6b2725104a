//! The limit of open files, which bounds the number of connections.

use rustix::process::{Resource, getrlimit, setrlimit};

/// The maximum number of connections of one server. A connection that waits costs about 16 KiB.
const MAX_CONNECTIONS: usize = 1024;
/// The share of the open files that one server may use. There are three servers with this share and a small one, and
/// the clients of git and of the Kubernetes API need files too.
const SHARE: u64 = 4;

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

/// Returns the number of connections of one server that the limit of open files permits.
pub(super) fn connections(open_files: Option<u64>) -> usize {
    let share = open_files.map_or(u64::MAX, |files| files / SHARE);
    usize::try_from(share).map_or(MAX_CONNECTIONS, |share| share.clamp(1, MAX_CONNECTIONS))
}

/// Returns the number of connections of one server that the present limit of open files permits.
pub(super) fn connections_now() -> usize {
    connections(getrlimit(Resource::Nofile).current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connections_fit_the_limit_of_open_files() {
        assert_eq!(connections(Some(1024)), 256);
        assert_eq!(connections(Some(1 << 20)), 1024);
        assert_eq!(connections(Some(2)), 1);
        assert_eq!(connections(None), 1024);
    }

    #[test]
    fn the_limit_is_raised_to_its_maximum() {
        assert_eq!(raise_open_files(), getrlimit(Resource::Nofile).maximum);
    }
}
