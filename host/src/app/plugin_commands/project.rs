//! `stoker plugin new` and `stoker plugin build`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use stoker_author::{PluginName, Project, scaffold};

use super::{check, limits};
use crate::app::text;
use crate::cli::{BuildFlags, NewFlags};
use crate::plugin::Tuning;

pub(super) fn new(flags: &NewFlags) -> Result<ExitCode> {
    let name = PluginName::parse(&flags.name)?;
    let folder = flags
        .dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(name.as_str()));
    let files = scaffold(&name, flags.lang.template(), &folder)?;
    let mut lines = vec![format!("{} has", folder.display())];
    lines.extend(files.iter().map(|file| format!("  {}", file.display())));
    // The build names the component after the folder.
    let component = Project::open(&folder)?.name().to_owned() + ".wasm";
    lines.extend(next_steps(
        name.as_str(),
        &folder.display().to_string(),
        &component,
    ));
    text::print_lines(&lines)
}

fn next_steps(name: &str, folder: &str, component: &str) -> Vec<String> {
    let (folder, shown) = (quoted(folder), quoted(component));
    // The keys of a ConfigMap must not contain spaces, so the key is the plugin's name.
    let source = if component == format!("{name}.wasm") {
        shown.clone()
    } else {
        format!("{name}.wasm={shown}")
    };
    let text = format!(
        "
next:
  cd {folder}
  stoker plugin build        # builds {component}
  stoker plugin test         # runs payloads/*.json through it
use it in a running host:
  cp {shown} DIR    # the directory of `stoker run --plugin-dir DIR`; no restart
or in a cluster, with the chart's plugins.watchConfigMaps:
  kubectl create configmap {name}-plugin -n stoker-system --from-file={source}
  kubectl label configmap {name}-plugin -n stoker-system stoker.io/plugin=true"
    );
    text.lines().map(str::to_owned).collect()
}

/// Quotes a word for a shell if necessary.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

pub(super) async fn build(flags: BuildFlags) -> Result<ExitCode> {
    let project = Project::open(&flags.folder)?;
    let tuning = Tuning {
        limits: limits(&flags.limits),
        ..Tuning::default()
    };
    let build = move || project.build(&flags.profile, text::note);
    let file = tokio::task::spawn_blocking(build).await??;
    check::run(&file, tuning).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_that_are_shown_can_be_pasted() {
        let steps = next_steps("my-ci", "my-ci", "my-ci.wasm").join("\n");
        assert!(steps.contains("\n  cd my-ci\n"), "{steps}");
        assert!(steps.contains("--from-file=my-ci.wasm\n"), "{steps}");
        let steps = next_steps("my-ci", "it's mine/ü", "a b.wasm").join("\n");
        for expected in [
            r"  cd 'it'\''s mine/ü'",
            "  cp 'a b.wasm' DIR",
            "--from-file=my-ci.wasm='a b.wasm'\n",
        ] {
            assert!(steps.contains(expected), "{steps}");
        }
    }
}
