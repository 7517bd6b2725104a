//! `stoker plugin new` and `stoker plugin build`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::{check, limits};
use crate::app::text;
use crate::author::{PluginName, Project, scaffold};
use crate::cli::{BuildFlags, NewFlags};
use crate::plugin::Tuning;

pub(super) fn new(flags: &NewFlags) -> Result<ExitCode> {
    let name = PluginName::parse(&flags.name)?;
    let folder = flags
        .dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(name.as_str()));
    let files = scaffold(&name, flags.lang.word(), &folder)?;
    let shown = folder.display();
    let mut lines = vec![format!("{shown} has")];
    lines.extend(files.iter().map(|file| format!("  {}", file.display())));
    let component = folder.canonicalize()?;
    let component = component.file_name().unwrap_or_default().display();
    lines.push(format!(
        "
next:
  cd {shown}
  stoker plugin build        # makes {component}.wasm
  stoker plugin test         # asks it about payloads/*.json
drop it in:
  cp {component}.wasm DIR    # the directory of `stoker run --plugin-dir DIR`; no restart
or in a cluster, with the chart's plugins.watchConfigMaps:
  kubectl create configmap {name}-plugin -n stoker-system --from-file={component}.wasm
  kubectl label configmap {name}-plugin -n stoker-system stoker.io/plugin=true",
        name = name.as_str(),
    ));
    text::print(&lines.join("\n"))
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
