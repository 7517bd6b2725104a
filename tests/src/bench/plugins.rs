//! The plugin platform under measurement: what a bad plugin does to others, what a reload costs, what many plugins cost.

mod fairness;
mod many;
mod reload;

use anyhow::Result;

use super::report::Table;
use super::server::Server;
use super::webhooks;
use crate::Stage;

/// A guest that does whatever it is told to.
const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/hostile.wasm"));
/// A guest whose start function takes long.
const HOSTILE_START: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/hostile-start.wasm"));
/// A guest as anybody would write one.
const PLAIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/plain-std.wasm"));

/// Everything of the platform that is measured through the whole binary. The stage has an object and the tags `v1` and
/// `v2`.
pub async fn measure(stage: &Stage) -> Result<Vec<Table>> {
    let (reload, leaks) = reload::measure(stage).await?;
    Ok(vec![
        fairness::measure(stage).await?,
        reload,
        leaks,
        many::processor_time(stage).await?,
        many::memory(stage).await?,
    ])
}

/// A component that does the same and has another digest: with one more custom section, which nobody reads.
fn variant(component: &[u8], number: u32) -> Vec<u8> {
    let name = b"variant";
    let content = number.to_le_bytes();
    // Section 0; its size; the length of its name; the name; the content (component model, binary format).
    let mut bytes = component.to_vec();
    bytes.push(0);
    bytes
        .extend([1 + name.len() + content.len(), name.len()].map(|length| length.to_le_bytes()[0]));
    bytes.extend(name);
    bytes.extend(content);
    bytes
}

/// `stoker run` whose object has `v1` resolved, so that a request for it is answered without a write.
async fn settled(
    stage: &Stage,
    plugins: Option<&std::path::Path>,
    settings: Option<&std::path::Path>,
) -> Result<Server> {
    let server = Server::stoker(stage, plugins, settings).await?;
    webhooks::settle(stage, &server, "v1").await?;
    Ok(server)
}
