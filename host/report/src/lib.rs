//! How an error is told: once, where it is handled, with its causes.

use std::error::Error;
use std::fmt;

/// Prints an error and its causes on one line, a cause behind a colon.
#[must_use]
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    Chain(error)
}

struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        write!(out, "{}", one_line(&last))?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat their cause's text in their own.
            if !last.ends_with(&text) {
                write!(out, ": {}", one_line(&text))?;
            }
            last = text;
            cause = error.source();
        }
        Ok(())
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open\n the door")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_on_one_line() {
        let error = Outer(std::io::Error::other("it is stuck"));
        assert_eq!(
            chain(&error).to_string(),
            "cannot open the door: it is stuck"
        );
    }
}
