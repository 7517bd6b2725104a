//! Finds the files that git would convert when it checks them out, by `.gitattributes`. The sync writes files as they are
//! in the repository, so it tells which attributes it does not apply.
//!
//! The rules are those of gitattributes(5). Attributes that change nothing on Linux without further settings, such as
//! `text` and `filter`, are not considered.

use std::collections::BTreeMap;

use stoker_git::{TreeEntry, TreeEntryKind};

use super::pattern::Pattern;
use super::wanted::is_at_or_below;
use crate::source::{Source, SourceError};

const FILE: &str = ".gitattributes";
/// The largest file with attributes that is read, in bytes. A larger one has no effect.
const MAX_BYTES: u64 = 1 << 20;
/// The largest number of files with attributes that are read, those near the root first. The rest has no effect.
const MAX_FILES: usize = 100;
/// The largest number of lines in all files, without empty ones and comments. The rest has no effect.
const MAX_LINES: usize = 1000;

/// One line of a file with attributes.
struct Line {
    /// The directory of the file.
    directory: String,
    pattern: Pattern,
    /// Whether the pattern is for names in any directory below.
    is_name: bool,
    settings: Vec<Setting>,
}

/// What a line says about an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    /// Whether line ends can be converted.
    Text(bool),
    /// Whether lines end with CRLF.
    Crlf(bool),
    /// Whether the file has another encoding.
    Encoding(bool),
    /// Whether `$Id$` is replaced.
    Ident(bool),
}

/// Returns which attributes are not applied to these files of the commit, as sentences for people. The paths are those in
/// the repository.
pub(super) fn unapplied<'a>(
    source: &dyn Source,
    entries: &[TreeEntry],
    files: impl Iterator<Item = &'a str>,
) -> Result<Vec<String>, SourceError> {
    let lines = read(source, entries)?;
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let mut found: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for path in files {
        for name in converted(&lines, path) {
            found.entry(name).or_insert((0, path)).0 += 1;
        }
    }
    let sentences = found.into_iter().map(|(name, (count, first))| {
        format!("{FILE}: {name} is not applied to {count} file(s), such as {first}")
    });
    Ok(sentences.collect())
}

/// Reads all lines about attributes that convert files, those of the root first.
fn read(source: &dyn Source, entries: &[TreeEntry]) -> Result<Vec<Line>, SourceError> {
    let is_file = |entry: &&TreeEntry| {
        let name = entry.path.rsplit('/').next();
        name == Some(FILE) && matches!(entry.kind, TreeEntryKind::File | TreeEntryKind::Executable)
    };
    let mut found: Vec<_> = entries.iter().filter(is_file).collect();
    found.sort_by_key(|entry| entry.path.matches('/').count());
    let mut lines = Vec::new();
    let mut left = MAX_LINES;
    for entry in found.into_iter().take(MAX_FILES) {
        if left == 0 {
            break;
        }
        if source.size(entry)? > MAX_BYTES {
            continue;
        }
        let content = source.read(entry)?;
        let text = String::from_utf8_lossy(&content);
        let directory = entry.path.trim_end_matches(FILE).trim_end_matches('/');
        let said = text.lines().filter(|line| says_something(line)).take(left);
        for line in said {
            left -= 1;
            lines.extend(Line::parse(line, directory));
        }
    }
    Ok(lines)
}

/// Returns whether a line is neither empty nor a comment.
fn says_something(line: &str) -> bool {
    let line = line.trim_ascii_start();
    !line.is_empty() && !line.starts_with('#')
}

impl Line {
    fn parse(line: &str, directory: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let pattern = words.next()?;
        let settings: Vec<_> = words.flat_map(settings).copied().collect();
        // A pattern that ends with a slash is for no file.
        if settings.is_empty() || pattern.ends_with('/') {
            return None;
        }
        // Braces have no meaning here.
        let escaped = pattern.replace('{', "\\{").replace('}', "\\}");
        Some(Self {
            directory: directory.to_owned(),
            is_name: !escaped.contains('/'),
            pattern: Pattern::parse(escaped.trim_start_matches('/')).ok()?,
            settings,
        })
    }

    fn matches(&self, path: &str) -> bool {
        if !self.directory.is_empty() && !is_at_or_below(path, &self.directory) {
            return false;
        }
        let below = if self.is_name {
            path.rsplit('/').next().unwrap_or(path)
        } else {
            path[self.directory.len()..].trim_start_matches('/')
        };
        self.pattern.matches(below)
    }
}

/// Returns what a word of a line says.
fn settings(word: &str) -> &'static [Setting] {
    use Setting::{Crlf, Encoding, Ident, Text};
    match word {
        "text" | "text=auto" | "!text" => &[Text(true)],
        "-text" | "binary" => &[Text(false)],
        "eol=crlf" => &[Crlf(true)],
        "eol=lf" | "-eol" | "!eol" => &[Crlf(false)],
        "ident" => &[Ident(true)],
        "-ident" | "!ident" => &[Ident(false)],
        "-working-tree-encoding" | "!working-tree-encoding" => &[Encoding(false)],
        _ => match word.strip_prefix("working-tree-encoding=") {
            Some(name) if name.eq_ignore_ascii_case("utf-8") => &[Encoding(false)],
            Some(_) => &[Encoding(true)],
            None => &[],
        },
    }
}

/// Returns the attributes that convert a file. The last line about an attribute decides.
fn converted(lines: &[Line], path: &str) -> impl Iterator<Item = &'static str> {
    let (mut text, mut crlf, mut encoding, mut ident) = (true, false, false, false);
    let matching = lines.iter().filter(|line| line.matches(path));
    for setting in matching.flat_map(|line| &line.settings) {
        match *setting {
            Setting::Text(value) => text = value,
            Setting::Crlf(value) => crlf = value,
            Setting::Encoding(value) => encoding = value,
            Setting::Ident(value) => ident = value,
        }
    }
    let all = [
        (text && crlf, "eol=crlf"),
        (encoding, "working-tree-encoding"),
        (ident, "ident"),
    ];
    all.into_iter()
        .filter_map(|(is_set, name)| is_set.then_some(name))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::testing::{Repository, Tree, file};
    use super::*;

    fn found(repository: &[(&str, &str)], files: &[&str]) -> Vec<String> {
        let tree: Tree = repository
            .iter()
            .map(|(path, content)| ((*path).to_owned(), file(content)))
            .collect();
        let source = Repository(tree);
        let entries = source.entries().unwrap();
        unapplied(&source, &entries, files.iter().copied()).unwrap()
    }

    #[test]
    fn attributes_that_convert_files_are_told() {
        let files = ["a.bat", "b/c.bat", "b/c.sh", "d/x.txt"];
        for (attributes, expected) in [
            ("", &[][..]),
            (
                "* text=auto\n*.sh text eol=lf\n*.png filter=lfs -text\n",
                &[],
            ),
            ("# *.bat eol=crlf\n\n  \n", &[]),
            ("* eol=crlf\n* -text", &[]),
            ("*.bat eol=crlf\n*.bat binary", &[]),
            ("b/ eol=crlf", &[]),
            ("*.{bat,sh} eol=crlf", &[]),
            (
                "* text eol=crlf",
                &[".gitattributes: eol=crlf is not applied to 4 file(s), such as a.bat"],
            ),
            (
                "*.bat eol=crlf\n/a.bat eol=lf",
                &[".gitattributes: eol=crlf is not applied to 1 file(s), such as b/c.bat"],
            ),
            (
                "b/** ident\nd/*.txt working-tree-encoding=UTF-16",
                &[
                    ".gitattributes: ident is not applied to 2 file(s), such as b/c.bat",
                    ".gitattributes: working-tree-encoding is not applied to 1 file(s), such as d/x.txt",
                ],
            ),
            ("d/*.txt working-tree-encoding=utf-8", &[]),
        ] {
            assert_eq!(
                found(&[(".gitattributes", attributes)], &files),
                expected,
                "{attributes:?}"
            );
        }
    }

    /// A repository whose entries have other sizes than their contents, and which counts what is read.
    struct Counted {
        repository: Repository,
        size: Option<u64>,
        reads: AtomicUsize,
    }

    impl Counted {
        fn new(files: impl Iterator<Item = (String, String)>, size: Option<u64>) -> Self {
            let files = files.map(|(path, content)| (path, file(&content)));
            Self {
                repository: Repository(files.collect()),
                size,
                reads: AtomicUsize::new(0),
            }
        }

        /// Returns the number of lines, and of files that were read.
        fn counts(&self) -> (usize, usize) {
            let lines = read(self, &self.entries().unwrap()).unwrap();
            (lines.len(), self.reads.load(Ordering::Relaxed))
        }
    }

    impl Source for Counted {
        fn entries(&self) -> Result<Vec<TreeEntry>, SourceError> {
            self.repository.entries()
        }

        fn size(&self, entry: &TreeEntry) -> Result<u64, SourceError> {
            let size = self.repository.size(entry)?;
            Ok(self.size.unwrap_or(size))
        }

        fn read(&self, entry: &TreeEntry) -> Result<Vec<u8>, SourceError> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.repository.read(entry)
        }
    }

    #[test]
    fn the_work_is_bounded() {
        let files = |count: usize, content: &'static str, times: usize| {
            let path = |index| format!("d{index:03}/{FILE}");
            (0..count).map(move |index| (path(index), content.repeat(times)))
        };
        let line = "*.txt eol=crlf\n";
        for (source, counts) in [
            (Counted::new(files(101, line, 1), None), (100, 100)),
            (Counted::new(files(9, line, 400), None), (1000, 3)),
            // Lines that say nothing about these attributes count, and comments do not.
            (
                Counted::new(files(9, "*.png diff=png\n", 400), None),
                (0, 3),
            ),
            (Counted::new(files(9, "# text\n\n", 400), None), (0, 9)),
            (Counted::new(files(9, line, 1), Some(MAX_BYTES)), (9, 9)),
            (Counted::new(files(9, line, 1), Some(MAX_BYTES + 1)), (0, 0)),
        ] {
            assert_eq!(source.counts(), counts);
        }
    }

    #[test]
    fn a_deeper_file_decides() {
        let repository = [
            (".gitattributes", "*.txt eol=crlf"),
            ("a/.gitattributes", "*.txt -text"),
            ("a/b/.gitattributes", "/x.txt text"),
        ];
        let files = ["a/x.txt", "a/b/x.txt", "a/b/c/x.txt", "ab/x.txt"];
        let expected = ".gitattributes: eol=crlf is not applied to 2 file(s), such as a/b/x.txt";
        assert_eq!(found(&repository, &files), [expected]);
    }
}
