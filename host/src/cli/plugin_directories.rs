//! The directories of `--plugin-dir` and its variable.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, Command, Error};

/// The parser of one directory. The variable may have empty parts, because manifests put it together from texts that may
/// be empty. A flag must not be empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct PluginDirectory;

impl TypedValueParser for PluginDirectory {
    type Value = PathBuf;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<PathBuf, Error> {
        PathBufValueParser::new().parse_ref(command, argument, value)
    }

    fn parse_ref_(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<PathBuf, Error> {
        if value.is_empty() && source == ValueSource::EnvVariable {
            return Ok(PathBuf::new());
        }
        self.parse_ref(command, argument, value)
    }
}

/// Returns the directories in their order, without empty parts of the variable. A directory that is named twice, also by
/// another path, is there once: its files would have the names of their own plugins taken.
#[must_use]
pub fn plugin_directories(named: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut known = HashSet::new();
    let mut directories = named;
    directories.retain(|directory| {
        let is_empty = directory.as_os_str().is_empty();
        // A directory may be created later.
        let place = fs::canonicalize(directory).unwrap_or_else(|_| directory.clone());
        !is_empty && known.insert(place)
    });
    directories
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn each_directory_is_used_once() {
        let directory = TempDir::new().unwrap();
        let (one, link) = (directory.path().join("one"), directory.path().join("link"));
        fs::create_dir(&one).unwrap();
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let absent = directory.path().join("absent");
        let named = [
            &one,
            &PathBuf::new(),
            &absent,
            &directory.path().join("one/"),
            &link,
            &absent,
        ];
        let named = named.map(Clone::clone).to_vec();
        assert_eq!(plugin_directories(named), [one, absent]);
    }

    #[test]
    fn only_the_variable_may_have_empty_parts() {
        let command = Command::new("stoker");
        let parse = |value: &str, source| {
            let parsed = PluginDirectory.parse_ref_(&command, None, value.as_ref(), source);
            parsed.map_err(drop)
        };
        assert_eq!(parse("", ValueSource::EnvVariable), Ok(PathBuf::new()));
        assert_eq!(parse("", ValueSource::CommandLine), Err(()));
        let one = Ok(PathBuf::from("one"));
        assert_eq!(parse("one", ValueSource::EnvVariable), one);
    }
}
