//! What a commit says about itself.
//!
//! Commits exist whose headers do not have git's form, such as those that other programs converted. Git checks them out,
//! so only the tree of a commit is required, which [`super::tree`] reads. The rest is read as far as it is there.

use std::time::{Duration, SystemTime};

use gix_object::commit::MessageRef;

/// What a commit says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// The name and the address of the author, such as `Ada <ada@example.com>`, or the empty text if the commit has no
    /// author.
    pub author: String,
    /// The time at which it was committed, or the start of 1970 if the commit has no valid time.
    pub time: SystemTime,
    /// The first paragraph of the message, in one line.
    pub summary: String,
}

impl CommitInfo {
    /// Reads the content of the object of a commit. What is not there or not valid is empty.
    pub(super) fn read(data: &[u8]) -> Self {
        let end = data.windows(2).position(|bytes| bytes == b"\n\n");
        let (header, message) =
            end.map_or((data, &b""[..]), |end| (&data[..end], &data[end + 2..]));
        let field = |name: &[u8]| {
            header
                .split(|&byte| byte == b'\n')
                .find_map(|line| line.strip_prefix(name))
                .map(|value| Signature::parse(&String::from_utf8_lossy(value)))
                .unwrap_or_default()
        };
        let since = Duration::from_secs(field(b"committer ").seconds);
        Self {
            author: field(b"author ").person,
            time: SystemTime::UNIX_EPOCH
                .checked_add(since)
                .unwrap_or(SystemTime::UNIX_EPOCH),
            summary: MessageRef::from_bytes(message).summary().to_string(),
        }
    }
}

/// A person and a time, as in `Ada <ada@example.com> 1500000000 +0000`.
#[derive(Debug, Default)]
struct Signature {
    person: String,
    /// The seconds since the start of 1970.
    seconds: u64,
}

impl Signature {
    fn parse(text: &str) -> Self {
        let (person, time) = match text.rsplit_once('>') {
            Some((person, time)) => {
                let (name, address) = person.split_once('<').unwrap_or((person, ""));
                let person = format!("{} <{}>", name.trim(), address.trim());
                (person.trim_start().to_owned(), time)
            }
            None => match text.find(|c: char| c.is_ascii_digit()) {
                Some(start) => (text[..start].trim().to_owned(), &text[start..]),
                None => (text.trim().to_owned(), ""),
            },
        };
        let seconds = time.split_whitespace().next().unwrap_or_default();
        Self {
            person,
            seconds: seconds.parse().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str, message: &str) -> (String, u64, String) {
        let text = format!("tree {}\n{header}{message}", "1".repeat(40));
        let info = CommitInfo::read(text.as_bytes());
        let time = info.time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        (info.author, time.as_secs(), info.summary)
    }

    #[test]
    fn what_a_commit_says_is_read_as_far_as_it_is_there() {
        const AUTHOR: &str = "author Ada <a@b> 1 +0000\n";
        const COMMITTER: &str = "committer Bob <b@c> 1500000000 +0200\n";
        let message = "\nOne\nline\n\nauthor No <n@o> 7 +0000\n";
        let both = format!("{AUTHOR}{COMMITTER}");
        for (header, message, author, time, summary) in [
            (&*both, message, "Ada <a@b>", 1_500_000_000, "One line"),
            (&both, "", "Ada <a@b>", 1_500_000_000, ""),
            (
                &format!("{both}encoding\n"),
                message,
                "Ada <a@b>",
                1_500_000_000,
                "One line",
            ),
            (
                &format!("{both}HG:extra\n"),
                message,
                "Ada <a@b>",
                1_500_000_000,
                "One line",
            ),
            (
                &format!("gpgsig a\n author No\n{AUTHOR}author Eve <e@e> 2 +0000\n{COMMITTER}"),
                message,
                "Ada <a@b>",
                1_500_000_000,
                "One line",
            ),
            (COMMITTER, message, "", 1_500_000_000, "One line"),
            (
                "author A 1500000000 +0000\ncommitter A 5 +0000\n",
                message,
                "A",
                5,
                "One line",
            ),
            (
                "author Ada\ncommitter <b@c> -5 +0000\n",
                message,
                "Ada",
                0,
                "One line",
            ),
            (
                "author <a@b> x\ncommitter C <c> 99999999999999999999 +0000\n",
                "",
                "<a@b>",
                0,
                "",
            ),
            ("", message, "", 0, "One line"),
        ] {
            let found = read(header, message);
            let expected = (author.to_owned(), time, summary.to_owned());
            assert_eq!(found, expected, "{header}");
        }
    }
}
