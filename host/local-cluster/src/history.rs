//! The initial history of the repository: the first releases of a plant's gateways.

use stoker_api::detection::CommitId;

use super::{GitServer, GitServerError};

/// The refs of the history, for the output of `stoker sandbox`.
pub const REFS: &str = "branch main, tags v1.0.0 v2.0.0 v2.1.0 v2.2.0 v3.0.0";

/// The commits of the history: annotated and lightweight tags, and the branch `main`, which is ahead of them.
#[derive(Debug)]
pub struct History {
    /// The commit of v2.0.0, an annotated tag.
    pub v2_0_0: CommitId,
    /// The commit of v2.1.0.
    pub v2_1_0: CommitId,
    /// The commit of v2.2.0.
    pub v2_2_0: CommitId,
    /// The commit of v3.0.0, an annotated tag.
    pub v3_0_0: CommitId,
    /// The tip of `main`.
    pub main: CommitId,
}

impl History {
    /// Writes the history into an empty repository.
    pub async fn write(git: &GitServer) -> Result<Self, GitServerError> {
        git.commit("main", "Connect line 1").await?;
        git.tag("v1.0.0").await?;
        git.commit("main", "Raise the scan rate of line 1").await?;
        let v2_0_0 = git.annotated_tag("v2.0.0").await?;
        git.commit("main", "Add the tank farm").await?;
        let v2_1_0 = git.tag("v2.1.0").await?;
        git.commit("main", "Rename the boiler tags").await?;
        let v2_2_0 = git.tag("v2.2.0").await?;
        git.commit("main", "Tune the alarms").await?;
        let v3_0_0 = git.annotated_tag("v3.0.0").await?;
        let main = git.commit("main", "Try a new historian").await?;
        Ok(Self {
            v2_0_0,
            v2_1_0,
            v2_2_0,
            v3_0_0,
            main,
        })
    }
}
