//! The mappings of a profile with their templates rendered, and what they do to the content of files.

use stoker_api::{FilePatch, Mapping, MappingType};

use super::digest::Digest;
use super::json::{self, Document};
use super::pattern::{Pattern, PatternError};
use super::profiles::Profile;
use super::template::{Context, Renderer, TemplateError};

/// A mapping of the profile. Its place among the mappings is part of the errors.
pub(super) struct Rule {
    /// The cleaned path in the repository. It is empty for the root.
    pub(super) source: String,
    /// The cleaned path below the gateway's directory. It is empty for that directory itself.
    pub(super) destination: String,
    /// Whether the destination is spelled as the cleaned path. Only then files in it are deleted: a slash at the end
    /// means that it has other files, too.
    pub(super) is_managed: bool,
    /// Whether the destination ends with a slash.
    pub(super) names_directory: bool,
    pub(super) type_: Option<MappingType>,
    pub(super) is_required: bool,
    content: ContentRule,
}

/// What a mapping does to the content of its files.
struct ContentRule {
    is_template: bool,
    patches: Vec<Patch>,
    /// Identifies everything that the content depends on, apart from the object.
    recipe: String,
}

struct Patch {
    /// The files, or `None` for the file at the destination.
    files: Option<Result<Pattern, PatternError>>,
    /// The paths and the templates of their values, in the order of the paths.
    set: Vec<(String, String)>,
}

/// A mapping cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// A template of the mapping cannot be rendered.
    #[error("{0}")]
    Template(String),
    /// A path is empty. The whole repository is `.`, and the definition of the object does not allow an empty path either.
    #[error("the path is empty")]
    Empty,
    /// A path begins with a slash.
    #[error("absolute path not allowed: {0}")]
    Absolute(String),
    /// A path leads out of the repository or of the gateway's directory.
    #[error("path traversal not allowed: {0}")]
    Traversal(String),
    /// A path has a byte that no path has.
    #[error("invalid path: {0:?}")]
    Invalid(String),
}

/// The content of a file cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The file has a zero byte.
    #[error("template=true on binary file is not supported")]
    Binary,
    /// The file is not UTF-8.
    #[error("the file is not UTF-8")]
    Encoding,
    /// The template cannot be rendered.
    #[error("{0}")]
    Template(String),
    /// The pattern of a patch is invalid.
    #[error("invalid patch file pattern: {0}")]
    Pattern(String),
    /// A value cannot be set.
    #[error("patch {path:?}: {reason}")]
    Patch {
        /// The path of the value.
        path: String,
        /// Why it cannot be set.
        reason: String,
    },
}

impl Rule {
    /// Renders a mapping. The error has the name of the field.
    pub(super) fn new(
        mapping: &Mapping,
        renderer: &Renderer,
        profile: &Profile,
        context: &Context,
    ) -> Result<Self, (&'static str, RuleError)> {
        let render = |field, text: &str| match renderer.render(text) {
            Ok(text) => Ok(text.into_owned()),
            Err(error) => Err((field, template_error(&error))),
        };
        let source = render("source", &mapping.source)?;
        let spelled = render("destination", &mapping.destination)?;
        let destination = clean(&spelled).map_err(|error| ("destination", error))?;
        let is_template = mapping.template.unwrap_or(false);
        let recipe = recipe(is_template, &mapping.patches, profile, context);
        Ok(Self {
            source: clean(&source).map_err(|error| ("source", error))?,
            is_managed: !destination.is_empty() && spelled == destination,
            names_directory: spelled.ends_with('/'),
            destination,
            type_: mapping.type_,
            is_required: mapping.required.unwrap_or(false),
            content: ContentRule {
                is_template,
                patches: mapping.patches.iter().map(Patch::new).collect(),
                recipe,
            },
        })
    }

    /// Identifies what the content of a file is made with, or is empty if it is the content of the object.
    pub(super) fn recipe(&self, path: &str) -> String {
        if self.content.is_template || self.patches(path).next().is_some() {
            format!("{}:{path}", self.content.recipe)
        } else {
            String::new()
        }
    }

    /// Makes the content of a file: the template first, then the patches.
    pub(super) fn content(
        &self,
        path: &str,
        object: Vec<u8>,
        renderer: &Renderer,
    ) -> Result<Vec<u8>, ContentError> {
        let mut content = object;
        if self.content.is_template {
            content = render(content, renderer)?;
        }
        let mut sets = Vec::new();
        for patch in self.patches(path) {
            if let Some(Err(error)) = &patch.files {
                return Err(ContentError::Pattern(error.to_string()));
            }
            sets.extend(&patch.set);
        }
        let Some((first, _)) = sets.first() else {
            return Ok(content);
        };
        let document = Document::parse(content).map_err(|error| patch_error(first, &error));
        let mut document = document?;
        for (path, template) in sets {
            let value = renderer.render(template);
            let value = value.map_err(|error| patch_error(path, &error))?;
            json::to_json(&value)
                .and_then(|value| document.set(path, &value))
                .map_err(|error| patch_error(path, &error))?;
        }
        Ok(document.into_bytes())
    }

    /// Returns the patches for a file. An invalid pattern is for every file, so that it does not stay unnoticed.
    fn patches<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Patch> {
        let below = match path.strip_prefix(self.destination.as_str()) {
            // The destination is the file.
            Some("") => None,
            Some(rest) => Some(rest.strip_prefix('/').unwrap_or(rest)),
            None => Some(path),
        };
        let name = |path: &'a str| path.rsplit('/').next().unwrap_or(path);
        let base = name(&self.destination);
        let path = below.unwrap_or_else(|| name(path));
        self.content
            .patches
            .iter()
            .filter(move |patch| match &patch.files {
                Some(Ok(pattern)) => pattern.matches(path),
                Some(Err(_)) => true,
                None => path == base,
            })
    }
}

impl Patch {
    fn new(patch: &FilePatch) -> Self {
        let file = patch.file.as_deref().filter(|file| !file.is_empty());
        let set = patch.set.iter();
        Self {
            files: file.map(Pattern::parse),
            set: set
                .map(|(path, value)| (path.clone(), value.clone()))
                .collect(),
        }
    }
}

fn template_error(error: &TemplateError) -> RuleError {
    RuleError::Template(error.to_string())
}

fn patch_error(path: &str, error: &dyn std::error::Error) -> ContentError {
    ContentError::Patch {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn render(content: Vec<u8>, renderer: &Renderer) -> Result<Vec<u8>, ContentError> {
    if content.contains(&0) {
        return Err(ContentError::Binary);
    }
    if !content.windows(2).any(|pair| pair == b"{{") {
        return Ok(content);
    }
    let text = std::str::from_utf8(&content).map_err(|_| ContentError::Encoding)?;
    let result = renderer.render(text);
    let result = result.map_err(|error| ContentError::Template(error.to_string()))?;
    Ok(result.into_owned().into_bytes())
}

/// Two recipes are equal only if they make equal files of equal objects.
fn recipe(
    is_template: bool,
    patches: &[FilePatch],
    profile: &Profile,
    context: &Context,
) -> String {
    let all = format!("{is_template} {patches:?} {:?} {context:?}", profile.vars());
    let mut text = Digest::of(all.as_bytes()).to_string();
    text.truncate(16);
    text
}

/// Cleans a relative path: without empty parts, `.` and `..`. The root is the empty path.
fn clean(path: &str) -> Result<String, RuleError> {
    if path.is_empty() {
        return Err(RuleError::Empty);
    }
    if path.starts_with('/') {
        return Err(RuleError::Absolute(path.to_owned()));
    }
    if path.contains('\0') {
        return Err(RuleError::Invalid(path.to_owned()));
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts
                    .pop()
                    .ok_or_else(|| RuleError::Traversal(path.to_owned()))?;
            }
            other => parts.push(other),
        }
    }
    Ok(parts.join("/"))
}
