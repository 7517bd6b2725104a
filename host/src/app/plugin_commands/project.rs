//! `stoker plugin new` and `stoker plugin build`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use stoker_author::{PluginName, Project, scaffold};

use super::{check, limits};
use crate::app::text;
use crate::cli::{BuildFlags, Language, NewFlags};
use crate::plugin::Tuning;

pub(super) fn new(flags: &NewFlags) -> Result<ExitCode> {
    let name = PluginName::parse(&flags.name)?;
    let directory = flags
        .dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(name.as_str()));
    let files = scaffold(&name, flags.lang.template(), &directory)?;
    let mut lines = vec![format!("{} has", directory.display())];
    lines.extend(files.iter().map(|file| format!("  {}", file.display())));
    // The build names the component after the directory.
    let component = Project::open(&directory)?.name().to_owned() + ".wasm";
    lines.extend(next_steps(
        &Needs::of(flags.lang),
        name.as_str(),
        &directory.display().to_string(),
        &component,
    ));
    text::print_lines(&lines)
}

/// What the component of a language needs.
struct Needs {
    /// The flag for its size with `stoker plugin`, if it is larger than the default allows.
    max_size: Option<u64>,
    /// Whether a ConfigMap can have it.
    fits_config_map: bool,
}

impl Needs {
    fn of(language: Language) -> Self {
        Self {
            max_size: match language {
                Language::Js | Language::Python => Some(20_000_000),
                Language::Rust | Language::C | Language::Go => None,
            },
            fits_config_map: matches!(language, Language::Rust | Language::C),
        }
    }
}

fn next_steps(needs: &Needs, name: &str, directory: &str, component: &str) -> Vec<String> {
    let (directory, shown) = (quoted(directory), quoted(component));
    let flag = |name: &str| match needs.max_size {
        Some(size) => format!(" {name} {size}"),
        None => String::new(),
    };
    let (max_size, host_size) = (flag("--max-size"), flag("--plugin-max-size"));
    let build = format!("stoker plugin build{max_size}");
    let test = format!("stoker plugin test{max_size}");
    let width = build.len().max(test.len()) + 2;
    let cluster = if needs.fits_config_map {
        in_config_map(name, component)
    } else {
        in_image(needs, &shown)
    };
    let steps = format!(
        "
next:
  cd {directory}
  {build:<width$}# builds {component}
  {test:<width$}# runs payloads/*.json through it
use it in a running host:
  cp {shown} DIR    # the directory of `stoker run --plugin-dir DIR{host_size}`; no restart
{cluster}"
    );
    steps.lines().map(str::to_owned).collect()
}

fn in_config_map(name: &str, component: &str) -> String {
    let shown = quoted(component);
    // The keys of a ConfigMap must not contain spaces, so the key is the plugin's name.
    let source = if component == format!("{name}.wasm") {
        shown
    } else {
        format!("{name}.wasm={shown}")
    };
    format!(
        "\
or in a cluster, with the chart's plugins.watchConfigMaps:
  kubectl create configmap {name}-plugin -n stoker-system --from-file={source}
  kubectl label configmap {name}-plugin -n stoker-system stoker.io/plugin=true"
    )
}

fn in_image(needs: &Needs, component: &str) -> String {
    let size = match needs.max_size {
        Some(size) => format!(", and --set plugins.maxSize={size}"),
        None => String::new(),
    };
    format!(
        "\
or in a cluster, in an image, because it is too large for a ConfigMap:
  printf 'FROM scratch\\nCOPY *.wasm /\\n' > Containerfile
  docker build -f Containerfile -t IMAGE . && docker push IMAGE    # with {component}
  the chart's --set 'plugins.images[0].reference=IMAGE'{size}"
    )
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
    let project = Project::open(&flags.directory)?;
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
        let small = Needs::of(Language::Rust);
        let steps = next_steps(&small, "my-ci", "my-ci", "my-ci.wasm").join("\n");
        assert!(steps.contains("\n  cd my-ci\n"), "{steps}");
        assert!(steps.contains("--from-file=my-ci.wasm\n"), "{steps}");
        let steps = next_steps(&small, "my-ci", "it's mine/ü", "a b.wasm").join("\n");
        for expected in [
            r"  cd 'it'\''s mine/ü'",
            "  cp 'a b.wasm' DIR",
            "--from-file=my-ci.wasm='a b.wasm'\n",
        ] {
            assert!(steps.contains(expected), "{steps}");
        }
    }

    #[test]
    fn the_steps_suit_the_size_of_the_component() {
        for language in [
            Language::Rust,
            Language::C,
            Language::Go,
            Language::Js,
            Language::Python,
        ] {
            let needs = Needs::of(language);
            let steps = next_steps(&needs, "my-ci", "my-ci", "my-ci.wasm").join("\n");
            let is_small = matches!(language, Language::Rust | Language::C);
            let is_large = matches!(language, Language::Js | Language::Python);
            assert_eq!(
                steps.contains("kubectl create configmap"),
                is_small,
                "{steps}"
            );
            assert_eq!(
                steps.contains("plugins.images[0].reference="),
                !is_small,
                "{steps}"
            );
            for flag in [
                "plugin build --max-size 20000000 ",
                "plugin test --max-size 20000000 ",
                "--plugin-max-size 20000000`",
                "plugins.maxSize=20000000",
            ] {
                assert_eq!(steps.contains(flag), is_large, "{flag}: {steps}");
            }
        }
    }
}
