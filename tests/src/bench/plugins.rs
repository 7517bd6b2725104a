//! Measures the plugin platform: the effect of hostile plugins on other webhooks, reloads, and the cost of many
//! plugins.

mod fairness;
mod many;
mod reload;

use anyhow::Result;

use super::report::Table;
use super::server::Server;
use super::webhooks;
use crate::TestCluster;

/// A guest whose behaviour is chosen by a header.
const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/hostile.wasm"));
/// A guest with a slow start function.
const HOSTILE_START: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/hostile-start.wasm"));
/// An ordinary guest.
const PLAIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guests/plain-std.wasm"));

/// Runs all measurements of the platform. The cluster must have an object and the tags `v1` and `v2`.
pub async fn measure(cluster: &TestCluster) -> Result<Vec<Table>> {
    let (reload, leaks) = reload::measure(cluster).await?;
    Ok(vec![
        fairness::measure(cluster).await?,
        reload,
        leaks,
        many::processor_time(cluster).await?,
        many::memory(cluster).await?,
    ])
}

/// Returns a component with the same behaviour and another digest, which has one more custom section.
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

/// Starts `stoker run` and resolves `v1`, so that requests of this tag are answered without a write.
async fn settled(
    cluster: &TestCluster,
    plugins: Option<&std::path::Path>,
    settings: Option<&std::path::Path>,
) -> Result<Server> {
    let server = Server::stoker(cluster, plugins, settings).await?;
    webhooks::settle(cluster, &server, "v1").await?;
    Ok(server)
}
