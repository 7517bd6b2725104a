//! CDEvents, the vocabulary of continuous delivery: `<subject>.<predicate>.<version>`.

use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Detection, Malformed, Outcome, Request, text};

/// What a CDEvent announces, by its type without the prefix; none where events of its type announce nothing.
pub(crate) fn announced(
    request: &impl Request,
    data: &str,
    kind: &str,
) -> Result<Option<Outcome>, Malformed> {
    let subject = Subject { data };
    let is = |name: &str| {
        let version = kind.strip_prefix(name);
        version.is_some_and(|version| version.is_empty() || version.starts_with('.'))
    };
    Ok(if is("branch.created") {
        Some(subject.branch(request)?)
    } else if is("change.merged") {
        Some(subject.change(request)?)
    } else if is("artifact.packaged") || is("artifact.published") {
        Some(subject.artifact(request, "/id")?)
    } else if is("service.deployed") || is("service.upgraded") {
        Some(subject.artifact(request, "/content/artifactId")?)
    } else {
        None
    })
}

/// What the event is about.
struct Subject<'a> {
    data: &'a str,
}

impl Subject<'_> {
    fn place(&self, rest: &str) -> String {
        text::concat(&[self.data, "/subject", rest])
    }

    fn branch(&self, request: &impl Request) -> Result<Outcome, Malformed> {
        let name = request.required(&self.place("/id"))?;
        let git_ref = if name.starts_with("refs/") {
            name
        } else {
            text::concat(&["refs/heads/", &name])
        };
        Ok(self.detection(request, git_ref).into())
    }

    /// A change has the name that its tool gives it: the commit's id, or the number of a request, which is no ref.
    fn change(&self, request: &impl Request) -> Result<Outcome, Malformed> {
        let name = request.required(&self.place("/id"))?;
        if !text::is_commit_id(&name) {
            return Ok(Outcome::ignored(&[
                "change ",
                &name,
                " is not named by its commit",
            ]));
        }
        Ok(self
            .detection(request, name.clone())
            .commit(Some(name))
            .into())
    }

    /// An artifact is named by a package URL, whose version is the ref that it was built of.
    fn artifact(&self, request: &impl Request, place: &str) -> Result<Outcome, Malformed> {
        let place = self.place(place);
        let name = request.required(&place)?;
        if !name.starts_with("pkg:") {
            return Err(Malformed::at(&place, "is not a package URL"));
        }
        let Some(version) = version(&name) else {
            return Ok(Outcome::ignored(&[
                "artifact ",
                &name,
                " has neither version nor tag",
            ]));
        };
        let change = request.string_at(&self.place("/content/change/id"));
        Ok(self.detection(request, version).commit(change).into())
    }

    fn detection(&self, request: &impl Request, git_ref: String) -> Detection {
        let names = ["/content/repository/id", "/content/change/repository/id"];
        let names = names.map(|place| request.string_at(&self.place(place)));
        Detection::new(git_ref).repositories(names.into_iter().flatten())
    }
}

/// The version in a package URL, `pkg:type/namespace/name@version?qualifiers#subpath`. That of an image is its digest;
/// its tag is a qualifier.
fn version(purl: &str) -> Option<String> {
    let (purl, _) = purl.split_once('#').unwrap_or((purl, ""));
    let (path, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
    // A slash in it is encoded; before one, the at sign belongs to a namespace.
    let version = path
        .rsplit_once('@')
        .filter(|(_, version)| !version.contains('/'))
        .map(|(_, version)| decoded(version));
    let tag = || {
        let mut all = qualifiers.split('&');
        all.find_map(|one| one.strip_prefix("tag=")).map(decoded)
    };
    let is_ref = |text: &String| !text.is_empty() && !text.contains(':');
    version.filter(is_ref).or_else(tag).filter(is_ref)
}

/// The text without percent encoding. What is no encoding, or encodes no text, stays as it is.
fn decoded(text: &str) -> String {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let encoded = match after {
            [high, low, behind @ ..] if *first == b'%' => {
                byte(*high, *low).map(|byte| (byte, behind))
            }
            _ => None,
        };
        let (byte, behind) = encoded.unwrap_or((*first, after));
        decoded.push(byte);
        rest = behind;
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.into())
}

fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |letter: u8| char::from(letter).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_of_a_package_url_is_one_that_git_may_know() {
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
