//! What all tests of lookups share.

pub(super) mod fake;
#[cfg(feature = "sandbox")]
mod forms;
mod known;
mod misbehaviour;
#[cfg(feature = "sandbox")]
mod transports;
mod wire;

use super::*;
#[cfg(feature = "sandbox")]
use crate::sandbox::GitServer;

fn client() -> GitClient {
    GitClient::new().unwrap()
}

async fn resolve_by(client: &GitClient, url: &str, git_ref: &str) -> Result<ResolvedRef, GitError> {
    client
        .resolve(
            &RepoUrl::parse(url).unwrap(),
            &GitRef::parse(git_ref).unwrap(),
        )
        .await
}

async fn resolve(url: &str, git_ref: &str) -> Result<ResolvedRef, GitError> {
    resolve_by(&client(), url, git_ref).await
}

fn id(digit: char) -> CommitId {
    CommitId::parse(&digit.to_string().repeat(40)).unwrap()
}
