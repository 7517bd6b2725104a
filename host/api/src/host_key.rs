//! The host key that the ssh server of a repository must have, if known hosts do not determine it.

use super::GatewaySync;
use super::detection::RepoUrl;

/// The port of ssh servers, if the address of the repository has none.
const SSH_PORT: u16 = 22;

impl RepoUrl {
    /// Returns the ssh server of the repository, as `host:port`.
    #[must_use]
    pub fn ssh_server(&self) -> String {
        let url = self.url();
        let host = url.host_str().unwrap_or_default();
        format!("{host}:{}", url.port().unwrap_or(SSH_PORT))
    }
}

impl GatewaySync {
    /// Returns the only host key that the ssh server of a repository may have: the one that a person accepted, or the
    /// one that the controller saw first.
    #[must_use]
    pub fn pinned_host_key(&self, repo: &RepoUrl) -> Option<&str> {
        let seen = self.status.as_ref().and_then(|status| {
            let seen = status.ssh_host_key.as_ref()?;
            (seen.server == repo.ssh_server()).then_some(seen.key.as_str())
        });
        self.accepted_host_key().or(seen)
    }
}
