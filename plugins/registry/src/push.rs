use alloc::string::String;
use alloc::vec::Vec;

use stoker_plugin::{Detection, Outcome, Request, text};

/// The placeholder for the tag in the setting `ref`.
const TAG: &str = "{tag}";
/// The number of earlier refs that are searched for a duplicate. A registry may list an image once for each platform. A
/// comparison of each ref with all others would take quadratic time.
const PLATFORMS: usize = 64;
/// The reason to ignore a push if the setting `ref` is missing.
const NO_REF: &str =
    "the setting ref is missing: the git ref for the tag of an image, such as refs/tags/{tag}";

/// An image that was pushed.
pub(crate) struct Push {
    image: String,
    tags: Vec<String>,
    event: String,
    occurred_at: Option<String>,
    /// The address from which the image is pulled, without a tag.
    pub(crate) address: Option<String>,
    pub(crate) delivery_id: Option<String>,
}

impl Push {
    /// Returns the push of an image, as the sender names the event.
    pub(crate) fn of(image: String, tags: Vec<String>, event: &str) -> Self {
        Self {
            image,
            tags,
            event: event.into(),
            occurred_at: None,
            address: None,
            delivery_id: None,
        }
    }

    pub(crate) fn at(mut self, time: Option<String>) -> Self {
        self.occurred_at = time;
        self
    }

    /// Returns the refs of the tags, if the settings select the image and the tags.
    pub(crate) fn announce(self, request: &impl Request) -> Outcome {
        let Some(template) = request.configured("ref") else {
            return Outcome::ignored(&[NO_REF]);
        };
        if let Some(images) = request.configured("image")
            && !self.is_among(&images)
        {
            return Outcome::ignored(&["image ", &self.image, " does not match the setting image"]);
        }
        let wanted = request.configured("tags");
        let repository = request.configured("repository");
        let mut found: Vec<Detection> = Vec::new();
        for tag in self.tags.iter().filter(|tag| !tag.is_empty()) {
            if wanted
                .as_deref()
                .is_some_and(|wanted| !text::matches_any(wanted, tag))
            {
                continue;
            }
            let git_ref = fill(&template, tag);
            let mut latest = found.iter().rev().take(PLATFORMS);
            if latest.all(|one| one.git_ref != git_ref) {
                found.push(
                    Detection::new(git_ref)
                        .repositories(repository.clone())
                        .event(self.event.clone())
                        .occurred_at(self.occurred_at.clone())
                        .delivery_id(self.delivery_id.clone()),
                );
            }
        }
        match self.tags.first() {
            _ if !found.is_empty() => Outcome::Found(found),
            Some(tag) => Outcome::ignored(&["tag ", tag, " does not match the setting tags"]),
            None => Outcome::ignored(&[&self.image, " was pushed without a tag"]),
        }
    }

    fn is_among(&self, images: &str) -> bool {
        let names = [Some(&self.image), self.address.as_ref()];
        names
            .into_iter()
            .flatten()
            .any(|name| text::matches_any(images, name))
    }
}

/// Returns the template with the tag in place of each placeholder.
fn fill(template: &str, tag: &str) -> String {
    let mut text = String::new();
    let mut rest = template;
    loop {
        if let Some(after) = rest.strip_prefix(TAG) {
            text.push_str(tag);
            rest = after;
            continue;
        }
        let mut letters = rest.chars();
        let Some(letter) = letters.next() else {
            return text;
        };
        text.push(letter);
        rest = letters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn a_tag_takes_its_places() {
        for (template, filled) in [
            ("{tag}", "1.0"),
            ("refs/tags/v{tag}", "refs/tags/v1.0"),
            ("é{{tag}}-{tag}", "é{1.0}-1.0"),
            ("main", "main"),
            ("{ta", "{ta"),
        ] {
            assert_eq!(fill(template, "1.0"), filled);
        }
    }
}
