//! Detects the ref that a webhook of {{name}} announces. This module does not depend on WebAssembly, so `cargo test` runs
//! it natively.

/// The name of the plugin.
pub const NAME: &str = "{{name}}";

/// The summary that `stoker plugin list` shows.
pub const SUMMARY: &str = "Releases of {{name}}";

/// A delivery without a value at this JSON pointer is not offered to the plugin.
pub const POINTER: &str = "/{{ident}}";

/// The functions of a request that the detection uses. The interface has more: add them here to use them.
pub trait Request {
    /// Reports whether there is a value at a JSON pointer.
    fn has(&self, pointer: &str) -> bool;

    /// Returns the string at a JSON pointer, if there is one.
    fn string_at(&self, pointer: &str) -> Option<String>;
}

/// The answer of the plugin.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request is of another format; the next plugin is called.
    NotMine,
    /// The request is of this format and calls for no action, for this reason.
    Ignored(String),
    /// The request announces a ref.
    Found(Release),
}

/// A ref that a request announces.
#[derive(Debug, PartialEq, Eq)]
pub struct Release {
    /// The tag, as the sender wrote it.
    pub git_ref: String,
    /// The commit that the tag points to.
    pub commit: Option<String>,
    /// Names or addresses of the repository.
    pub repositories: Vec<String>,
}

/// Detects the ref of a request. An error means that the request is of this format and malformed; its text is for the
/// sender.
pub fn detect(request: impl Request) -> Result<Outcome, String> {
    if !request.has(POINTER) {
        return Ok(Outcome::NotMine);
    }
    let event = required(&request, "/{{ident}}/event")?;
    if event != "released" {
        return Ok(Outcome::Ignored("event ".to_owned() + &event));
    }
    Ok(Outcome::Found(Release {
        git_ref: required(&request, "/{{ident}}/tag")?,
        commit: request.string_at("/{{ident}}/commit"),
        repositories: request
            .string_at("/{{ident}}/repository")
            .into_iter()
            .collect(),
    }))
}

fn required(request: &impl Request, pointer: &str) -> Result<String, String> {
    // `format!` would add three kilobytes to the component.
    request
        .string_at(pointer)
        .ok_or_else(|| pointer.to_owned() + " is missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request with these strings, by their pointers.
    struct Sample(&'static [(&'static str, &'static str)]);

    impl Request for Sample {
        fn has(&self, pointer: &str) -> bool {
            let is_at = |path: &str| {
                path.strip_prefix(pointer)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            self.0.iter().any(|(path, _)| is_at(path))
        }

        fn string_at(&self, pointer: &str) -> Option<String> {
            let found = self.0.iter().find(|(path, _)| *path == pointer);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn a_release_announces_its_tag() {
        let release = Sample(&[
            ("/{{ident}}/event", "released"),
            ("/{{ident}}/tag", "v1.2.3"),
            ("/{{ident}}/repository", "plant/line"),
        ]);
        let expected = Release {
            git_ref: "v1.2.3".to_owned(),
            commit: None,
            repositories: vec!["plant/line".to_owned()],
        };
        assert_eq!(detect(release), Ok(Outcome::Found(expected)));
    }

    #[test]
    fn other_events_are_ignored() {
        let started = Sample(&[("/{{ident}}/event", "started")]);
        assert_eq!(
            detect(started),
            Ok(Outcome::Ignored("event started".to_owned()))
        );
    }

    #[test]
    fn a_release_without_a_tag_is_malformed() {
        let release = Sample(&[("/{{ident}}/event", "released")]);
        assert_eq!(detect(release), Err("/{{ident}}/tag is missing".to_owned()));
    }

    #[test]
    fn other_formats_are_left_alone() {
        assert_eq!(
            detect(Sample(&[("/event", "released")])),
            Ok(Outcome::NotMine)
        );
    }
}
