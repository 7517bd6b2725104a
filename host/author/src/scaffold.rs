//! Creates a project from one of the templates, which are part of the binary.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::AuthorError;
use super::name::PluginName;

/// The template, the path within the template and the content of each file. The build script writes the list.
const TEMPLATES: &[(&str, &str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));
/// The template whose files every project gets.
const COMMON: &str = "common";
/// The interface. Every project has a copy, so that it can be built without Stoker's repository.
const WIT: &str = include_str!("../../../wit/v0.1.0/detect.wit");
/// A suffix of file names that is removed. Without the suffix, tools would read files such as `Cargo.toml` as part of
/// Stoker's own repository.
const SUFFIX: &str = ".in";

/// Writes a project into a directory that does not exist or is empty, and returns the paths of its files, in order.
pub fn scaffold(
    name: &PluginName,
    language: &str,
    directory: &Path,
) -> Result<Vec<PathBuf>, AuthorError> {
    let files = files(TEMPLATES, name, language)?;
    let holds_files = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if holds_files || (directory.exists() && !directory.is_dir()) {
        return Err(AuthorError::Exists(directory.to_owned()));
    }
    for (path, content) in &files {
        let path = directory.join(path);
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(AuthorError::file(parent))?;
        fs::write(&path, content).map_err(AuthorError::file(&path))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

type File = (PathBuf, Cow<'static, [u8]>);

fn files(
    templates: &[(&str, &str, &'static [u8])],
    name: &PluginName,
    language: &str,
) -> Result<Vec<File>, AuthorError> {
    if !templates
        .iter()
        .any(|(directory, ..)| *directory == language)
    {
        return Err(AuthorError::NoTemplate(language.to_owned()));
    }
    let mut files = vec![(
        PathBuf::from("wit/detect.wit"),
        Cow::Borrowed(WIT.as_bytes()),
    )];
    for (directory, path, content) in templates {
        if *directory != COMMON && *directory != language {
            continue;
        }
        let path = path.strip_suffix(SUFFIX).unwrap_or(path);
        // Binary files have no placeholders.
        let content = match std::str::from_utf8(content) {
            Ok(text) => Cow::Owned(fill(text, name).into_bytes()),
            Err(_) => Cow::Borrowed(*content),
        };
        files.push((fill(path, name).into(), content));
    }
    // A file of the language replaces the common file with the same path.
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files.reverse();
    files.dedup_by(|one, other| one.0 == other.0);
    files.reverse();
    Ok(files)
}

fn fill(text: &str, name: &PluginName) -> String {
    text.replace("{{name}}", name.as_str())
        .replace("{{ident}}", &name.identifier())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[(&str, &str, &[u8])] = &[
        ("common", "README.md", b"# {{name}}"),
        ("common", "payloads/first.json", b"{}"),
        ("rust", "Cargo.toml.in", b"name = \"{{name}}\""),
        ("rust", "README.md", b"# {{name}} in Rust"),
        ("rust", "src/{{ident}}.rs", b"mod {{ident}};"),
        ("rust", "stub.wasm", b"\0asm\xff{{name}}"),
        ("go", "go.mod", b"module {{name}}"),
    ];

    #[test]
    fn a_project_is_common_files_and_those_of_its_language() {
        let name = PluginName::parse("my-ci").unwrap();
        let files = files(SAMPLE, &name, "rust").unwrap();
        let shown: Vec<_> = files
            .iter()
            .map(|(path, content)| (path.to_str().unwrap(), content.as_ref()))
            .collect();
        let expected: [(&str, &[u8]); 6] = [
            ("Cargo.toml", b"name = \"my-ci\""),
            ("README.md", b"# my-ci in Rust"),
            ("payloads/first.json", b"{}"),
            ("src/my_ci.rs", b"mod my_ci;"),
            ("stub.wasm", b"\0asm\xff{{name}}"),
            ("wit/detect.wit", WIT.as_bytes()),
        ];
        assert_eq!(shown, expected);
        let unknown = super::files(SAMPLE, &name, "cobol");
        assert!(matches!(unknown, Err(AuthorError::NoTemplate(_))));
    }
}
