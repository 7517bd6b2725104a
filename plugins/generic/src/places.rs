//! Where in a body the parts of a detection are.

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Kind, Malformed, Request, text};

use crate::conditions::scalar_at;

/// Where an operator says that each part is.
pub(crate) struct Places {
    pub(crate) git_ref: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) occurred_at: Option<String>,
    pub(crate) delivery_id: Option<String>,
}

impl Places {
    pub(crate) fn configured(request: &impl Request) -> Result<Self, Malformed> {
        Ok(Self {
            git_ref: request.configured_pointer("ref")?,
            commit: request.configured_pointer("commit")?,
            repository: request.configured_pointer("repository")?,
            occurred_at: request.configured_pointer("occurred-at")?,
            delivery_id: request.configured_pointer("delivery-id")?,
        })
    }

    /// In the push of an annotated tag `after` is the tag object, which is no commit. What it points to is GitLab's
    /// `checkout_sha` and GitHub's head commit.
    pub(crate) fn commit(&self, request: &impl Request, git_ref: &str) -> Option<String> {
        if let Some(at) = &self.commit {
            return request.string_at(at);
        }
        let is_full = |id: &String| text::is_commit_id(id);
        let after = request.string_at("/after");
        let after = after.filter(|id| is_full(id) && !git_ref.starts_with("refs/tags/"));
        let named = || {
            ["/commit", "/sha", "/checkout_sha", "/head_commit/id"]
                .iter()
                .find_map(|at| request.string_at(at).filter(is_full))
        };
        after.or_else(named)
    }

    pub(crate) fn repositories(&self, request: &impl Request) -> Vec<String> {
        if let Some(at) = &self.repository {
            return request.string_at(at).into_iter().collect();
        }
        let mut names = match request.kind_at("/repository") {
            Some(Kind::Text) => request.strings_at(&["/repository"]),
            Some(Kind::Object) => request.strings_at(&[
                "/repository/full_name",
                "/repository/clone_url",
                "/repository/ssh_url",
                "/repository/html_url",
                "/repository/git_http_url",
                "/repository/git_ssh_url",
            ]),
            _ => Vec::new(),
        };
        if request.kind_at("/project") == Some(Kind::Object) {
            names.extend(request.strings_at(&[
                "/project/path_with_namespace",
                "/project/git_http_url",
                "/project/git_ssh_url",
                "/project/web_url",
            ]));
        }
        names
    }

    pub(crate) fn occurred_at(&self, request: &impl Request) -> Option<String> {
        request.string_at(self.occurred_at.as_deref()?)
    }

    /// Many a sender numbers its deliveries.
    pub(crate) fn delivery_id(&self, request: &impl Request) -> Option<String> {
        scalar_at(request, self.delivery_id.as_deref()?)
    }
}
