//! The templates in profiles and files, and what they know about the gateway.

mod budget;
mod functions;
mod print;
mod printf;
mod syntax;
mod tree;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gotmpl::{MissingKey, Template, TemplateError as Cause, ToValue as _, Value};

use budget::Budget;
use syntax::SyntaxError;
use tree::TreeError;

/// The label with the ordinal of a pod in its `StatefulSet`.
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";
/// The largest result of one template, in bytes.
const MAX_OUTPUT: usize = 16 << 20;
/// The largest number of iterations in one template.
const MAX_ITERATIONS: u64 = 1_000_000;
/// The name of a template among those that it defines.
const ROOT: &str = "\0";

/// What the templates of a gateway know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The name of the gateway: `GatewayName`.
    pub gateway_name: String,
    /// The name of its pod: `PodName`.
    pub pod_name: String,
    /// The namespace of the object: `Namespace`.
    pub namespace: String,
    /// The ref that the commit was found by: `Ref`.
    pub git_ref: String,
    /// The id of the commit: `Commit`.
    pub commit: String,
    /// The name of the object: `CRName`.
    pub cr_name: String,
    /// The ordinal of the pod: `PodOrdinal`.
    pub pod_ordinal: i64,
    /// The labels of the pod: `Labels`.
    pub labels: BTreeMap<String, String>,
    /// The variables of the profile: `Vars`.
    pub vars: BTreeMap<String, String>,
}

impl Context {
    /// Returns the ordinal of a pod: the label that Kubernetes sets on the pods of a `StatefulSet`, or the number at the
    /// end of the pod's name, or 0.
    #[must_use]
    pub fn pod_ordinal(labels: &BTreeMap<String, String>, pod_name: &str) -> i64 {
        let label = labels.get(POD_INDEX).and_then(|label| label.parse().ok());
        let end = pod_name.rsplit('-').next().unwrap_or(pod_name);
        label.or_else(|| end.parse().ok()).unwrap_or(0)
    }

    fn to_value(&self) -> Value {
        let fields = [
            ("GatewayName", self.gateway_name.to_value()),
            ("PodName", self.pod_name.to_value()),
            ("Namespace", self.namespace.to_value()),
            ("Ref", self.git_ref.to_value()),
            ("Commit", self.commit.to_value()),
            ("CRName", self.cr_name.to_value()),
            ("PodOrdinal", Value::Int(self.pod_ordinal)),
            ("Labels", texts(&self.labels)),
            ("Vars", texts(&self.vars)),
        ];
        let fields = fields.map(|(name, value)| (Arc::from(name), value));
        Value::Map(Arc::new(fields.into()))
    }
}

fn texts(map: &BTreeMap<String, String>) -> Value {
    let entries = map.iter();
    let entries = entries.map(|(key, value)| (Arc::from(key.as_str()), value.to_value()));
    Value::Map(Arc::new(entries.collect()))
}

/// A template cannot be parsed or executed. The text is the line with the error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("parsing template {text:?}: {cause}")]
    Syntax { text: String, cause: SyntaxError },
    #[error("parsing template {text:?}: {cause}")]
    Parse { text: String, cause: TreeError },
    #[error("executing template {text:?}: line {line}: {cause}")]
    Execute {
        text: String,
        line: usize,
        cause: Cause,
    },
    #[error("the result of a template is larger than {MAX_OUTPUT} bytes")]
    TooLarge,
}

/// Renders templates with one context.
pub(crate) struct Renderer {
    context: Value,
}

impl Renderer {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            context: context.to_value(),
        }
    }

    /// Renders a template. Its functions are those of Go's `text/template`, and a missing key is an error. A text
    /// without `{{` is returned as it is.
    pub(crate) fn render<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, TemplateError> {
        if !text.contains("{{") {
            return Ok(Cow::Borrowed(text));
        }
        let normal = syntax::normalise(text).map_err(|cause| TemplateError::Syntax {
            text: excerpt(text, cause.line()),
            cause,
        })?;
        let (root, trees) = tree::read(&normal).map_err(|cause| TemplateError::Parse {
            text: excerpt(text, cause.line()),
            cause,
        })?;
        let budget = Arc::new(Budget::default());
        let template = Template::new(ROOT)
            .missing_key(MissingKey::Error)
            .max_range_iters(MAX_ITERATIONS);
        let template = functions::add(template, &budget);
        let template = trees
            .into_iter()
            .fold(template, |template, (name, tree)| {
                template.add_parse_tree(&name, tree)
            })
            .add_parse_tree(ROOT, root);
        let mut output = Output::default();
        let result = template.execute_template_fmt(&mut output, ROOT, &self.context);
        if output.is_full {
            return Err(TemplateError::TooLarge);
        }
        result.map_err(|cause| TemplateError::Execute {
            text: excerpt(text, budget.line()),
            line: budget.line(),
            cause,
        })?;
        Ok(Cow::Owned(output.text))
    }
}

/// The beginning of a line of a template for an error message.
fn excerpt(text: &str, line: usize) -> String {
    let text = text.split('\n').nth(line.saturating_sub(1)).unwrap_or(text);
    text.trim().chars().take(200).collect()
}

/// A text of a limited size.
#[derive(Default)]
struct Output {
    text: String,
    is_full: bool,
}

impl fmt::Write for Output {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.text.len() + part.len() > MAX_OUTPUT {
            self.is_full = true;
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
