//! Tests of lookups and fetches, and their shared helpers.

mod credentials;
mod download;
pub(super) mod fake;
mod fetched;
mod forms;
mod hosts;
mod known;
mod logins;
mod misbehaviour;
mod servers;
mod ssh;
mod transports;
mod wire;

use stoker_api::detection::RepoUrl;
use stoker_local_cluster::GitServer;

use super::*;

fn client() -> GitClient {
    GitClient::new().unwrap()
}

fn limited(limits: Limits) -> GitClient {
    GitClient::with_config(GitClientConfig {
        limits,
        ..GitClientConfig::default()
    })
    .unwrap()
}

async fn resolve_by(client: &GitClient, url: &str, git_ref: &str) -> RefResult {
    let remote = Remote::anonymous(RepoUrl::parse(url).unwrap());
    let refs = [GitRef::parse(git_ref).unwrap()];
    client.resolve(&remote, &refs).await?.remove(0)
}

async fn resolve(url: &str, git_ref: &str) -> RefResult {
    resolve_by(&client(), url, git_ref).await
}

fn id(digit: char) -> CommitId {
    CommitId::parse(&digit.to_string().repeat(40)).unwrap()
}
