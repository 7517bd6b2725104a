//! Rules of a schema in the Common Expression Language (`x-kubernetes-validations`).
//!
//! A rule that needs the previous value, or a function of Kubernetes' own library, is refused, so that no rule is passed
//! over silently.

use std::fmt;
use std::sync::Arc;

use cel::{Context, Env, Program};
use serde_json::Value;

use super::compile::Refusal;

/// The fields of a rule that are implemented.
const FIELDS: [&str; 2] = ["rule", "message"];
/// The functions that are implemented, besides the operators.
const FUNCTIONS: [&str; 5] = ["contains", "endsWith", "matches", "size", "startsWith"];

/// A compiled rule.
#[derive(Clone)]
pub(super) struct Rule {
    program: Arc<Program>,
    message: String,
}

impl fmt::Debug for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Rule").field(&self.message).finish()
    }
}

impl Rule {
    /// Compiles a rule.
    pub(super) fn compile(source: &Value, at: &str) -> Result<Self, Refusal> {
        let invalid = |why: String| Refusal::Invalid {
            path: at.to_owned(),
            why,
        };
        let fields = source
            .as_object()
            .ok_or_else(|| invalid("must be an object".to_owned()))?;
        if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(Refusal::Unimplemented(format!("{name} of a rule ({at})")));
        }
        let text = fields.get("rule").and_then(Value::as_str);
        let text = text.ok_or_else(|| invalid("rule must be a text".to_owned()))?;
        let program = Env::stdlib()
            .compile(text)
            .map_err(|error| invalid(format!("compilation failed: {error}")))?;
        {
            let references = program.references();
            let is_known = |name: &&str| {
                let is_operator = name.starts_with(['_', '!', '-', '@']);
                is_operator || FUNCTIONS.contains(name)
            };
            let functions = references.functions();
            let unknown = functions.into_iter().find(|name| !is_known(name));
            if let Some(name) = unknown.or_else(|| text.contains("oldSelf").then_some("oldSelf")) {
                return Err(Refusal::Unimplemented(format!("{name} in a rule ({at})")));
            }
        }
        let message = match fields.get("message").and_then(Value::as_str) {
            Some(message) => message.to_owned(),
            None => format!("failed rule: {text}"),
        };
        Ok(Self {
            program: Arc::new(program),
            message,
        })
    }

    /// Returns the message if a value breaks the rule.
    pub(super) fn broken_by(&self, value: &Value) -> Option<String> {
        let mut context = Context::with_env(Arc::new(Env::stdlib()));
        if let Err(error) = context.add_variable("self", value) {
            return Some(format!("rule evaluation error: {error}"));
        }
        match self.program.execute(&context) {
            Ok(cel::Value::Bool(true)) => None,
            Ok(_) => Some(self.message.clone()),
            Err(error) => Some(format!("rule evaluation error: {error}")),
        }
    }
}
