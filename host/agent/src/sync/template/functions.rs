//! The functions of templates that differ from those of the library, and those that [`tree`](super::tree) adds.

use std::sync::Arc;

use gotmpl::{Template, TemplateError as Cause, Value};

use super::budget::{Budget, Excess};
use super::print::{self, Nil};
use super::printf::{FormatError, printf};

/// The functions that every template of Go has.
pub(super) const KNOWN: [&str; 19] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
    "print", "printf", "println", "slice", "urlquery",
];
/// The functions of the library whose time depends on the length of their first argument.
pub(super) const WEIGHED: [&str; 6] = ["eq", "ge", "gt", "le", "lt", "ne"];

/// Counts the steps in the first argument, and returns the second one. No template can name this function and the next
/// ones, because a name has no space.
pub(super) const STEP: &str = " step";
/// Does the same as [`STEP`], with a value that is iterated.
pub(super) const EACH: &str = " each";
/// Does the same as [`STEP`], and makes the value a text.
pub(super) const SHOW: &str = " show";
/// Returns its argument, and counts the first one as often as the second one says.
pub(super) const WEIGH: &str = " weigh";
/// Returns its argument, which must have fields.
pub(super) const DATA: &str = " data";

/// Notes that the action in the line of its argument is executed now, and returns the empty text.
pub(super) const LINE: &str = " line";

/// Adds the functions to a template.
pub(super) fn add(template: Template, budget: &Arc<Budget>) -> Template {
    let functions: [(&str, Function); 15] = [
        ("print", |values, budget| {
            text(values, budget, |values| print::print(values, Nil::Nil))
        }),
        ("println", |values, budget| {
            text(values, budget, print::println)
        }),
        ("html", |values, budget| {
            escape(values, budget, gotmpl::html_escape)
        }),
        ("js", |values, budget| {
            escape(values, budget, print::js_escape)
        }),
        ("urlquery", |values, budget| {
            escape(values, budget, gotmpl::url_encode)
        }),
        ("printf", formatted),
        ("index", |values, _| index(values)),
        ("len", |values, _| len(values)),
        ("slice", slice),
        (STEP, step),
        (EACH, |values, budget| {
            let value = step(values, budget)?;
            no_context(std::slice::from_ref(&value))?;
            Ok(value)
        }),
        (SHOW, show),
        (WEIGH, weigh),
        (DATA, |values, _| data(values)),
        (LINE, |values, budget| {
            budget.reach(number(values.first()).unwrap_or_default());
            Ok(Value::String(Arc::from("")))
        }),
    ];
    functions
        .into_iter()
        .fold(template, |template, (name, function)| {
            let budget = Arc::clone(budget);
            template.func(name, move |values| Ok(function(values, &budget)?))
        })
}

type Function = fn(&[Value], &Budget) -> Result<Value, Fault>;

/// A function cannot return a value.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Library(#[from] Cause),
    #[error(transparent)]
    Excess(#[from] Excess),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("{0} needs an argument")]
    NoArgument(&'static str),
    #[error("the format is no text")]
    NoFormat,
    #[error("there are no values here, so that there are no fields")]
    NoData,
    #[error("only the fields of the gateway are values")]
    Context,
    #[error("{0} has no length")]
    Length(&'static str),
    #[error("nil has no elements")]
    Elements,
    #[error("slice takes a text and at most two numbers")]
    Slice,
}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Library(cause) => cause,
            other => Self::Exec(other.to_string()),
        }
    }
}

/// Refuses the value at the top. It is no map in Go, which prints it in another way.
fn no_context(values: &[Value]) -> Result<(), Fault> {
    let is_context = |value: &Value| matches!(value.field("Labels"), Some(Value::Map(_)));
    if values.iter().any(is_context) {
        return Err(Fault::Context);
    }
    Ok(())
}

fn text(
    values: &[Value],
    budget: &Budget,
    make: impl Fn(&[Value]) -> Option<String>,
) -> Result<Value, Fault> {
    no_context(values)?;
    let text = make(values).ok_or(Excess::Text)?;
    budget.take_text(&text)?;
    Ok(Value::String(Arc::from(text)))
}

/// As in Go, several arguments are printed into one text, which is escaped.
fn escape(values: &[Value], budget: &Budget, escape: fn(&str) -> String) -> Result<Value, Fault> {
    text(values, budget, |values| {
        print::print(values, Nil::NoValue).map(|text| escape(&text))
    })
}

fn formatted(values: &[Value], budget: &Budget) -> Result<Value, Fault> {
    let (format, arguments) = values.split_first().ok_or(Fault::NoArgument("printf"))?;
    let Value::String(format) = format else {
        return Err(Fault::NoFormat);
    };
    no_context(arguments)?;
    budget.read(format.len())?;
    let text = printf(format, arguments)?;
    budget.take_text(&text)?;
    Ok(Value::String(Arc::from(text)))
}

/// Go returns the zero value for a key that a map does not have, which is the empty text here.
fn index(values: &[Value]) -> Result<Value, Fault> {
    let (first, keys) = values.split_first().ok_or(Fault::NoArgument("index"))?;
    no_context(values)?;
    let mut value = first.clone();
    if matches!(value, Value::Nil) {
        return Err(Fault::Elements);
    }
    for key in keys {
        value = match (&value, key) {
            (Value::Map(map), Value::String(key)) => {
                let found = map.get(key.as_ref()).cloned();
                found.unwrap_or_else(|| Value::String(Arc::from("")))
            }
            (other, key) => other.index(key)?,
        };
    }
    Ok(value)
}

fn len(values: &[Value]) -> Result<Value, Fault> {
    no_context(values)?;
    let [value] = values else {
        return Err(Fault::Library(Cause::ArgCount {
            name: "len".to_owned(),
            expected: 1,
            got: values.len(),
        }));
    };
    let length = value.len().and_then(|length| i64::try_from(length).ok());
    length
        .map(Value::Int)
        .ok_or(Fault::Length(value.type_name()))
}

fn slice(values: &[Value], budget: &Budget) -> Result<Value, Fault> {
    let bound = |value: &Value| match value {
        Value::Int(bound) => Ok(*bound),
        _ => Err(Fault::Slice),
    };
    let (value, bounds) = values.split_first().ok_or(Fault::NoArgument("slice"))?;
    let part = match bounds {
        [] => value.slice(None, None)?,
        [start] => value.slice(Some(bound(start)?), None)?,
        [start, end] => value.slice(Some(bound(start)?), Some(bound(end)?))?,
        _ => return Err(Fault::Slice),
    };
    if let Value::String(text) = &part {
        budget.take_text(text)?;
    }
    Ok(part)
}

fn step(values: &[Value], budget: &Budget) -> Result<Value, Fault> {
    let steps = values.first().and_then(Value::as_int).unwrap_or_default();
    budget.take_steps(u64::try_from(steps).unwrap_or_default())?;
    Ok(values.get(1).cloned().unwrap_or(Value::Nil))
}

fn show(values: &[Value], budget: &Budget) -> Result<Value, Fault> {
    let value = step(values, budget)?;
    match value {
        Value::String(_) => Ok(value),
        other => text(&[other], budget, |values| {
            print::print(values, Nil::NoValue)
        }),
    }
}

fn number(value: Option<&Value>) -> Option<usize> {
    let number = value.and_then(Value::as_int)?;
    usize::try_from(number).ok()
}

fn weigh(values: &[Value], budget: &Budget) -> Result<Value, Fault> {
    let times = number(values.first()).unwrap_or(1);
    let value = values.get(1).cloned().unwrap_or(Value::Nil);
    if let Value::String(text) = &value {
        budget.read(text.len().saturating_mul(times))?;
    }
    Ok(value)
}

fn data(values: &[Value]) -> Result<Value, Fault> {
    match values.first() {
        None | Some(Value::Nil) => Err(Fault::NoData),
        Some(value) => Ok(value.clone()),
    }
}
