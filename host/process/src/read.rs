//! Reads of files that are bounded in size.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Reads a source of at most `limit` bytes.
///
/// # Errors
///
/// Fails if the source cannot be read, and with [`ErrorKind::FileTooLarge`] if it has more bytes.
pub fn read_bounded(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let why = format!("it has more than {limit} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

/// Reads a file of at most `limit` bytes. Its reported length does not count: some file systems report 0, and a file
/// can grow.
///
/// # Errors
///
/// Fails like [`read_bounded`].
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_bounded(File::open(path)?, limit)
}

/// Reads a file of at most `limit` bytes as UTF-8 text.
///
/// # Errors
///
/// Fails like [`read_bounded`], and with [`ErrorKind::InvalidData`] if the content is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    text(read_file(path, limit)?)
}

/// Reads a regular file of at most `limit` bytes. It does not wait for another process, as the opening of a named pipe
/// does.
///
/// # Errors
///
/// Fails like [`read_file`], with [`ErrorKind::IsADirectory`] if it is a directory, and with [`ErrorKind::InvalidInput`]
/// if it is another file that is not regular.
pub fn read_regular_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        let why = "it is not a regular file";
        return Err(io::Error::new(ErrorKind::InvalidInput, why));
    }
    read_bounded(file, limit)
}

/// Reads a regular file of at most `limit` bytes as UTF-8 text.
///
/// # Errors
///
/// Fails like [`read_regular_file`], and with [`ErrorKind::InvalidData`] if the content is not UTF-8.
pub fn read_regular_text(path: &Path, limit: u64) -> io::Result<String> {
    text(read_regular_file(path, limit)?)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_read_up_to_the_limit() {
        assert_eq!(read_bounded(&b"four"[..], 4).unwrap(), b"four");
        let error = read_bounded(&b"fives"[..], 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "it has more than 4 bytes");
    }

    #[test]
    fn a_file_that_reports_no_length_is_bounded_too() {
        let path = Path::new("/proc/self/status");
        assert_eq!(std::fs::metadata(path).unwrap().len(), 0);
        let error = read_text(path, 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(read_text(path, 1 << 20).unwrap().starts_with("Name:"));
    }

    #[test]
    fn only_a_regular_file_is_read_as_one() {
        let directory = tempfile::TempDir::new().unwrap();
        let kind = |path: &Path| read_regular_file(path, 4).unwrap_err().kind();
        let path = directory.path().join("file");
        assert_eq!(kind(&path), ErrorKind::NotFound);
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read_regular_text(&path, 4).unwrap(), "four");
        std::fs::write(&path, "fives").unwrap();
        assert_eq!(kind(&path), ErrorKind::FileTooLarge);
        std::fs::write(&path, b"\xff").unwrap();
        let error = read_regular_text(&path, 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        // Nobody writes to the pipe.
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = read_regular_file(&pipe, 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "it is not a regular file");
        assert_eq!(kind(Path::new("/dev/zero")), ErrorKind::InvalidInput);
        assert_eq!(kind(directory.path()), ErrorKind::IsADirectory);
    }
}
