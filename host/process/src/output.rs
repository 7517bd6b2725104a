//! The output of a program.

use std::io::{ErrorKind, Result, Write};

/// Writes a text, and flushes the output. A reader that closes the pipe early, as `head` does, is not an error.
///
/// # Errors
///
/// Fails if the output cannot be written for another reason.
pub fn print(mut out: impl Write, text: &str) -> Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_closed_pipe_is_tolerated() {
        let mut out = Vec::new();
        print(&mut out, "text\n").unwrap();
        assert_eq!(out, b"text\n");
        print(Failing(ErrorKind::BrokenPipe), "text").unwrap();
        let error = print(Failing(ErrorKind::StorageFull), "text").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}
