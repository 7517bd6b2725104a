//! The conditions under which a webhook is called, in the Common Expression Language.

use std::sync::Arc;

use cel::{Context, Env};
use serde_json::Value;

/// Returns whether all conditions of a webhook hold for a request.
pub(super) fn hold(webhook: &Value, request: &Value) -> Result<bool, String> {
    let conditions = webhook["matchConditions"].as_array().into_iter().flatten();
    for condition in conditions {
        let name = condition["name"].as_str().unwrap_or_default();
        let expression = condition["expression"].as_str().unwrap_or_default();
        let failed = |error: &dyn std::fmt::Display| format!("match condition {name:?}: {error}");
        let program = Env::stdlib()
            .compile(expression)
            .map_err(|error| failed(&error))?;
        let mut context = Context::with_env(Arc::new(Env::stdlib()));
        for (variable, value) in [("object", &request["object"]), ("request", request)] {
            context
                .add_variable(variable, value)
                .map_err(|error| failed(&error))?;
        }
        match program.execute(&context) {
            Ok(cel::Value::Bool(true)) => {}
            Ok(cel::Value::Bool(false)) => return Ok(false),
            Ok(_) => return Err(failed(&"it is neither true nor false")),
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(true)
}
