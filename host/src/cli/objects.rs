//! The flags of the commands about objects: `stoker status` and `stoker sync`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use stoker_api::detection::{GitRef, ObjectKey, ParseError};

/// The flags of `stoker status`.
#[derive(Debug, Clone, Args)]
pub struct StatusFlags {
    /// One object, whose gateways are shown too, as NAME or NAMESPACE/NAME [default: all objects].
    #[arg(value_name = "[NAMESPACE/]NAME")]
    pub object: Option<ObjectName>,
    /// Namespace of the objects [default: all namespaces, or that of the kubeconfig if an object is named].
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace)]
    pub namespace: Option<String>,
    /// Format of the output.
    #[arg(short, long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub output: OutputFormat,
    /// Show the objects again after each change.
    #[arg(short, long)]
    pub watch: bool,
    /// Kubeconfig file [default: `KUBECONFIG`, the file in the home directory, or the service account of the pod].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

impl StatusFlags {
    /// Returns the namespace of the flag. An empty one is absent.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref().filter(|name| !name.is_empty())
    }
}

/// The name of an object, with its namespace or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// The namespace, or `None` if another flag or the kubeconfig has it.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl FromStr for ObjectName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        let key = ObjectKey::new(namespace.unwrap_or("default"), name)?;
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            name: key.name().to_owned(),
        })
    }
}

/// Checks the name of a namespace. An empty one is absent.
fn namespace(text: &str) -> Result<String, ParseError> {
    if !text.is_empty() {
        ObjectKey::new(text, "name")?;
    }
    Ok(text.to_owned())
}

/// The format of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A table, and problems with what to do about them.
    Text,
    /// A JSON document.
    Json,
}

/// The flags of `stoker sync`.
#[derive(Debug, Clone, Args)]
pub struct SyncFlags {
    /// The object.
    #[arg(value_name = "NAMESPACE/NAME", value_parser = object_key)]
    pub object: ObjectKey,
    /// Ref to request. It replaces `spec.git.ref`, as the ref of a webhook does [default: the present ref is looked up
    /// again].
    #[arg(long, value_parser = git_ref, value_name = "REF")]
    pub r#ref: Option<GitRef>,
    /// Longest time to wait, in seconds or as 90s, 5m or 1h. The exit code is 3 if the sync takes longer.
    #[arg(long, default_value = "5m", value_parser = timeout, value_name = "TIME")]
    pub timeout: Duration,
    /// Exit as soon as the ref is resolved, and do not wait for the gateways.
    #[arg(long)]
    pub no_wait: bool,
    /// Kubeconfig file [default: `KUBECONFIG`, the file in the home directory, or the service account of the pod].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

fn object_key(text: &str) -> Result<ObjectKey, String> {
    let (namespace, name) = text
        .split_once('/')
        .ok_or("write the object as NAMESPACE/NAME")?;
    ObjectKey::new(namespace, name).map_err(|error| error.to_string())
}

fn git_ref(text: &str) -> Result<GitRef, String> {
    GitRef::parse(text).map_err(|error| error.to_string())
}

/// Parses a number of seconds, or a number with a unit.
fn timeout(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time such as 90s, 5m or 1h".to_owned();
    let number = text.trim_end_matches(['s', 'm', 'h']);
    let unit = match &text[number.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => return Err(wrong()),
    };
    let seconds: u32 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(seconds) * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_a_unit() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600)] {
            assert_eq!(timeout(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "5ms", "-1s", "1.5h", "5 m"] {
            assert!(timeout(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_object_is_named_with_its_namespace_or_without() {
        let parse = |text: &str| text.parse::<ObjectName>();
        let object = |namespace: Option<&str>, name: &str| ObjectName {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        assert_eq!(parse("plant"), Ok(object(None, "plant")));
        assert_eq!(parse("edge/plant"), Ok(object(Some("edge"), "plant")));
        for text in [
            "",
            "/plant",
            "edge/",
            "a/b/c",
            "../secrets",
            "plant?x",
            "Plant",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(namespace("edge").is_ok() && namespace("").is_ok());
        assert!(namespace("a/b").is_err() && namespace("..").is_err());
    }

    #[test]
    fn an_object_has_a_namespace_and_a_name() {
        assert!(object_key("edge/plant").is_ok());
        for text in ["plant", "edge/", "/plant", "edge/plant/x"] {
            assert!(object_key(text).is_err(), "{text}");
        }
    }
}
