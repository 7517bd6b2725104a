use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use stoker_api::detection::{GitRef, ObjectKey};

/// The flags of `stoker status`.
#[derive(Debug, Clone, Args)]
pub struct StatusFlags {
    /// Name of one object, whose gateways are shown too [default: all objects].
    pub name: Option<String>,
    /// Namespace of the objects [default: all namespaces, or that of the kubeconfig if an object is named].
    #[arg(short, long, value_name = "NAMESPACE")]
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
    fn an_object_has_a_namespace_and_a_name() {
        assert!(object_key("edge/plant").is_ok());
        for text in ["plant", "edge/", "/plant", "edge/plant/x"] {
            assert!(object_key(text).is_err(), "{text}");
        }
    }
}
