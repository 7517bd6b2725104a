//! CDEvents, the vocabulary of continuous delivery: `<subject>.<predicate>.<version>`.

use alloc::string::String;

use stoker_plugin::{Detection, Malformed, Outcome, Request, text};

/// The ref that a CDEvent announces.
#[derive(Clone, Copy)]
pub(crate) enum Announcement {
    /// The branch that is the subject.
    Branch,
    /// The commit of the change that is the subject.
    Change,
    /// The version of the artifact whose package URL is at a pointer below the subject.
    Artifact(&'static str),
}

impl Announcement {
    /// Returns the announcement for a type of event, which is given without its prefix. Returns `None` if events of
    /// this type announce nothing.
    pub(crate) fn of(kind: &str) -> Option<Self> {
        let is = |name: &str| {
            let version = kind.strip_prefix(name);
            version.is_some_and(|version| version.is_empty() || version.starts_with('.'))
        };
        Some(if is("branch.created") {
            Self::Branch
        } else if is("change.merged") {
            Self::Change
        } else if is("artifact.packaged") || is("artifact.published") {
            Self::Artifact("/subject/id")
        } else if is("service.deployed") || is("service.upgraded") {
            Self::Artifact("/subject/content/artifactId")
        } else {
            return None;
        })
    }

    pub(crate) fn outcome(self, data: &impl Request) -> Result<Outcome, Malformed> {
        match self {
            Self::Branch => branch(data),
            Self::Change => change(data),
            Self::Artifact(place) => artifact(data, place),
        }
    }
}

fn branch(data: &impl Request) -> Result<Outcome, Malformed> {
    let name = data.required("/subject/id")?;
    let git_ref = if name.starts_with("refs/") {
        name
    } else {
        text::concat(&["refs/heads/", &name])
    };
    Ok(detection(data, git_ref).into())
}

/// The id of a change is the name that its tool uses: the id of the commit, or the number of a request. The number of a
/// request is not a ref.
fn change(data: &impl Request) -> Result<Outcome, Malformed> {
    let name = data.required("/subject/id")?;
    if !text::is_commit_id(&name) {
        return Ok(Outcome::ignored(&[
            "change ",
            &name,
            " is not named by its commit",
        ]));
    }
    Ok(detection(data, name.clone()).commit(Some(name)).into())
}

/// An artifact is named by a package URL. Its version is the tag that it was built from.
fn artifact(data: &impl Request, place: &str) -> Result<Outcome, Malformed> {
    let name = data.required(place)?;
    if !name.starts_with("pkg:") {
        return Err(Malformed::at(&data.place(place), "is not a package URL"));
    }
    let Some(version) = version(&name) else {
        return Ok(Outcome::ignored(&[
            "artifact ",
            &name,
            " has neither version nor tag",
        ]));
    };
    let change = data.string_at("/subject/content/change/id");
    Ok(detection(data, version).tag().commit(change).into())
}

fn detection(data: &impl Request, git_ref: String) -> Detection {
    let names = [
        "/subject/content/repository/id",
        "/subject/content/change/repository/id",
    ];
    Detection::new(git_ref).repositories(data.strings_at(&names))
}

/// Returns the version in a package URL, `pkg:type/namespace/name@version?qualifiers#subpath`. The version of an image
/// is its digest; the tag of an image is a qualifier.
fn version(purl: &str) -> Option<String> {
    let (purl, _) = purl.split_once('#').unwrap_or((purl, ""));
    let (path, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
    // A slash in the version is percent-encoded, so an at sign before a slash belongs to a namespace.
    let version = path
        .rsplit_once('@')
        .filter(|(_, version)| !version.contains('/'))
        .map(|(_, version)| text::percent_decoded(version));
    let tag = || {
        let mut all = qualifiers.split('&');
        let tag = all.find_map(|one| one.strip_prefix("tag="));
        tag.map(text::percent_decoded)
    };
    let is_ref = |text: &String| !text.is_empty() && !text.contains(':');
    version.filter(is_ref).or_else(tag).filter(is_ref)
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_of_a_package_url_is_a_ref() {
        for (purl, expected) in [
            ("pkg:generic/plant/line-7@v2.4.0", Some("v2.4.0")),
            ("pkg:npm/%40plant/line-7@2.4.0#lib", Some("2.4.0")),
            (
                "pkg:generic/line-7@release%2F2.4?os=linux",
                Some("release/2.4"),
            ),
            ("pkg:oci/line-7@sha256:ab?arch=arm&tag=v2", Some("v2")),
            (
                "pkg:oci/line-7@sha256%3Aab?repository_url=example.com/line-7&tag=v2",
                Some("v2"),
            ),
            ("pkg:oci/line-7@sha256:ab", None),
            ("pkg:generic/line-7", None),
            ("pkg:generic/line-7@", None),
            ("pkg:npm/@plant/line-7", None),
            ("pkg:generic/line-7@50%25%2", Some("50%%2")),
        ] {
            assert_eq!(version(purl).as_deref(), expected, "{purl}");
        }
    }
}
