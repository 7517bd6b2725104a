//! The default kubeconfig, by the rules of kubectl: the files of `KUBECONFIG`, or `~/.kube/config`. Missing files are
//! skipped.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::PathBuf;

use kube::config::{Kubeconfig, KubeconfigError};

use crate::{ClusterConfigError, read};

/// Returns the files, in order. The first one that sets a value decides.
pub(crate) fn files() -> Vec<PathBuf> {
    files_of(
        std::env::var_os("KUBECONFIG").as_deref(),
        std::env::home_dir(),
    )
}

fn files_of(variable: Option<&OsStr>, home: Option<PathBuf>) -> Vec<PathBuf> {
    let listed = variable.into_iter().flat_map(std::env::split_paths);
    let listed: Vec<_> = listed.filter(|path| !path.as_os_str().is_empty()).collect();
    if listed.is_empty() {
        home.map(|home| home.join(".kube/config"))
            .into_iter()
            .collect()
    } else {
        listed
    }
}

/// Returns the files in words.
pub(crate) fn names(files: &[PathBuf]) -> String {
    let names: Vec<_> = files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if names.is_empty() {
        "home directory with a kubeconfig".to_owned()
    } else {
        names.join(" or ")
    }
}

/// Returns what the files say together, or `None` if all are missing or empty.
pub(crate) fn merged(files: &[PathBuf]) -> Result<Option<Kubeconfig>, ClusterConfigError> {
    let mut merged = Kubeconfig::default();
    for path in files {
        match read(path) {
            Ok(file) => {
                let both = merged.merge(file);
                merged = both.map_err(|source| ClusterConfigError::Read {
                    path: path.clone(),
                    source,
                })?;
            }
            Err(error) if is_missing(&error) => (),
            Err(error) => return Err(error),
        }
    }
    let is_empty = merged.current_context.is_none()
        && merged.contexts.is_empty()
        && merged.clusters.is_empty();
    Ok((!is_empty).then_some(merged))
}

fn is_missing(error: &ClusterConfigError) -> bool {
    matches!(
        error,
        ClusterConfigError::Read { source: KubeconfigError::ReadConfig(error, _), .. }
            if error.kind() == ErrorKind::NotFound
    )
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_variable_lists_the_files_and_the_home_directory_has_one() {
        let home = || Some(PathBuf::from("/home/a"));
        let files = |variable: Option<&str>| files_of(variable.map(OsStr::new), home());
        assert_eq!(files(Some("/x:/y")), ["/x", "/y"].map(PathBuf::from));
        assert_eq!(files(Some(":/y:")), ["/y"].map(PathBuf::from));
        for unset in [None, Some(""), Some(":")] {
            assert_eq!(files(unset), ["/home/a/.kube/config"].map(PathBuf::from));
        }
        assert_eq!(
            names(&files_of(None, None)),
            "home directory with a kubeconfig"
        );
    }

    #[test]
    fn missing_and_empty_files_are_skipped_and_broken_ones_are_errors() {
        let directory = TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let missing = directory.path().join("missing");
        let empty = file("empty", "");
        let good = file("good", "current-context: a\ncontexts: []\nclusters: []\n");
        let other = file("other", "current-context: b\n");
        let broken = file("broken", "clusters: [\n");
        for none in [
            vec![],
            vec![missing.clone()],
            vec![empty.clone(), missing.clone()],
        ] {
            assert!(merged(&none).unwrap().is_none(), "{none:?}");
        }
        let some = merged(&[missing, empty, good.clone(), other])
            .unwrap()
            .unwrap();
        assert_eq!(some.current_context.as_deref(), Some("a"));
        let error = merged(&[good, broken]).unwrap_err();
        let expected = "/broken: unclosed bracket";
        assert!(error.to_string().contains(expected), "{error}");
    }
}
