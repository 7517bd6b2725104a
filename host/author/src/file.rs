//! Reads files of a project: regular files only, and only up to a limit.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use super::error::AuthorError;

/// Reads a regular file of at most `limit` bytes.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, AuthorError> {
    // The type is checked before the file is opened: opening a named pipe waits for a writer.
    let metadata = fs::metadata(path).map_err(AuthorError::file(path))?;
    if !metadata.is_file() {
        let error = io::Error::other("it is not a regular file");
        return Err(AuthorError::file(path)(error));
    }
    let mut bytes = Vec::new();
    // The length of the metadata is not enough: some file systems report 0, and a file can grow.
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(AuthorError::file(path))?;
    if bytes.len() as u64 > limit {
        let error = io::Error::other(format!("it has more than {limit} bytes"));
        return Err(AuthorError::file(path)(error));
    }
    Ok(bytes)
}

/// Reads a regular file of at most `limit` bytes as UTF-8 text.
pub(super) fn read_text(path: &Path, limit: u64) -> Result<String, AuthorError> {
    String::from_utf8(read(path, limit)?).map_err(|error| {
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        AuthorError::file(path)(error)
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;

    fn failure(path: &Path) -> String {
        let Err(AuthorError::File { source, .. }) = read(path, 4) else {
            panic!("{} was read", path.display());
        };
        source.to_string()
    }

    #[test]
    fn only_regular_files_are_read() {
        let directory = TempDir::new().unwrap();
        let pipe = directory.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        for path in [directory.path(), &pipe, Path::new("/dev/zero")] {
            assert_eq!(failure(path), "it is not a regular file");
        }
    }

    #[test]
    fn a_file_is_read_up_to_the_limit() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "four").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "four");
        fs::write(&path, "fives").unwrap();
        assert_eq!(failure(&path), "it has more than 4 bytes");
        // Such a file reports a length of 0.
        assert_eq!(
            failure(Path::new("/proc/self/status")),
            "it has more than 4 bytes"
        );
    }
}
